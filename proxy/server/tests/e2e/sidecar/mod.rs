//! weir beside an application, in the same pod: its annotations and Secrets are files, and there is no API server.

mod example;
mod secrets;
mod weight;

use crate::support::volume::{Volume, annotations};
use crate::support::{Client, Origin, Reaction, Weir, binary, burst, count, get, installed, until};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

/// A pod with weir and an application in it.
struct Pod {
    /// The volumes, in a folder that weir's process keeps.
    podinfo: Volume,
    weir: Weir,
}

impl Pod {
    /// With these annotations and flags, and requests for `upstream`.
    fn start(upstream: SocketAddr, of: &[(&str, &str)], flags: &[&str]) -> Self {
        Self::with(upstream, of, |_, command| {
            command.args(flags);
        })
    }

    /// With a command that is made ready with the folder of the volumes.
    fn with(
        upstream: SocketAddr,
        of: &[(&str, &str)],
        prepare: impl FnOnce(&std::path::Path, &mut Command),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let podinfo = Volume::new(folder.path().join("podinfo"));
        podinfo.swap(&[("annotations", &annotations(of)), ("labels", "app=\"api\"")]);
        let mut command = command(&podinfo, upstream);
        prepare(folder.path(), &mut command);
        Self { podinfo, weir: Weir::run(folder, command) }
    }

    /// As after `kubectl annotate pod`, once the kubelet has come by; waits until it is in force.
    fn annotate(&self, of: &[(&str, &str)]) {
        let before = self.weir.generation();
        self.podinfo.swap(&[("annotations", &annotations(of)), ("labels", "app=\"api\"")]);
        until("the change is in force", || self.weir.generation() > before);
    }
}

/// As the container's `args` have it, but for ports that the system chooses.
fn command(podinfo: &Volume, upstream: SocketAddr) -> Command {
    let mut command = Command::new(binary());
    command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--access-log", "off"]);
    command.arg("--source").arg(format!("podinfo={}", podinfo.path("annotations").display()));
    command.args(["--upstream", &upstream.to_string()]);
    command.env("POD_NAMESPACE", "shop").env("POD_NAME", "api-0");
    command
}

/// Of ten requests at once, those that passed.
fn passed(pod: &Pod) -> usize {
    count(&burst(&mut Client::connect(pod.weir.http), "any.example", "/", 10).0, 200)
}

#[test]
fn the_pods_own_annotations_limit_its_clients_and_changes_are_in_force_at_once() {
    let origin = Origin::echo();
    let pod = Pod::start(origin.address, &[("limit-rph", "1"), ("limit-burst", "2")], &[]);
    assert_eq!(passed(&pod), 3);
    // Both prefixes, and whatever host and path is asked for.
    let nginx = [("nginx.ingress.kubernetes.io/limit-rpm", "1"), ("limit-burst", "5")];
    pod.annotate(&nginx);
    assert_eq!(passed(&pod), 6);
    assert_eq!(get(pod.weir.http, "other.example:8080", "/deep/path?q").status, 429);
    pod.annotate(&[("allow-methods", "PUT")]);
    assert_eq!(passed(&pod), 0);
    assert_eq!(pod.weir.findings(), Vec::<serde_json::Value>::new(), "annotations of others are not ours");
    let refusals = r#"weir_refusals_total{namespace="shop",ingress="",rule="allow-methods",reason="method",mode="enforce"}"#;
    assert_eq!(pod.weir.metric(refusals), Some(10.0));
}

