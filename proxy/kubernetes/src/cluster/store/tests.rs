use super::*;
use crate::manifests::objects;
use weir_core::declaration::PortName;

fn ingresses() -> Stream {
    Stream::All(Kind::Ingress)
}

fn slices() -> Stream {
    Stream::All(Kind::EndpointSlice)
}

fn ingress(name: &str, more: &str) -> Object {
    let text = format!(
        "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{namespace: shop, name: {name}{more}}}, spec: {{}}}}"
    );
    Object::Ingress(objects(&text).ingresses.get("shop", name).unwrap().clone().into())
}

fn slice(name: &str, service: &str, address: &str) -> Object {
    let text = format!(
        "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {{namespace: shop, name: {name}, \
         labels: {{kubernetes.io/service-name: {service}}}}}, endpoints: [{{addresses: ['{address}']}}]}}"
    );
    Object::EndpointSlice(objects(&text).endpoint_slices.get("shop", name).unwrap().clone().into())
}

fn name(name: &str) -> ObjectName {
    ObjectName { namespace: "shop".to_owned(), name: name.to_owned() }
}

fn endpoints_of<const N: usize>(services: [&str; N]) -> Change {
    Change::Endpoints(services.into_iter().map(name).collect())
}

/// A store that expects these streams and hears this, each of its own stream.
fn hear(store: &mut Store, stream: &Stream, what: impl IntoIterator<Item = What>) -> Change {
    what.into_iter().for_each(|what| store.hear(Heard { stream: stream.clone(), what }));
    store.take_change()
}

fn applied(object: Object) -> [What; 1] {
    [What::Applied(Item::Object(object))]
}

fn listed(objects: impl IntoIterator<Item = Object>) -> Vec<What> {
    let items = objects.into_iter().map(|object| What::Listed(Item::Object(object)));
    [What::Began].into_iter().chain(items).chain([What::Ended]).collect()
}

fn known(store: &Store) -> Vec<&str> {
    store.objects().ingresses.iter().map(HasMeta::name).collect()
}

#[test]
fn it_is_complete_when_every_watch_has_listed_once() {
    let mut store = Store::default();
    store.expect(ingresses());
    store.expect(slices());
    hear(&mut store, &ingresses(), listed([ingress("a", "")]));
    assert!(!store.is_complete() && store.has_listed(&ingresses()));
    hear(&mut store, &slices(), [What::Began]);
    assert!(!store.is_complete());
    hear(&mut store, &slices(), [What::Ended]);
    assert!(store.is_complete());
    // Listing again takes nothing back.
    hear(&mut store, &slices(), [What::Began]);
    assert!(store.is_complete());
}

#[test]
fn a_list_removes_what_it_lacks_and_not_before_it_is_whole() {
    let mut store = Store::default();
    store.expect(ingresses());
    hear(&mut store, &ingresses(), listed([ingress("a", ""), ingress("b", "")]));
    let half = [What::Began, What::Listed(Item::Object(ingress("b", "")))];
    assert_eq!(hear(&mut store, &ingresses(), half), Change::Nothing);
    assert_eq!(known(&store), ["a", "b"], "the list broke off");
    assert_eq!(
        hear(&mut store, &ingresses(), listed([ingress("c", ""), ingress("b", "")])),
        Change::Everything
    );
    assert_eq!(known(&store), ["b", "c"]);
    assert_eq!(hear(&mut store, &ingresses(), listed([ingress("b", ""), ingress("c", "")])), Change::Nothing);
}

#[test]
fn only_what_a_configuration_is_made_of_is_a_change() {
    let mut store = Store::default();
    store.expect(ingresses());
    assert_eq!(hear(&mut store, &ingresses(), applied(ingress("a", ""))), Change::Everything);
    assert_eq!(
        hear(&mut store, &ingresses(), applied(ingress("a", ", resourceVersion: '9'"))),
        Change::Nothing
    );
    let annotated = ingress("a", ", annotations: {weir.dev/limit-rps: '5'}");
    assert_eq!(hear(&mut store, &ingresses(), applied(annotated)), Change::Everything);
    let again = ingress("a", ", uid: other, annotations: {weir.dev/limit-rps: '5'}");
    assert_eq!(
        hear(&mut store, &ingresses(), applied(again)),
        Change::Everything,
        "another one of that name"
    );
    let gone = || [What::Deleted(Item::Object(ingress("a", "")))];
    assert_eq!(hear(&mut store, &ingresses(), gone()), Change::Everything);
    assert_eq!(hear(&mut store, &ingresses(), gone()), Change::Nothing, "it was gone");
}

