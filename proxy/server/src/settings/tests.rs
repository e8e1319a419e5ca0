use super::*;
use expect_test::{Expect, expect};
use std::io;
use std::path::Path;

fn read_with(arguments: &str, environment: &Environment, file: &str) -> Result<Read, Vec<Mistake>> {
    let arguments: Vec<_> = arguments.split_whitespace().map(str::to_owned).collect();
    layers::read(&arguments, environment, |path| {
        if path == Path::new("weir.yaml") { Ok(file.to_owned()) } else { Err(io::ErrorKind::NotFound.into()) }
    })
}

fn read(arguments: &str) -> Result<Read, Vec<Mistake>> {
    read_with(arguments, &Environment::default(), "")
}

fn settings(arguments: &str) -> Settings {
    read(arguments)
        .map_err(|mistakes| mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>())
        .unwrap()
        .settings
}

fn check_mistakes(read: Result<Read, Vec<Mistake>>, expect: &Expect) {
    let lines: Vec<_> = read.unwrap_err().iter().map(|mistake| format!("{mistake}\n")).collect();
    expect.assert_eq(&lines.concat());
}

#[test]
fn the_least_that_is_needed_is_a_source() {
    let expected = Settings { source: Some(Source::Manifests("m".into())), ..Settings::default() };
    assert_eq!(settings("--source manifests=m"), expected);
    check_mistakes(
        read(""),
        &expect![[r#"
            --source: is missing: expected kubernetes, manifests=DIR or podinfo=FILE
        "#]],
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let environment = Environment::from([("WEIR_LANE", "fast"), ("WEIR_SHUTDOWN_TIMEOUT", "1y")]);
    let file = "workers: 0\nlisten: x\naccess-log: [a, b]\nlog-format: json\n";
    let arguments = "--source kubernetes --http localhost --http 1.2.3.4 --htp 1 --clients=many --admin --profile nginx \
                     stray --upstream :443 --config weir.yaml --healthz-port 99999";
    check_mistakes(
        read_with(arguments, &environment, file),
        &expect![[r#"
            --htp: unknown flag; did you mean --http?
            --admin: needs a value
            weir serve: expected a flag, found "stray"
            weir.yaml: access-log: expected one value
            weir.yaml: listen: unknown setting
            --http: expected an IP address and a port such as 0.0.0.0:8080, [::]:8080 or :8080, found "localhost"
            --http: expected an IP address and a port such as 0.0.0.0:8080, [::]:8080 or :8080, found "1.2.3.4"
            --profile: expected weir or ingress-nginx, found "nginx"
            --upstream: expected an IP address and a port such as 127.0.0.1:8080, [::1]:8080 or localhost:8080, found ":443"
            weir.yaml: workers: expected a whole number from 1 to 1024, found "0"
            --clients: expected a whole number from 1 to 100000000, found "many"
            WEIR_SHUTDOWN_TIMEOUT: expected a duration such as 30s, 500ms or 2m, at most 24h, found "1y"
            WEIR_LANE: expected auto or pingora, found "fast"
            --healthz-port: expected a port from 0 to 65535, found "99999"
        "#]],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    check_mistakes(
        read("--source manifests=m --config nowhere.yaml"),
        &expect![[r#"
        --config: cannot read the file: entity not found, found "nowhere.yaml"
    "#]],
    );
    check_mistakes(
        read_with("--source manifests=m --config weir.yaml", &Environment::default(), "- a\n- b\n"),
        &expect![[r#"
            weir.yaml: expected a YAML map of settings: line 1 column 1: expected mapping start
        "#]],
    );
}

#[test]
fn a_pod_needs_an_upstream_and_is_told_what_else_is_mounted() {
    let source = "--source podinfo=/etc/podinfo/annotations";
    check_mistakes(
        read(source),
        &expect![[r#"
            --upstream: is missing: expected the address of the other container, such as 127.0.0.1:8080
        "#]],
    );
    check_mistakes(
        read(&format!("{source} --upstream unix:/run/app.sock --upstream app:80")),
        &expect![[r#"
            --upstream: expected an IP address and a port such as 127.0.0.1:8080, [::1]:8080 or localhost:8080, found "unix:/run/app.sock"
            --upstream: expected an IP address and a port such as 127.0.0.1:8080, [::1]:8080 or localhost:8080, found "app:80"
        "#]],
    );
    check_mistakes(
        read(&format!(
            "{source} --upstream 127.0.0.1:8081 --upstream 127.0.0.1:8080 --upstream [::1]:10254 --http :8080"
        )),
        &expect![[r#"
            --upstream: expected the other container's address and not our own (0.0.0.0:8080), found "127.0.0.1:8080"
        "#]],
    );
    assert_eq!(
        settings(&format!("{source} --upstream 127.0.0.1:8080")).http,
        ["0.0.0.0:8081".parse().unwrap()]
    );
    let empty = Environment::from([("WEIR_UPSTREAM", "")]);
    check_mistakes(
        read_with(source, &empty, ""),
        &expect![[r#"
        --upstream: expected one address at least
    "#]],
    );
    let all = read(&format!(
        "{source} --upstream localhost:9001 --upstream [::1]:9002 --tls-secret-dir /tls --configmap-dir=/settings \
         --secret-dir shop/a=/a --secret-dir shop/b=/b"
    ));
    let all = all.unwrap();
    assert_eq!(all.warnings, [""; 0]);
    let secrets = [("shop/a", "/a"), ("shop/b", "/b")];
    let expected = PodSettings {
        upstreams: vec!["127.0.0.1:9001".parse().unwrap(), "[::1]:9002".parse().unwrap()],
        tls_secret: Some("/tls".into()),
        secrets: secrets.map(|(name, folder)| (name.parse().unwrap(), folder.into())).into(),
        config_map: Some("/settings".into()),
    };
    assert_eq!(all.settings.pod, expected);
    assert_eq!(all.settings.source, Some(Source::PodInfo("/etc/podinfo/annotations".into())));
}

#[test]
fn a_pod_is_one_of_many_and_has_smaller_defaults_that_can_be_changed() {
    let pod = "--source podinfo=a --upstream 127.0.0.1:1";
    let sizes = |arguments: &str| {
        let Settings { workers, clients, in_flight, .. } = settings(arguments);
        (workers.get(), clients.get(), in_flight.get())
    };
    let (workers, clients, in_flight) = sizes(pod);
    assert!(workers <= 2);
    assert_eq!((clients, in_flight), (50_000, 10_000));
    assert_eq!(sizes(&format!("{pod} --workers 9 --clients 8 --in-flight 7")), (9, 8, 7));
    assert_eq!(sizes("--source manifests=m").1, 1_000_000);
}

#[test]
fn what_has_no_effect_with_a_source_is_warned_of_wherever_it_stands() {
    let warnings = |arguments: &str| {
        let environment = Environment::from([("WEIR_KUBECONFIG", "k"), ("WEIR_CONFIG", "weir.yaml")]);
        read_with(arguments, &environment, "election-id: x\n").unwrap().warnings.join("\n")
    };
    expect![[r#"
        --ingress-class has no effect with --source podinfo=a: it is for kubernetes and manifests
        WEIR_KUBECONFIG has no effect with --source podinfo=a: it is for kubernetes
        weir.yaml: election-id has no effect with --source podinfo=a: it is for kubernetes"#]]
    .assert_eq(&warnings("--source podinfo=a --upstream 127.0.0.1:1 --ingress-class nginx"));
    expect![[r#"
        --upstream has no effect with --source manifests=m: it is for podinfo
        WEIR_KUBECONFIG has no effect with --source manifests=m: it is for kubernetes
        weir.yaml: election-id has no effect with --source manifests=m: it is for kubernetes"#]]
    .assert_eq(&warnings("--source manifests=m --upstream 127.0.0.1:1 --ingress-class nginx"));
    expect!["--tls-secret-dir has no effect with --source kubernetes: it is for podinfo"]
        .assert_eq(&warnings("--source kubernetes --tls-secret-dir=/tls --ingress-class nginx"));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file =
        "source: manifests=file\nworkers: 3\nhttp: [\"127.0.0.1:1\", \"127.0.0.1:2\"]\nlane: pingora\n";
    let environment = Environment::from([
        ("WEIR_CONFIG", "weir.yaml"),
        ("WEIR_WORKERS", "5"),
        ("WEIR_SOURCE", "manifests=env"),
    ]);
    let settings = read_with("--source manifests=flag", &environment, file).unwrap().settings;
    assert_eq!(settings.source, Some(Source::Manifests("flag".into())));
    assert_eq!(settings.workers.get(), 5);
    assert_eq!(settings.http, ["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()]);
    assert_eq!(settings.lanes, Lanes::Pingora);
}

#[test]
fn lists_are_replaced_and_not_joined() {
    let environment = Environment::from([("WEIR_HTTP", "127.0.0.1:1, 127.0.0.1:2")]);
    let from_environment = read_with("--source manifests=m", &environment, "").unwrap().settings;
    assert_eq!(from_environment.http.len(), 2);
    let from_flag = read_with("--source manifests=m --http :0", &environment, "").unwrap().settings;
    assert_eq!(from_flag.http, ["0.0.0.0:0".parse().unwrap()]);
}

#[test]
fn there_is_always_an_address_to_listen_on() {
    let environment = Environment::from([("WEIR_HTTP", " ")]);
    let expected = &expect![[r#"
        --http: expected one address at least
    "#]];
    check_mistakes(read_with("--source manifests=m", &environment, ""), expected);
    check_mistakes(
        read_with("--source manifests=m --config weir.yaml", &Environment::default(), "http: []"),
        expected,
    );
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_called_weir_do_no_harm() {
    let environment = Environment::from([
        ("WEIR_SERVICE_HOST", "10.0.0.1"),
        ("WEIR_SERVICE_PORT", "80"),
        ("WEIR_SERVICE_PORT_HTTP", "80"),
        ("WEIR_PORT", "tcp://10.0.0.1:80"),
        ("WEIR_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("WEIR_PORT_80_TCP_PROTO", "tcp"),
    ]);
    let read = read_with("--source manifests=m", &environment, "").unwrap();
    assert_eq!(read.settings, settings("--source manifests=m"));
    assert!(rows().all(|row| row.name != "port" && !row.name.starts_with("port-")));
    assert!(rows().all(|row| !row.name.starts_with("service-")));
}

#[test]
fn arguments_of_ingress_nginx_start_weir() {
    let read = read(
        "--source manifests=m --publish-service=ns/svc --election-id=x --controller-class=k8s.io/ingress-nginx \
         --ingress-class=nginx --configmap=ns/cm --http-port=8081 --healthz-port 10260 --healthz-host=127.0.0.1 \
         --enable-metrics=false --watch-ingress-without-class=true --enable-ssl-passthrough -v=2 \
         --watch-namespace= --annotations-prefix=example.com",
    )
    .unwrap();
    let settings = read.settings;
    assert_eq!(settings.http, ["0.0.0.0:8081".parse().unwrap()]);
    assert_eq!(settings.admin, Admin::On("127.0.0.1:10260".parse().unwrap()));
    let options = settings.options();
    assert_eq!(options.controllers, ["k8s.io/ingress-nginx"]);
    assert_eq!(options.class_names, ["nginx"]);
    assert_eq!(options.without_class, WithoutClass::Serve);
    assert_eq!(options.annotation_prefix, "example.com");
    assert_eq!(options.config_map.map(|name| name.to_string()).as_deref(), Some("ns/cm"));
    assert_eq!(options.watch_namespace, None);
    assert_eq!(settings.publish.election_id, "x");
    assert_eq!(settings.publish.service.as_ref().map(ToString::to_string).as_deref(), Some("ns/svc"));
    assert_eq!(
        read.warnings[..3],
        ["v", "enable-metrics", "enable-ssl-passthrough"]
            .map(|name| format!("--{name} is accepted and has no effect"))
    );
    assert_eq!(
        read.warnings[3..],
        ["publish-service", "election-id"]
            .map(|name| format!("--{name} has no effect with --source manifests=m: it is for kubernetes"))
    );
}

#[test]
fn who_watches_one_namespace_needs_no_ingress_class() {
    let by_name = |arguments| settings(arguments).options().class_by_name;
    assert_eq!(by_name("--source kubernetes"), ClassByName::Never);
    assert_eq!(by_name("--source kubernetes --watch-namespace a"), ClassByName::WithoutClassObjects);
    let always = "--source kubernetes --watch-namespace a --ingress-class-by-name";
    assert_eq!(by_name(always), ClassByName::Always);
}

#[test]
fn one_namespace_and_a_selection_of_them_exclude_each_other() {
    let mistakes =
        read("--source kubernetes --watch-namespace a --watch-namespace-selector b=c").unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert_eq!(mistakes[0].place, "--watch-namespace-selector");
    assert!(read("--source kubernetes --watch-namespace= --watch-namespace-selector b=c").is_ok());
    // A folder has all its objects, so nothing selects for us.
    assert_eq!(read("--source manifests=m --watch-namespace-selector b=c").unwrap_err().len(), 1);
}

#[test]
fn a_selector_that_cannot_be_understood_is_a_mistake() {
    let arguments =
        ["--source", "kubernetes", "--watch-namespace-selector", "team in (a, b"].map(str::to_owned);
    let read = layers::read(&arguments, &Environment::default(), |_| Err(io::ErrorKind::NotFound.into()));
    check_mistakes(
        read,
        &expect![[r#"
        --watch-namespace-selector: expected a label selector such as `team=shop,stage!=test,tier in (a,b),!old`: the end is neither a comma nor the end of a set, found "team in (a, b"
    "#]],
    );
    let good = ["--source=kubernetes", "--watch-namespace-selector=team in (a, b)"].map(str::to_owned);
    let read = layers::read(&good, &Environment::default(), |_| Err(io::ErrorKind::NotFound.into())).unwrap();
    assert_eq!(read.settings.objects.watch_namespace_selector.as_deref(), Some("team in (a, b)"));
}

#[test]
fn what_may_be_served_and_where_from_is_said_as_to_ingress_nginx() {
    let read = read(
        "--source kubernetes --disable-svc-external-name --disable-catch-all=true --enable-topology-aware-routing \
         --zone z1 --apiserver-host=https://192.0.2.1:6443 --certificate-authority=/ca.crt",
    )
    .unwrap();
    assert_eq!(read.warnings, [""; 0]);
    let options = read.settings.options();
    assert_eq!((options.external_names, options.catch_all), (ExternalNames::Refuse, CatchAll::Ignore));
    assert_eq!(options.zone.as_deref(), Some("z1"));
    assert_eq!(read.settings.objects.apiserver_host.as_deref(), Some("https://192.0.2.1:6443"));
    assert_eq!(settings("--source kubernetes --zone z1").options().zone, None, "hints are not asked for");
    assert_eq!(settings("--source kubernetes --apiserver-host=").objects.apiserver_host, None);
}

#[test]
fn a_cluster_serves_classes_of_weir_alone_unless_others_are_named() {
    let controllers = |arguments: &str| read(arguments).unwrap().settings.options().controllers;
    assert_eq!(controllers("--source kubernetes"), ["weir.dev/ingress-controller"]);
    let both = "--source kubernetes --controller-class a/b --controller-class k8s.io/ingress-nginx";
    assert_eq!(controllers(both), ["a/b", "k8s.io/ingress-nginx"]);
}

#[test]
fn our_own_flag_wins_over_one_of_ingress_nginx() {
    let read = read("--source manifests=m --http 127.0.0.1:1 --http-port 2").unwrap();
    assert_eq!(read.settings.http, ["127.0.0.1:1".parse().unwrap()]);
    assert_eq!(read.warnings, ["--http-port is accepted and has no effect beside --http"]);
}

/// Laws of the table.
#[test]
fn names_are_unique_and_speak_for_themselves() {
    let mut names: Vec<_> =
        rows().map(|row| row.name).chain(foreign::FLAGS.iter().map(|flag| flag.name)).collect();
    names.push(layers::CONFIG);
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for row in rows() {
        assert!(
            row.name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')),
            "{}",
            row.name
        );
        assert!(row.summary.ends_with('.') && row.summary.len() < 260, "{}", row.name);
        assert_eq!(row.placeholder.is_empty(), matches!(row.arity, table::Arity::Switch), "{}", row.name);
    }
}

#[test]
fn good_values_are_read_bad_ones_say_what_was_expected_and_defaults_read_back() {
    for row in rows() {
        let mut settings = Settings::default();
        assert_eq!((row.set)(&mut settings, row.good), Ok(()), "{}", row.name);
        let bad = (row.set)(&mut Settings::default(), row.bad);
        if row.name == "watch-namespace" {
            assert_eq!(bad, Ok(()), "empty is every namespace");
        } else {
            assert!(bad.unwrap_err().contains("expected"), "{}", row.name);
        }
        let printed = (row.print)(&Settings::default());
        if !printed.is_empty() && row.name != "workers" {
            let mut again = Settings::default();
            if let table::Arity::Many(clear) = row.arity {
                clear(&mut again);
            }
            assert_eq!((row.set)(&mut again, &printed), Ok(()), "{}", row.name);
            assert_eq!((row.print)(&again), printed, "{}", row.name);
        }
    }
}

#[test]
fn the_page_is_up_to_date() -> io::Result<()> {
    crate::pages::up_to_date("settings.md", &page())
}
