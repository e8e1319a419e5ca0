//! Backends → addresses.

use super::*;

#[test]
fn a_port_is_found_by_number_and_by_name() {
    let yaml = SERVICE.to_owned()
        + &ingress(
            "a",
            "",
            &(rule("a.example", "/", "Prefix", "web", "{number: 80}")
                + &rule("b.example", "/x", "Exact", "web", "{name: admin}")),
        );
    check(
        &yaml,
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/" -> default/web:80
          "b.example" Exact "/x" -> default/web:admin
        default/web:80 = [10.0.0.1:8080, 10.0.0.2:8080]
        default/web:admin = [10.0.0.1:9090, 10.0.0.2:9090]
    "#]],
    );
}

#[test]
fn a_target_port_is_found_as_in_ingress_nginx_and_told() {
    let yaml =
        SERVICE.to_owned() + &ingress("a", "", &rule("a.example", "/", "Prefix", "web", "{number: 8080}"));
    check(
        &yaml,
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/" -> default/web:8080
        default/web:8080 = [10.0.0.1:8080, 10.0.0.2:8080]
        warning: Ingress default/a: spec.rules[0].http.paths[0].backend.service.port.number = "8080": No port of the Service, but the targetPort of one, which is used as in ingress-nginx; Kubernetes means the port of the Service here.
    "#]],
    );
}

#[test]
fn what_is_missing_is_told_and_answers_503() {
    let rules = rule("a.example", "/service", "Prefix", "none", "{number: 80}")
        + &rule("a.example", "/port", "Prefix", "web", "{number: 82}")
        + &rule("a.example", "/name", "Prefix", "web", "{name: nope}")
        + &rule("a.example", "/both", "Prefix", "web", "{number: 80, name: http}")
        + &rule("a.example", "/neither", "Prefix", "web", "{}")
        + &rule("a.example", "/range", "Prefix", "web", "{number: 70000}");
    check(
        &(SERVICE.to_owned() + &ingress("a", "", &rules)),
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/service" -> default/none:80
          "a.example" Prefix "/port" -> default/web:82
          "a.example" Prefix "/name" -> default/web:nope
          "a.example" Prefix "/both" -> default/web:
          "a.example" Prefix "/neither" -> default/web:
          "a.example" Prefix "/range" -> default/web:
        default/none:80 = []
        default/web:82 = []
        default/web:nope = []
        error: Ingress default/a: spec.rules[0].http.paths[0].backend.service.name = "none": There is no such Service in this namespace; requests get 503.
        error: Ingress default/a: spec.rules[1].http.paths[0].backend.service.port.number = "82": The Service has no such TCP port (it has http = 80/TCP, admin = 81/TCP); requests get 503.
        error: Ingress default/a: spec.rules[2].http.paths[0].backend.service.port.name = "nope": The Service has no such TCP port (it has http = 80/TCP, admin = 81/TCP); requests get 503.
        error: Ingress default/a: spec.rules[3].http.paths[0].backend.service.port = "80": Expected either a name or a number, not both; requests get 503.
        error: Ingress default/a: spec.rules[4].http.paths[0].backend.service.port: Expected the name or number of a port; requests get 503.
        error: Ingress default/a: spec.rules[5].http.paths[0].backend.service.port = "70000": Expected a number from 1 to 65535; requests get 503.
    "#]],
    );
}

#[test]
fn no_slices_no_ready_endpoints_and_no_such_slice_port_answer_503() {
    let yaml = "\
---
apiVersion: v1
kind: Service
metadata: {name: bare}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: down}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: down-1, labels: {kubernetes.io/service-name: down}}
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]
---
apiVersion: v1
kind: Service
metadata: {name: named}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: named-1, labels: {kubernetes.io/service-name: named}}
addressType: IPv4
ports: [{port: 80}, {name: http, port: 80, protocol: UDP}]
endpoints: [{addresses: [10.0.0.1]}]
";
    let rules =
        ["bare", "down", "named"].map(|name| rule("a.example", "/", "Prefix", name, "{number: 80}")).concat();
    check(
        &(yaml.to_owned() + &ingress("a", "", &rules)),
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/" -> default/bare:80
          "a.example" Prefix "/" -> default/down:80
          "a.example" Prefix "/" -> default/named:80
        default/bare:80 = []
        default/down:80 = []
        default/named:80 = []
        warning: Ingress default/a: spec.rules[0].http.paths[0].backend.service.name = "bare": The Service has no EndpointSlice (label kubernetes.io/service-name); requests get 503.
        warning: Ingress default/a: spec.rules[1].http.paths[0].backend.service.name = "down": No endpoint of the Service is ready; requests get 503.
        warning: Ingress default/a: spec.rules[2].http.paths[0].backend.service.port.number = "80": No EndpointSlice of the Service has a port called "http", as the Service calls it; requests get 503.
    "#]],
    );
}

