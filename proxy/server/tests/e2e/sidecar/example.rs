//! `deploy/examples/sidecar`: what it says, and what its arguments and annotations do.

use crate::support::volume::Volume;
use crate::support::{Client, Origin, Weir, binary, burst, count, get};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Probe, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/examples/sidecar")
}

fn document<T: serde::de::DeserializeOwned>(kind: &str) -> T {
    let text = std::fs::read_to_string(folder().join("deployment.yaml")).unwrap();
    let mut documents = text.split("\n---\n");
    let found = documents.find(|document| document.contains(&format!("\nkind: {kind}\n")));
    serde_saphyr::from_str(found.unwrap()).unwrap()
}

/// The Deployment, and weir in it.
fn example() -> (Deployment, Container) {
    let deployment: Deployment = document("Deployment");
    let pod = deployment.spec.template.spec.as_ref().unwrap();
    let weir = pod.init_containers.as_ref().unwrap()[0].clone();
    (deployment, weir)
}

fn flag<'a>(weir: &'a Container, name: &str) -> Option<&'a str> {
    let arguments = weir.args.as_ref().unwrap();
    arguments.iter().find_map(|argument| argument.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='))
}

fn port(weir: &Container, name: &IntOrString) -> i32 {
    let IntOrString::String(name) = name else { panic!("ports are named") };
    let ports = weir.ports.as_ref().unwrap();
    ports.iter().find(|port| port.name.as_ref() == Some(name)).unwrap().container_port
}

#[test]
fn the_examples_parts_fit_together() {
    let (deployment, weir) = example();
    let pod = deployment.spec.template.spec.as_ref().unwrap();
    // A native sidecar, without a way to the API server, as the restricted pod security standard wants it.
    assert_eq!(weir.restart_policy.as_deref(), Some("Always"));
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(pod.service_account_name, None);
    let security = weir.security_context.as_ref().unwrap();
    assert_eq!((security.run_as_non_root, security.read_only_root_filesystem), (Some(true), Some(true)));
    assert_eq!(security.allow_privilege_escalation, Some(false));
    let capabilities = security.capabilities.as_ref().unwrap();
    assert_eq!((capabilities.drop.as_deref(), &capabilities.add), (Some(&["ALL".to_owned()][..]), &None));
    assert_eq!(security.seccomp_profile.as_ref().unwrap().type_, "RuntimeDefault");
    let resources = weir.resources.as_ref().unwrap();
    assert!(resources.limits.is_some() && resources.requests.is_some());

    // The file that is read is where the annotations are mounted.
    let volume = &pod.volumes.as_ref().unwrap()[0];
    let item = &volume.downward_api.as_ref().unwrap().items.as_ref().unwrap()[0];
    assert_eq!(item.field_ref.as_ref().unwrap().field_path, "metadata.annotations");
    let mount = &weir.volume_mounts.as_ref().unwrap()[0];
    assert_eq!(mount.name, volume.name);
    assert_eq!(mount.sub_path, None, "a file that is mounted by subPath never changes");
    let source = format!("podinfo={}/{}", mount.mount_path, item.path);
    assert_eq!(flag(&weir, "source"), Some(source.as_str()));

    // Ports are those that are listened on, and clients come to weir's.
    let of = |name| flag(&weir, name).and_then(|address| address.rsplit(':').next()?.parse::<i32>().ok());
    let service: Service = document("Service");
    let targets = &service.spec.as_ref().unwrap().ports.as_ref().unwrap()[0];
    assert_eq!(Some(port(&weir, targets.target_port.as_ref().unwrap())), of("http"));
    let app = &pod.containers[0].ports.as_ref().unwrap()[0];
    assert_eq!(flag(&weir, "upstream"), Some(format!("127.0.0.1:{}", app.container_port).as_str()));
    let probes = [&weir.startup_probe, &weir.readiness_probe, &weir.liveness_probe];
    for probe in probes {
        let asked = probe.as_ref().and_then(|probe| probe.http_get.as_ref()).unwrap();
        assert_eq!(Some(port(&weir, &asked.port)), of("admin"));
    }
    // Everything has ended before the kubelet kills.
    let seconds =
        |name| flag(&weir, name).map_or(0, |time| time.trim_end_matches('s').parse::<i64>().unwrap());
    let stop = pod.containers[0].lifecycle.as_ref().unwrap().pre_stop.as_ref().unwrap();
    let all =
        stop.sleep.as_ref().unwrap().seconds + 30 + seconds("shutdown-delay") + seconds("shutdown-timeout");
    assert!(pod.termination_grace_period_seconds.unwrap() > all);
}

#[test]
fn the_examples_annotations_and_arguments_limit_real_clients() {
    let (deployment, weir) = example();
    let template = &deployment.spec.template;
    let annotations = template.metadata.as_ref().unwrap().annotations.as_ref().unwrap();
    let lines: Vec<_> = annotations.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    let folder = tempfile::tempdir().unwrap();
    let podinfo = Volume::new(folder.path().join("podinfo"));
    podinfo.swap(&[("annotations", &lines.join("\n"))]);
    let origin = Origin::echo();
    let mut command = Command::new(binary());
    for argument in weir.args.as_ref().unwrap() {
        // Where the test has other places than a pod has.
        command.arg(match argument.split_once('=') {
            Some(("--source", _)) => format!("--source=podinfo={}", podinfo.path("annotations").display()),
            Some(("--upstream", _)) => format!("--upstream={}", origin.address),
            Some((listener @ ("--http" | "--admin"), _)) => format!("{listener}=127.0.0.1:0"),
            _ => argument.clone(),
        });
    }
    command.env("POD_NAME", "api-0").env("POD_NAMESPACE", "shop");
    let running = Weir::run(folder, command);
    assert_eq!(running.findings(), Vec::<serde_json::Value>::new());
    let said = |log: &str| log.lines().filter(|line| line.contains("WARN")).count();
    assert_eq!(said(&running.stderr()), 0, "{}", running.stderr());
    for probe in [&weir.startup_probe, &weir.readiness_probe, &weir.liveness_probe] {
        let path = probe.as_ref().and_then(path).unwrap();
        assert_eq!(get(running.admin, "admin", path).status, 200, "{path}");
    }
    // limit-rps 20: a burst of 100, one more, and 20 a second.
    let (replies, took) = burst(&mut Client::connect(running.http), "api.shop", "/", 200);
    let most = 101 + usize::try_from(took.as_millis()).unwrap() / 50 + 1;
    let passed = count(&replies, 200);
    assert!((101..=most).contains(&passed), "{passed} passed in {took:?}");
    assert_eq!(count(&replies, 429), 200 - passed);
    assert!(running.terminate().success());
}

fn path(probe: &Probe) -> Option<&str> {
    probe.http_get.as_ref()?.path.as_deref()
}