#[test]
fn mistakes_are_told_in_the_log_in_the_api_and_in_a_metric_and_are_not_weaker_than_no_mistake() {
    let origin = Origin::echo();
    let pod = Pod::start(origin.address, &[("limit-rps", "many"), ("limt-rpm", "5")], &[]);
    assert_eq!(get(pod.weir.http, "a.test", "/").status, 503, "an invalid limit is not no limit");
    let findings = pod.weir.findings();
    let said: Vec<_> = findings
        .iter()
        .map(|f| format!("{} {} {}/{} {}", f["severity"], f["kind"], f["namespace"], f["name"], f["field"]))
        .collect();
    let told =
        |name: &str| format!(r#""error" "Pod" "shop"/"api-0" "metadata.annotations[weir.dev/{name}]""#);
    assert_eq!(said, [told("limit-rps"), told("limt-rpm")]);
    let errors = r#"weir_config_findings{severity="error"}"#;
    assert_eq!(pod.weir.metric(errors), Some(2.0));
    let log = pod.weir.stderr();
    assert!(log.contains("Pod shop/api-0") && log.contains("did you mean limit-rpm?"), "{log}");
    pod.annotate(&[("limit-rps", "5")]);
    assert_eq!((pod.weir.findings().len(), pod.weir.metric(errors)), (0, Some(0.0)));
    assert_eq!(get(pod.weir.http, "a.test", "/").status, 200);
}

#[test]
fn counters_live_through_a_change_of_annotations() {
    let origin = Origin::echo();
    let pod = Pod::start(origin.address, &[("limit-rph", "1"), ("limit-burst", "4")], &[]);
    assert_eq!(passed(&pod), 5);
    pod.annotate(&[("limit-rph", "1"), ("limit-burst", "4"), ("example.dev/other", "1")]);
    assert_eq!(passed(&pod), 0);
}

/// A file mounted by `subPath` is plain, and so is one that somebody edits.
#[test]
fn a_plain_file_may_be_edited_in_place_and_what_cannot_be_read_changes_nothing() {
    let origin = Origin::echo();
    let folder = tempfile::tempdir().unwrap();
    let podinfo = Volume::new(folder.path().join("podinfo"));
    let file = podinfo.path("annotations");
    let write = |of: &[(&str, &str)]| std::fs::write(&file, annotations(of)).unwrap();
    write(&[("limit-rph", "1"), ("limit-burst", "2")]);
    let weir = Weir::run(folder, command(&podinfo, origin.address));
    let pod = Pod { podinfo: Volume::new(file.parent().unwrap()), weir };
    assert_eq!(passed(&pod), 3);
    let change = |text: &str| {
        let before = pod.weir.generation();
        std::fs::write(&file, text).unwrap();
        until("the change is in force", || pod.weir.generation() > before);
    };
    change("weir.dev/limit-rph=1\nweir.dev/limit-burst=\"9");
    assert_eq!(passed(&pod), 0, "the last good version is in force");
    let said = pod.weir.findings();
    let lines: Vec<_> = said.iter().map(|finding| finding["field"].as_str().unwrap()).collect();
    assert_eq!(lines, ["line 1", "line 2"]);
    assert_eq!(said[0]["name"], file.to_str().unwrap());
    change(&annotations(&[]));
    assert_eq!(passed(&pod), 10);
    assert_eq!(pod.weir.findings().len(), 0);
    // A signal reads it again, changed or not.
    let before = pod.weir.generation();
    pod.weir.signal_with(rustix::process::Signal::HUP);
    until("it was read again", || pod.weir.generation() > before);
}

#[test]
fn what_is_not_there_at_the_start_is_named_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("podinfo={}", folder.path().join("annotations").display());
    let arguments = ["serve", "--source", &source, "--upstream", "127.0.0.1:8080", "--http", "127.0.0.1:0"];
    let run = |more: &[&str]| {
        let output = Command::new(binary()).args(arguments).args(more).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, error) = run(&["--tls-secret-dir", "/no/such/folder"]);
    assert_eq!(code, Some(1));
    for part in ["--source podinfo", "annotations: not found", "/no/such/folder: not found"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    std::fs::write(folder.path().join("annotations"), "a=1\nb=2\n").unwrap();
    let (code, error) = run(&[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("line 1: ") && error.contains("line 2: "), "{error}");
}

/// The client's address and the rest come as they do at the edge: from trusted peers only, who are named in a ConfigMap.
#[test]
fn who_asks_is_said_by_trusted_peers_only_which_a_mounted_config_map_names() {
    let origin = Origin::start(|request| {
        let told = |name| request.header(name).unwrap_or("-").to_owned();
        Reaction::ok(format!("{} {}", told("x-forwarded-for"), told("x-real-ip")))
    });
    let forwarded = "X-Forwarded-For: 192.0.2.7\r\n";
    let ask = |pod: &Pod| Client::connect(pod.weir.http).get_with("a.test", "/", forwarded).text();
    let pod = Pod::start(origin.address, &[], &[]);
    assert_eq!(ask(&pod), "127.0.0.1 127.0.0.1");
    let mut settings = None;
    let pod = Pod::with(origin.address, &[("denylist-source-range", "192.0.2.9")], |folder, command| {
        let volume = Volume::new(folder.join("settings"));
        volume.swap(&[("use-forwarded-headers", "true"), ("proxy-real-ip-cidr", "127.0.0.0/8")]);
        command.arg("--configmap-dir").arg(volume.folder());
        settings = Some(volume);
    });
    assert!(ask(&pod).ends_with("192.0.2.7"), "{}", ask(&pod));
    let denied =
        Client::connect(pod.weir.http).get_with("a.test", "/", "X-Forwarded-For: 192.0.2.9\r\n").status;
    assert_eq!(denied, 403);
    settings.unwrap().swap(&[("use-forwarded-headers", "false")]);
    until("the peer is trusted no more", || ask(&pod) == "127.0.0.1 127.0.0.1");
}

#[test]
fn requests_are_shared_out_among_several_upstreams() {
    let [a, b] = ["a", "b"].map(|name| Origin::start(move |_| Reaction::ok(name)));
    let pod = Pod::start(a.address, &[], &["--upstream", &b.address.to_string()]);
    let replies = burst(&mut Client::connect(pod.weir.http), "a.test", "/", 10).0;
    let of = |name: &str| replies.iter().filter(|reply| reply.text() == name).count();
    assert_eq!((of("a"), of("b")), (5, 5));
}

/// The kubelet ends native sidecars after the application, in the reverse order of their start, with SIGTERM: requests
/// that the application still answers are answered.
#[test]
fn it_is_not_ready_and_finishes_what_is_in_flight_when_the_pod_ends() {
    let (origin, gate) = crate::limits::slow_origin();
    let pod = Pod::start(origin.address, &[], &["--shutdown-delay", "1h", "--shutdown-timeout", "1h"]);
    let admin = |path: &str| get(pod.weir.admin, "admin", path).status;
    assert_eq!((admin("/healthz"), admin("/readyz")), (200, 200));
    let mut client = crate::limits::open_request(pod.weir.http, "a.test", "/slow");
    gate.wait_for(1);
    pod.weir.signal();
    until("it is not ready", || admin("/readyz") == 503);
    // Alive, so that no probe ends it; and it still takes requests of those who have not heard.
    assert_eq!(admin("/healthz"), 200);
    assert_eq!(get(pod.weir.http, "a.test", "/").status, 200);
    gate.open(1);
    assert_eq!(client.read("GET").status, 200);
}

#[test]
fn a_pod_ends_well_with_its_last_request() {
    let (origin, gate) = crate::limits::slow_origin();
    let pod = Pod::start(origin.address, &[], &["--shutdown-timeout", "1h"]);
    let mut client = crate::limits::open_request(pod.weir.http, "a.test", "/slow");
    gate.wait_for(1);
    pod.weir.signal();
    until("accepting ends", || std::net::TcpStream::connect(pod.weir.http).is_err());
    gate.open(1);
    let reply = client.read("GET");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert_eq!(pod.weir.ended().code(), Some(0));
}

/// The application may start later than a native sidecar, and may start again.
#[test]
fn an_application_that_is_not_there_yet_is_a_bad_gateway_and_no_reason_to_be_unready() {
    let place = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let pod = Pod::start(address, &[], &[]);
    assert_eq!(get(pod.weir.admin, "admin", "/readyz").status, 200);
    assert_eq!(get(pod.weir.http, "a.test", "/").status, 502);
    let listener = TcpListener::bind(address).unwrap();
    let origin = Origin::raw_on(listener, |peer| {
        while peer.request().is_some() && peer.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") {}
    });
    until("the application is found", || get(pod.weir.http, "a.test", "/").status == 200);
    drop(origin);
}

/// An API server that would be found by every usual way gets no connection, and nothing is read of what names it.
#[test]
fn no_api_server_is_looked_for() {
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    api.set_nonblocking(true).unwrap();
    let at = api.local_addr().unwrap();
    let origin = Origin::echo();
    let traced = installed(&["strace"]);
    let folder = tempfile::tempdir().unwrap();
    let podinfo = Volume::new(folder.path().join("podinfo"));
    podinfo.swap(&[("annotations", &annotations(&[("limit-rps", "5")]))]);
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, format!("clusters: [{{name: a, cluster: {{server: 'http://{at}'}}}}]"))
        .unwrap();
    let trace = folder.path().join("trace");
    let plain = command(&podinfo, origin.address);
    let mut command = Command::new(if traced { "strace".as_ref() } else { plain.get_program() });
    if traced {
        // Followed, and not its parent: signals and figures are weir's own.
        command.args(["-D", "-f", "-qq", "-e", "trace=openat,open,connect,readlink", "-o"]).arg(&trace);
        command.arg(plain.get_program());
    }
    command.args(plain.get_args());
    command.env("KUBERNETES_SERVICE_HOST", at.ip().to_string());
    command.env("KUBERNETES_SERVICE_PORT", at.port().to_string());
    command.env("KUBECONFIG", &kubeconfig).env("HOME", folder.path());
    let weir = Weir::run(folder, command);
    let before = weir.generation();
    podinfo.swap(&[("annotations", &annotations(&[("limit-rps", "6")]))]);
    until("the change is in force", || weir.generation() > before);
    assert_eq!(get(weir.http, "a.test", "/").status, 200);
    assert_eq!(api.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody has asked it");
    if traced {
        let trace = std::fs::read_to_string(trace).unwrap();
        assert!(trace.contains("podinfo/annotations"), "the trace sees what is opened: {trace}");
        for word in ["kubeconfig", ".kube", "serviceaccount", &format!("htons({})", at.port())] {
            assert!(!trace.contains(word), "{word}: {trace}");
        }
    }
}