#[test]
fn endpoints_that_are_going_away_are_the_last_resort() {
    let slice = |name: &str, endpoints: &str| {
        format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}\n\
             addressType: IPv4\nports: [{{port: 80}}]\nendpoints:\n{endpoints}\
             ---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}\n"
        )
    };
    let going = "- {addresses: [10.0.0.1], conditions: {ready: false, serving: true, terminating: true}}\n";
    let gone = "- {addresses: [10.0.0.2], conditions: {ready: false, serving: false, terminating: true}}\n";
    let ready = "- {addresses: [10.0.0.3], conditions: {serving: true}}\n";
    let yaml = slice("going", &[going, gone].concat()) + &slice("mixed", &[going, gone, ready].concat());
    let rules =
        ["going", "mixed"].map(|name| rule("a.example", "/", "Prefix", name, "{number: 80}")).concat();
    check(
        &(yaml + &ingress("a", "", &rules)),
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/" -> default/going:80
          "a.example" Prefix "/" -> default/mixed:80
        default/going:80 = [10.0.0.1:80]
        default/mixed:80 = [10.0.0.3:80]
    "#]],
    );
}

#[test]
fn addresses_come_once_and_in_order_from_all_slices_and_bad_ones_are_told() {
    let yaml = "\
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-2, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
ports: [{port: 8080}]
endpoints: [{addresses: ['fd00::2', 'fd00::1']}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: ''}]
endpoints: [{addresses: [10.0.0.9]}, {addresses: [10.0.0.1]}, {addresses: [10.0.0.9]}, {addresses: [0.0.0.0, x]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-3, labels: {kubernetes.io/service-name: web}}
addressType: FQDN
ports: [{port: 8080}]
endpoints: [{addresses: [web.example]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: other, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.9.9.9]}]
";
    let rules = rule("a.example", "/", "Prefix", "web", "{number: 80}");
    check(
        &(yaml.to_owned() + &ingress("a", "", &rules)),
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/" -> default/web:80
        default/web:80 = [10.0.0.1:8080, 10.0.0.9:8080, [fd00::1]:8080, [fd00::2]:8080]
        error: EndpointSlice default/web-1: endpoints[3].addresses[0] = "0.0.0.0": Expected the IP address of one host; it is left out.
        error: EndpointSlice default/web-1: endpoints[3].addresses[1] = "x": Expected the IP address of one host; it is left out.
        warning: EndpointSlice default/web-3: addressType = "FQDN": Only IPv4 and IPv6 are served; the slice is not used (a Service with externalName takes names).
    "#]],
    );
}

#[test]
fn a_headless_service_without_ports_has_those_of_its_pods() {
    let yaml = "\
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: x, port: 8080}, {name: 'y', port: 9090}]
endpoints: [{addresses: [10.0.0.9]}]
";
    let rules = rule("a.example", "/", "Prefix", "web", "{number: 9090}");
    check(
        &(yaml.to_owned() + &ingress("a", "", &rules)),
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/" -> default/web:9090
        default/web:9090 = [10.0.0.9:9090]
    "#]],
    );
}

#[test]
fn external_names_are_names_or_addresses() {
    let service = |name: &str, external: &str, ports: &str| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
             spec: {{type: ExternalName, externalName: {external}, ports: {ports}}}\n"
        )
    };
    let yaml = service("a", "API.Example.org.", "[]")
        + &service("b", "127.0.0.1", "[]")
        + &service("c", "api.example.org", "[{name: web, port: 80, targetPort: 8443}]")
        + &service("d", "'no name'", "[]");
    let rules = rule("a.example", "/a", "Prefix", "a", "{number: 443}")
        + &rule("a.example", "/b", "Prefix", "b", "{number: 9000}")
        + &rule("a.example", "/c", "Prefix", "c", "{name: web}")
        + &rule("a.example", "/cc", "Prefix", "c", "{name: nope}")
        + &rule("a.example", "/d", "Prefix", "d", "{number: 80}");
    check(
        &(yaml + &ingress("a", "", &rules)),
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/a" -> default/a:443
          "a.example" Prefix "/b" -> default/b:9000
          "a.example" Prefix "/c" -> default/c:web
          "a.example" Prefix "/cc" -> default/c:nope
          "a.example" Prefix "/d" -> default/d:80
        default/a:443 = api.example.org:443
        default/b:9000 = [127.0.0.1:9000]
        default/c:nope = []
        default/c:web = api.example.org:8443
        default/d:80 = []
        error: Ingress default/a: spec.rules[3].http.paths[0].backend.service.port.name = "nope": The Service has no such TCP port (it has web = 80/TCP); requests get 503.
        error: Ingress default/a: spec.rules[4].http.paths[0].backend.service.name = "d": The externalName of the Service is no DNS name; requests get 503.
    "#]],
    );
}

