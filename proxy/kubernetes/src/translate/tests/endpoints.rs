//! EndpointSlices → addresses.

use super::*;
use crate::translate::{CatchAll, ExternalNames};

/// A Service with ports `ports`, and an Ingress that leads to its port 80.
fn service(ports: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{clusterIP: 10.96.0.1, ports: {ports}}}\n"
    ) + &ingress("a", "", &rule("a.example", "/", "Prefix", "web", "{number: 80}"))
}

fn slice(name: &str, family: &str, ports: &str, endpoints: &[&str]) -> String {
    let endpoints: String = endpoints.iter().map(|endpoint| format!("- {endpoint}\n")).collect();
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}, labels: {{kubernetes.io/service-name: web}}}}\n\
         addressType: {family}\nports: {ports}\nendpoints:\n{endpoints}"
    )
}

/// The addresses behind port 80 of the Service.
#[track_caller]
fn check_addresses(options: &Options, yaml: &str, expected: &[&str]) {
    let (declaration, _) = translate(&objects(yaml), options);
    let name = BackendName::new("default", "web", weir_core::declaration::PortName::Number(80));
    let Some(BackendSpec::Addresses(addresses)) = declaration.backends.get(&name) else {
        panic!("{:?}", declaration.backends)
    };
    assert_eq!(addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn conditions_that_are_not_given_count_as_good_and_only_ready_ones_as_ready() {
    let addresses = |conditions: &str| {
        let endpoint = format!("{{addresses: [10.0.0.1], conditions: {conditions}}}");
        let yaml = service("[{port: 80}]") + &slice("s", "IPv4", "[{port: 80}]", &[&endpoint]);
        let (declaration, _) = translate(&objects(&yaml), &Options::manifests());
        let Some(BackendSpec::Addresses(addresses)) = declaration.backends.into_values().next() else {
            panic!("no addresses")
        };
        addresses.len()
    };
    for (conditions, takes) in [
        ("{}", 1),
        ("{ready: true}", 1),
        ("{serving: false}", 1),
        ("{ready: true, serving: true, terminating: true}", 1),
        ("{ready: false}", 0),
        ("{ready: false, serving: true}", 0),
        ("{ready: false, serving: true, terminating: false}", 0),
        ("{ready: false, terminating: true}", 1),
        ("{ready: false, serving: true, terminating: true}", 1),
        ("{ready: false, serving: false, terminating: true}", 0),
    ] {
        assert_eq!(addresses(conditions), takes, "{conditions}");
    }
}

#[test]
fn a_named_target_port_is_a_number_of_each_slice() {
    let yaml = service("[{name: http, port: 80, targetPort: app}]")
        + &slice("s-1", "IPv4", "[{name: http, port: 8080}]", &["{addresses: [10.0.0.1]}"])
        + &slice("s-2", "IPv4", "[{name: http, port: 9090}]", &["{addresses: [10.0.0.2]}"])
        // Nobody but the pods knows which number that is.
        + &slice("s-3", "IPv4", "[{name: http}]", &["{addresses: [10.0.0.3]}"])
        + &slice("s-4", "IPv4", "[{name: app, port: 7070}]", &["{addresses: [10.0.0.4]}"]);
    check_addresses(&Options::manifests(), &yaml, &["10.0.0.1:8080", "10.0.0.2:9090"]);
}

#[test]
fn a_slice_port_without_a_number_is_the_target_port_or_the_port() {
    let slice = || slice("s", "IPv4", "[{name: http}]", &["{addresses: [10.0.0.1]}"]);
    for (port, expected) in [
        ("[{name: http, port: 80, targetPort: 8080}]", "10.0.0.1:8080"),
        ("[{name: http, port: 80, targetPort: '8080'}]", "10.0.0.1:8080"),
        ("[{name: http, port: 80}]", "10.0.0.1:80"),
    ] {
        check_addresses(&Options::manifests(), &(service(port) + &slice()), &[expected]);
    }
}

#[test]
fn an_address_of_several_slices_comes_once_and_is_ready_if_one_says_so() {
    let yaml = service("[{port: 80}]")
        + &slice("s-1", "IPv4", "[{port: 80}]", &["{addresses: [10.0.0.1], conditions: {ready: false}}"])
        + &slice("s-2", "IPv4", "[{port: 80}]", &["{addresses: [10.0.0.1]}", "{addresses: [10.0.0.2]}"])
        + &slice("s-3", "IPv4", "[{port: 80}]", &["{addresses: [10.0.0.2]}"]);
    check_addresses(&Options::manifests(), &yaml, &["10.0.0.1:80", "10.0.0.2:80"]);
}

#[test]
fn both_families_of_a_service_take_requests() {
    let yaml = service("[{port: 80}]")
        + &slice("s-1", "IPv4", "[{port: 8080}]", &["{addresses: [10.0.0.1]}"])
        + &slice("s-2", "IPv6", "[{port: 8081}]", &["{addresses: ['fd00::1']}"]);
    check_addresses(&Options::manifests(), &yaml, &["10.0.0.1:8080", "[fd00::1]:8081"]);
}

#[test]
fn hints_count_if_every_ready_endpoint_has_some_and_one_is_for_our_zone() {
    let one = Options { zone: Some("z1".to_owned()), ..Options::manifests() };
    let with = |endpoints: &[&str]| service("[{port: 80}]") + &slice("s", "IPv4", "[{port: 80}]", endpoints);
    let here = "{addresses: [10.0.0.1], hints: {forZones: [{name: z1}]}}";
    let there = "{addresses: [10.0.0.2], hints: {forZones: [{name: z2}]}}";
    let both = "{addresses: [10.0.0.3], hints: {forZones: [{name: z2}, {name: z1}]}}";
    let none = "{addresses: [10.0.0.4]}";
    let empty = "{addresses: [10.0.0.4], hints: {forZones: []}}";
    let down = "{addresses: [10.0.0.5], conditions: {ready: false}}";
    let going = "{addresses: [10.0.0.6], conditions: {ready: false, terminating: true}}";
    check_addresses(&one, &with(&[here, there, both]), &["10.0.0.1:80", "10.0.0.3:80"]);
    check_addresses(&Options::manifests(), &with(&[here, there]), &["10.0.0.1:80", "10.0.0.2:80"]);
    check_addresses(&one, &with(&[here, there, none]), &["10.0.0.1:80", "10.0.0.2:80", "10.0.0.4:80"]);
    check_addresses(&one, &with(&[here, there, empty]), &["10.0.0.1:80", "10.0.0.2:80", "10.0.0.4:80"]);
    check_addresses(&one, &with(&[there]), &["10.0.0.2:80"]);
    // Those that are not ready have no say, and are the last resort as ever.
    check_addresses(&one, &with(&[here, there, down, going]), &["10.0.0.1:80"]);
    check_addresses(&one, &with(&[going]), &["10.0.0.6:80"]);
    // The whole Service counts, and not each slice by itself.
    let more = with(&[here, there]) + &slice("s-2", "IPv4", "[{port: 80}]", &[none]);
    check_addresses(&one, &more, &["10.0.0.1:80", "10.0.0.2:80", "10.0.0.4:80"]);
}

#[test]
fn external_names_can_be_refused() {
    let yaml = "---\napiVersion: v1\nkind: Service\nmetadata: {name: out}\n\
                spec: {type: ExternalName, externalName: 169.254.169.254}\n"
        .to_owned()
        + &ingress("a", "", &rule("a.example", "/", "Prefix", "out", "{number: 80}"));
    let options = Options { external_names: ExternalNames::Refuse, ..Options::manifests() };
    check_with(
        &options,
        &yaml,
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/" -> default/out:80
        default/out:80 = []
        error: Ingress default/a: spec.rules[0].http.paths[0].backend.service.name = "out": The Service is an ExternalName, which --disable-svc-external-name forbids; requests get 503.
    "#]],
    );
}

#[test]
fn an_ingress_for_every_host_can_be_refused() {
    let yaml = SERVICE.to_owned()
        + "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: all}\n\
           spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}\n\
           ---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: own}\n\
           spec: {defaultBackend: {service: {name: web, port: {number: 80}}}, rules: [{host: a.example}]}\n";
    let options = Options { catch_all: CatchAll::Ignore, ..Options::manifests() };
    check_with(
        &options,
        &yaml,
        &expect![[r#"
        Ingress default/own
          "a.example"
          default -> default/web:80
        default/web:80 = [10.0.0.1:8080, 10.0.0.2:8080]
        error: Ingress default/all: spec.defaultBackend: A default backend without rules takes every host, which --disable-catch-all forbids; this Ingress is not served.
    "#]],
    );
}