#[test]
fn a_change_of_endpoints_names_the_services_whose_they_are() {
    let mut store = Store::default();
    store.expect(slices());
    store.expect(ingresses());
    let both = listed([slice("a-1", "a", "192.0.2.1"), slice("b-1", "b", "192.0.2.2")]);
    assert_eq!(hear(&mut store, &slices(), both), endpoints_of(["a", "b"]));
    assert_eq!(hear(&mut store, &slices(), applied(slice("a-1", "a", "192.0.2.1"))), Change::Nothing);
    assert_eq!(hear(&mut store, &slices(), applied(slice("a-1", "a", "192.0.2.9"))), endpoints_of(["a"]));
    assert_eq!(
        hear(&mut store, &slices(), applied(slice("a-1", "b", "192.0.2.9"))),
        endpoints_of(["a", "b"])
    );
    assert_eq!(hear(&mut store, &slices(), listed([])), endpoints_of(["b"]));
    // With anything else it is everything.
    hear(&mut store, &slices(), []);
    store.hear(Heard { stream: slices(), what: What::Applied(Item::Object(slice("a-1", "a", "192.0.2.1"))) });
    store.hear(Heard { stream: ingresses(), what: What::Applied(Item::Object(ingress("a", ""))) });
    store.hear(Heard { stream: slices(), what: What::Applied(Item::Object(slice("a-1", "a", "192.0.2.2"))) });
    assert_eq!(store.take_change(), Change::Everything);
}

#[test]
fn a_watch_that_is_no_more_takes_its_object_along_and_is_not_heard() {
    let secret = objects("{apiVersion: v1, kind: Secret, metadata: {namespace: shop, name: a}}");
    let secret = Object::Secret(secret.secrets.get("shop", "a").unwrap().clone().into());
    let stream = Stream::Named(Kind::Secret, name("a"));
    let mut store = Store::default();
    store.expect(stream.clone());
    assert_eq!(hear(&mut store, &stream, listed([secret.clone()])), Change::Everything);
    assert_eq!(hear(&mut store, &stream, listed([])), Change::Everything);
    assert_eq!(hear(&mut store, &stream, applied(secret.clone())), Change::Everything);
    store.forget(&stream);
    assert_eq!(store.take_change(), Change::Everything);
    assert_eq!(hear(&mut store, &stream, applied(secret)), Change::Nothing);
    assert!(store.objects().is_empty());
}

#[test]
fn versions_of_secrets_are_no_change_until_a_secret_that_was_read_is_gone() {
    let mut store = Store::default();
    store.expect(Stream::SecretVersions);
    let version = |version: &str| Item::Version(name("a"), version.to_owned());
    let list = [What::Began, What::Listed(version("1")), What::Ended];
    assert_eq!(hear(&mut store, &Stream::SecretVersions, list), Change::Nothing);
    assert_eq!(store.version(&name("a")), Some("1"));
    assert_eq!(hear(&mut store, &Stream::SecretVersions, [What::Applied(version("2"))]), Change::Nothing);
    assert_eq!(store.version(&name("a")), Some("2"));
    let secret = objects("{apiVersion: v1, kind: Secret, metadata: {namespace: shop, name: a}}");
    let secret = Object::Secret(secret.secrets.get("shop", "a").unwrap().clone().into());
    store.put_secret(&name("a"), Some(secret));
    assert_eq!(store.take_change(), Change::Everything);
    assert_eq!(hear(&mut store, &Stream::SecretVersions, [What::Began, What::Ended]), Change::Everything);
    assert_eq!((store.version(&name("a")), store.objects().len()), (None, 0));
}

#[test]
fn endpoints_do_not_concern_backends_that_a_service_stands_for() {
    let port = || PortName::Number(80);
    let pods = BackendName::new("shop", "a", port());
    let service = BackendName { via: Via::ClusterIp, ..pods.clone() };
    let other = BackendName { via: Via::ClusterIp, ..BackendName::new("shop", "b", port()) };
    let by_service = by_service([&pods, &service, &other].into_iter());
    assert_eq!(by_service, BTreeMap::from([(name("a"), vec![pods])]));
}