#[test]
fn backends_of_the_command_line_win_under_either_name_of_the_port() {
    let mut options = Options::manifests();
    for text in [
        "default/web:80=127.0.0.1:9001",
        "default/web:80=127.0.0.1:9000",
        "default/ghost:http=[::1]:9002",
        "default/unused:1=127.0.0.1:1",
    ] {
        options.add_backend(text.parse().unwrap());
    }
    let rules = rule("a.example", "/", "Prefix", "web", "{name: http}")
        + &rule("a.example", "/ghost", "Prefix", "ghost", "{name: http}");
    check_with(
        &options,
        &(SERVICE.to_owned() + &ingress("a", "", &rules)),
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/" -> default/web:http
          "a.example" Prefix "/ghost" -> default/ghost:http
        default/ghost:http = [[::1]:9002]
        default/web:http = [127.0.0.1:9001, 127.0.0.1:9000]
        warning: Service default/unused: --backend = "1": No Ingress leads to this port; the address is not used.
    "#]],
    );
}

#[test]
fn flags_that_name_objects_are_read_or_refused() {
    for bad in [
        "",
        "web",
        "a/web=127.0.0.1:1",
        "a/web:80",
        "a/web:80=localhost:1",
        "a/web:0=127.0.0.1:1",
        "web:80=1.2.3.4:1",
    ] {
        assert!(bad.parse::<BackendOverride>().is_err(), "{bad:?}");
    }
    for bad in ["", "a", "a/", "/b", "a/b/c"] {
        assert!(bad.parse::<ObjectName>().is_err(), "{bad:?}");
    }
    assert_eq!("a/b".parse::<ObjectName>().unwrap().to_string(), "a/b");
}

#[test]
fn a_resource_and_no_service_at_all_are_404() {
    let yaml = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a}
spec:
  defaultBackend: {resource: {kind: Bucket, name: static}}
  rules:
  - http:
      paths:
      - {path: /r, pathType: Prefix, backend: {resource: {kind: Bucket, name: static}}}
      - {path: /n, pathType: Prefix, backend: {}}
";
    check(
        yaml,
        &expect![[r#"
        Ingress default/a
          "" Prefix "/r" -> 404
          "" Prefix "/n" -> 404
        error: Ingress default/a: spec.rules[0].http.paths[0].backend.resource = "static": Only Services are served; requests get 404.
        error: Ingress default/a: spec.rules[0].http.paths[1].backend: Expected a service; requests get 404.
        error: Ingress default/a: spec.defaultBackend.resource = "static": Only Services are served; requests get 404.
    "#]],
    );
}

#[test]
fn default_backends_of_an_object_and_of_the_proxy() {
    let yaml = "\
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: empty}
spec: {}
";
    let mut options = Options::manifests();
    options.default_backend = Some("default/web".parse().unwrap());
    check_with(
        &options,
        &(SERVICE.to_owned() + yaml),
        &expect![[r#"
        Ingress default/a
          default -> default/web:80
        Ingress default/empty
        default/web:80 = [10.0.0.1:8080, 10.0.0.2:8080]
        without route -> default/web:80
        warning: Ingress default/empty: spec: There are neither rules nor a default backend.
    "#]],
    );
    options.default_backend = Some("default/none".parse().unwrap());
    check_with(
        &options,
        "",
        &expect![[r#"
        error: Service default/none: metadata.name = "none": Named as the default backend, but there is no such Service; requests without a route get 404.
    "#]],
    );
}

/// A Service with these addresses of its own, and one endpoint.
fn with_cluster_ips(name: &str, ips: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{{ips}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n\
         ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         addressType: IPv4\nports: [{{name: http, port: 8080}}]\nendpoints: [{{addresses: [10.0.0.1]}}]\n"
    )
}

#[test]
fn a_service_stands_for_its_pods_where_its_ingress_says_so() {
    let yaml = with_cluster_ips("one", "clusterIP: 10.96.0.1")
        + &with_cluster_ips("two", "clusterIP: 10.96.0.2, clusterIPs: [10.96.0.2, 'fd00::2']")
        + &with_cluster_ips("headless", "clusterIP: None, clusterIPs: [None]")
        + &with_cluster_ips("given", "clusterIP: 10.96.0.3")
        + "---\napiVersion: v1\nkind: Service\nmetadata: {name: out}\n\
           spec: {type: ExternalName, externalName: api.example.org}\n";
    let rules = rule("a.example", "/one", "Prefix", "one", "{number: 80}")
        + &rule("a.example", "/two", "Prefix", "two", "{name: http}")
        + &rule("a.example", "/target", "Prefix", "one", "{number: 8080}")
        + &rule("a.example", "/headless", "Prefix", "headless", "{number: 80}")
        + &rule("a.example", "/given", "Prefix", "given", "{name: http}")
        + &rule("a.example", "/out", "Prefix", "out", "{number: 443}")
        + &rule("a.example", "/none", "Prefix", "none", "{number: 80}");
    let pods = rule("b.example", "/one", "Prefix", "one", "{number: 80}");
    let yaml = yaml
        + &ingress("a", "annotations: {nginx.ingress.kubernetes.io/service-upstream: 'true'}", &rules)
        + &ingress("b", "annotations: {weir.dev/service-upstream: 'false'}", &pods);
    let mut options = Options::manifests();
    options.add_backend("default/given:80=127.0.0.1:9000".parse().unwrap());
    check_with(
        &options,
        &yaml,
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/one" -> default/one:80 (ClusterIP)
          "a.example" Prefix "/two" -> default/two:http (ClusterIP)
          "a.example" Prefix "/target" -> default/one:8080 (ClusterIP)
          "a.example" Prefix "/headless" -> default/headless:80
          "a.example" Prefix "/given" -> default/given:http
          "a.example" Prefix "/out" -> default/out:443
          "a.example" Prefix "/none" -> default/none:80
        Ingress default/b
          "b.example" Prefix "/one" -> default/one:80
        default/given:http = [127.0.0.1:9000]
        default/headless:80 = [10.0.0.1:8080]
        default/none:80 = []
        default/one:80 = [10.0.0.1:8080]
        default/one:80 (ClusterIP) = [10.96.0.1:80]
        default/one:8080 (ClusterIP) = [10.96.0.1:80]
        default/out:443 = api.example.org:443
        default/two:http (ClusterIP) = [10.96.0.2:80, [fd00::2]:80]
        warning: Ingress default/a: spec.rules[2].http.paths[0].backend.service.port.number = "8080": No port of the Service, but the targetPort of one, which is used as in ingress-nginx; Kubernetes means the port of the Service here.
        warning: Ingress default/a: spec.rules[3].http.paths[0].backend.service.name = "headless": The Service has no ClusterIP, which service-upstream asks for; its endpoints are used.
        error: Ingress default/a: spec.rules[6].http.paths[0].backend.service.name = "none": There is no such Service in this namespace; requests get 503.
    "#]],
    );
}

#[test]
fn a_service_stands_for_its_pods_where_the_configmap_says_so() {
    let yaml = with_cluster_ips("web", "clusterIP: 10.96.0.1")
        + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: ingress}\n\
           data: {service-upstream: 'true'}\n"
        + &ingress("a", "", &rule("a.example", "/", "Prefix", "web", "{number: 80}"))
        + &ingress(
            "b",
            "annotations: {weir.dev/service-upstream: 'false'}",
            &rule("b.example", "/", "Prefix", "web", "{number: 80}"),
        );
    let mut options = Options::manifests();
    options.config_map = Some("ingress/settings".parse().unwrap());
    // Where the proxy itself leads, endpoints are meant, as in ingress-nginx.
    options.default_backend = Some("default/web".parse().unwrap());
    check_with(
        &options,
        &yaml,
        &expect![[r#"
        Ingress default/a
          "a.example" Prefix "/" -> default/web:80 (ClusterIP)
        Ingress default/b
          "b.example" Prefix "/" -> default/web:80
        default/web:80 = [10.0.0.1:8080]
        default/web:80 (ClusterIP) = [10.96.0.1:80]
        without route -> default/web:80
    "#]],
    );
}
