//! The Helm chart: it agrees with kustomize, keeps the same rules, and takes no value without a word.

use super::rendered::{
    CHART, chart, deploy, documents, is_installed, list, of_kind, overlay, said, text, title, values,
    workloads,
};
use super::{checkov, network, pods, roles, selectors, strict};
use serde_json::{Value, json};
use std::process::Command;

/// Values that the chart of ingress-nginx has, and users have in their files.
const KNOWN: &str = include_str!("known_values.txt");

#[test]
fn the_chart_is_linted_with_each_values_file() {
    if !is_installed("helm") {
        return;
    }
    let files = std::fs::read_dir(deploy().join("helm/weir/ci")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 4);
    for file in files.into_iter().map(Some).chain([None]) {
        let mut command = Command::new("helm");
        command.arg("lint").arg("--strict").arg(deploy().join("helm/weir"));
        command.args(file.iter().flat_map(|file| ["--values".as_ref(), file.as_os_str()]));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{file:?}: {}", said(&output));
    }
}

#[test]
fn the_chart_keeps_the_rules_that_the_overlays_keep() {
    if !is_installed("helm") {
        return;
    }
    let variants: [&[&str]; 8] = [
        &[],
        &["--values", &values("take-over")],
        &["--values", &values("autoscaling")],
        &["--values", &values("daemonset"), "--set", "controller.kind=DaemonSet"],
        &["--values", &values("namespaced")],
        &["--set", "controller.metrics.portName=admin,controller.kind=Both"],
        &["--set", "controller.containerPort.http=80,controller.metrics.serviceMonitor.enabled=true"],
        &["--set", "fullnameOverride=edge,nameOverride=edge,controller.service.internal.enabled=true"],
    ];
    for variant in variants {
        let objects = chart(variant).unwrap();
        let mut complaints: Vec<_> = objects.iter().flat_map(strict::complaints).collect();
        complaints.extend(pods::complaints(&objects));
        complaints.extend(selectors::complaints(&objects));
        complaints.extend(selectors::missing_labels(&objects));
        complaints.extend(roles::complaints(&objects));
        if !variant.iter().any(|it| it.contains("containerPort")) {
            complaints.extend(network::complaints(&objects));
        }
        assert!(complaints.is_empty(), "{variant:?}: {complaints:#?}");
    }
}

#[test]
fn the_chart_and_the_overlays_agree() {
    if !is_installed("helm") {
        return;
    }
    for (file, name) in CHART {
        let Some(overlay) = overlay(name) else { return };
        let chart = chart(&["--values", &values(file)]).unwrap();
        let kept = |it: &&Value| {
            // A release may live in a namespace that is not its own: it neither makes it nor closes it for others.
            it["kind"] != "Namespace" && text(it, "/metadata/name") != "weir-default-deny"
        };
        let essence = |objects: &[Value]| -> Vec<(String, Value)> {
            let mut all: Vec<_> = objects.iter().filter(kept).map(|it| (key(it), essential(it))).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        let (ours, theirs) = (essence(&overlay), essence(&chart));
        let names = |all: &[(String, Value)]| all.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs), "{name}");
        for ((key, ours), (_, theirs)) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{name}: {key}");
        }
    }
}

fn key(object: &Value) -> String {
    format!("{} in {}", title(object), text(object, "/metadata/namespace"))
}

/// An object without its labels and annotations, and with arguments in some order.
fn essential(object: &Value) -> Value {
    let mut object = object.clone();
    for pointer in ["/metadata", "/spec/template/metadata"] {
        if let Some(Value::Object(metadata)) = object.pointer_mut(pointer) {
            metadata.retain(|name, _| !["labels", "annotations"].contains(&name.as_str()));
        }
    }
    if let Some(Value::Array(arguments)) = object.pointer_mut("/spec/template/spec/containers/0/args") {
        arguments.sort_by_key(ToString::to_string);
    }
    object
}

#[test]
fn checkov_finds_nothing_in_the_chart_that_is_not_explained() {
    if !is_installed("helm") || !is_installed("checkov") {
        return;
    }
    let folder = checkov::folder();
    checkov::write(folder.path(), "default", &chart(&[]).unwrap());
    for name in ["take-over", "autoscaling", "daemonset", "namespaced"] {
        checkov::write(folder.path(), name, &chart(&["--values", &values(name)]).unwrap());
    }
    let judgement = checkov::judge(folder.path());
    assert!(judgement.passed > 400 && judgement.failed.is_empty(), "{:#?}", judgement.failed);
    assert!(judgement.skipped.iter().all(|(_, why)| why.len() >= 20), "{:#?}", judgement.skipped);
}

/// Each value does what its name says: what is set, and what is then at a place of the object of a kind.
#[test]
fn values_do_what_their_names_say() {
    if !is_installed("helm") {
        return;
    }
    let pod = |place: &str| format!("/spec/template/spec{place}");
    let container = |place: &str| pod(&format!("/containers/0{place}"));
    let cases = [
        (
            "controller.image.registry=r.example",
            "Deployment",
            container("/image"),
            json!("r.example/weir:0.1.0"),
        ),
        (
            "controller.image.repository=r.example/a/b,controller.image.tag=2",
            "Deployment",
            container("/image"),
            json!("r.example/a/b:2"),
        ),
        ("controller.image.digest=sha256:0", "Deployment", container("/image"), json!("weir:0.1.0@sha256:0")),
        ("global.image.registry=g.example", "Deployment", container("/image"), json!("g.example/weir:0.1.0")),
        ("controller.image.pullPolicy=Always", "Deployment", container("/imagePullPolicy"), json!("Always")),
        ("controller.image.runAsUser=10101", "Deployment", pod("/securityContext/runAsUser"), json!(10101)),
        ("controller.containerName=proxy", "Deployment", container("/name"), json!("proxy")),
        ("controller.replicaCount=5", "Deployment", "/spec/replicas".to_owned(), json!(5)),
        ("controller.minReadySeconds=3", "Deployment", "/spec/minReadySeconds".to_owned(), json!(3)),
        ("revisionHistoryLimit=4", "Deployment", "/spec/revisionHistoryLimit".to_owned(), json!(4)),
        (
            "controller.podAnnotations.a=b",
            "Deployment",
            "/spec/template/metadata/annotations/a".to_owned(),
            json!("b"),
        ),
        ("controller.podLabels.a=b", "Deployment", "/spec/template/metadata/labels/a".to_owned(), json!("b")),
        ("controller.annotations.a=b", "Deployment", "/metadata/annotations/a".to_owned(), json!("b")),
        ("commonLabels.a=b", "NetworkPolicy", "/metadata/labels/a".to_owned(), json!("b")),
        ("controller.priorityClassName=high", "Deployment", pod("/priorityClassName"), json!("high")),
        ("controller.dnsPolicy=Default", "Deployment", pod("/dnsPolicy"), json!("Default")),
        ("controller.nodeSelector.edge=true", "Deployment", pod("/nodeSelector/edge"), json!(true)),
        ("controller.tolerations[0].key=edge", "Deployment", pod("/tolerations/0/key"), json!("edge")),
        ("imagePullSecrets[0].name=pull", "Deployment", pod("/imagePullSecrets/0/name"), json!("pull")),
        ("controller.affinity.nodeAffinity.a=b", "Deployment", pod("/affinity/nodeAffinity/a"), json!("b")),
        (
            "controller.topologySpreadConstraints[0].maxSkew=7",
            "Deployment",
            pod("/topologySpreadConstraints/0/maxSkew"),
            json!(7),
        ),
        (
            "controller.terminationGracePeriodSeconds=60",
            "Deployment",
            pod("/terminationGracePeriodSeconds"),
            json!(60),
        ),
        ("controller.podSecurityContext.fsGroup=1", "Deployment", pod("/securityContext/fsGroup"), json!(1)),
        (
            "controller.containerSecurityContext.procMount=Default",
            "Deployment",
            container("/securityContext/procMount"),
            json!("Default"),
        ),
        (
            "controller.containerPort.http=80",
            "Deployment",
            pod("/securityContext/sysctls/0"),
            json!({"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}),
        ),
        (
            "controller.resources.limits.memory=9Gi",
            "Deployment",
            container("/resources/limits/memory"),
            json!("9Gi"),
        ),
        (
            "controller.extraEnvs[0].name=A,controller.extraEnvs[0].value=b",
            "Deployment",
            container("/env/2/value"),
            json!("b"),
        ),
        ("controller.extraVolumes[0].name=a", "Deployment", pod("/volumes/0/name"), json!("a")),
        (
            "controller.extraVolumeMounts[0].name=a",
            "Deployment",
            container("/volumeMounts/0/name"),
            json!("a"),
        ),
        (
            "controller.config.proxy-body-size=20m",
            "ConfigMap",
            "/data/proxy-body-size".to_owned(),
            json!("20m"),
        ),
        ("controller.config.keep-alive=75", "ConfigMap", "/data/keep-alive".to_owned(), json!("75")),
        ("controller.configAnnotations.a=b", "ConfigMap", "/metadata/annotations/a".to_owned(), json!("b")),
        (
            "controller.ingressClassResource.name=edge",
            "IngressClass",
            "/metadata/name".to_owned(),
            json!("edge"),
        ),
        (
            "controller.ingressClassResource.default=true",
            "IngressClass",
            "/metadata/annotations/ingressclass.kubernetes.io~1is-default-class".to_owned(),
            json!("true"),
        ),
        (
            "controller.ingressClassResource.controllerValue=a/b",
            "IngressClass",
            "/spec/controller".to_owned(),
            json!("a/b"),
        ),
        ("controller.minAvailable=1", "PodDisruptionBudget", "/spec/minAvailable".to_owned(), json!(1)),
        ("controller.maxUnavailable=2", "PodDisruptionBudget", "/spec/maxUnavailable".to_owned(), json!(2)),
        (
            "controller.autoscaling.enabled=true,controller.autoscaling.maxReplicas=9",
            "HorizontalPodAutoscaler",
            "/spec/maxReplicas".to_owned(),
            json!(9),
        ),
        (
            "controller.autoscaling.enabled=true,controller.autoscaling.targetRefusalsPerSecond=7",
            "HorizontalPodAutoscaler",
            "/spec/metrics/1/pods/target/averageValue".to_owned(),
            json!("7"),
        ),
        (
            "controller.service.type=NodePort,controller.service.nodePorts.https=32443",
            "Service",
            "/spec/ports/1/nodePort".to_owned(),
            json!(32443),
        ),
        ("controller.service.annotations.a=b", "Service", "/metadata/annotations/a".to_owned(), json!("b")),
        (
            "controller.service.loadBalancerIP=192.0.2.1",
            "Service",
            "/spec/loadBalancerIP".to_owned(),
            json!("192.0.2.1"),
        ),
        (
            "controller.service.loadBalancerSourceRanges={192.0.2.0/24}",
            "Service",
            "/spec/loadBalancerSourceRanges/0".to_owned(),
            json!("192.0.2.0/24"),
        ),
        (
            "controller.service.externalTrafficPolicy=Cluster",
            "Service",
            "/spec/externalTrafficPolicy".to_owned(),
            json!("Cluster"),
        ),
        ("controller.service.ports.http=8000", "Service", "/spec/ports/0/port".to_owned(), json!(8000)),
        (
            "controller.service.targetPorts.https=http",
            "Service",
            "/spec/ports/1/targetPort".to_owned(),
            json!("http"),
        ),
        ("controller.service.enableHttp=false", "Service", "/spec/ports/0/name".to_owned(), json!("https")),
        ("portNamePrefix=a", "Service", "/spec/ports/0/name".to_owned(), json!("a-http")),
        (
            "serviceAccount.automountServiceAccountToken=true",
            "ServiceAccount",
            "/automountServiceAccountToken".to_owned(),
            json!(true),
        ),
        (
            "serviceAccount.annotations.a=b",
            "ServiceAccount",
            "/metadata/annotations/a".to_owned(),
            json!("b"),
        ),
        ("serviceAccount.name=edge", "Deployment", pod("/serviceAccountName"), json!("edge")),
        ("namespaceOverride=edge", "Deployment", "/metadata/namespace".to_owned(), json!("edge")),
        ("fullnameOverride=edge", "Deployment", "/metadata/name".to_owned(), json!("edge")),
        (
            "controller.metrics.serviceMonitor.enabled=true,controller.metrics.serviceMonitor.scrapeInterval=9s",
            "ServiceMonitor",
            "/spec/endpoints/0/interval".to_owned(),
            json!("9s"),
        ),
        (
            "controller.metrics.prometheusRule.enabled=true,controller.metrics.prometheusRule.rules[0].alert=A",
            "PrometheusRule",
            "/spec/groups/0/rules/0/alert".to_owned(),
            json!("A"),
        ),
    ];
    for (set, kind, place, expected) in cases {
        let objects = chart(&["--set", set]).unwrap_or_else(|error| panic!("{set}: {error}"));
        // Of several, the one that has the release's name and nothing more.
        let object = of_kind(&objects, kind).into_iter().min_by_key(|it| title(it).len()).unwrap();
        let found = object.pointer(&place).cloned();
        assert_eq!(found, Some(expected), "{set}: {place} of the {kind}");
    }
}

/// What is set, and the flag that it becomes.
#[test]
fn values_become_flags() {
    if !is_installed("helm") {
        return;
    }
    let cases = [
        ("controller.containerPort.http=8000", "--http=0.0.0.0:8000"),
        ("controller.metrics.port=9000", "--admin=0.0.0.0:9000"),
        ("controller.healthCheckHost=127.0.0.2", "--admin=127.0.0.2:10254"),
        ("controller.ingressClass=nginx", "--ingress-class=nginx"),
        (
            "controller.ingressClassResource.controllerValue=k8s.io/ingress-nginx",
            "--controller-class=k8s.io/ingress-nginx",
        ),
        ("controller.ingressClassByName=true", "--ingress-class-by-name=true"),
        ("controller.watchIngressWithoutClass=true", "--watch-ingress-without-class=true"),
        ("controller.electionID=a", "--election-id=a"),
        ("controller.electionTTL=20s", "--election-ttl=20s"),
        ("controller.disableLeaderElection=true", "--disable-leader-election=true"),
        ("controller.enableTopologyAwareRouting=true", "--enable-topology-aware-routing=true"),
        ("controller.reportNodeInternalIp=true", "--report-node-internal-ip-address=true"),
        ("controller.publishService.pathOverride=a/b", "--publish-service=a/b"),
        ("controller.scope.enabled=true", "--watch-namespace=weir"),
        ("controller.scope.namespaceSelector=team=shop", "--watch-namespace-selector=team=shop"),
        ("controller.configMapNamespace=a", "--configmap=a/weir-settings"),
        ("controller.terminationGracePeriodSeconds=60", "--shutdown-timeout=30s"),
        ("controller.shutdownDelay=15", "--shutdown-delay=15s"),
        ("controller.extraArgs.default-ssl-certificate=a/b", "--default-ssl-certificate=a/b"),
        ("controller.extraArgs.clients=2000000", "--clients=2000000"),
        ("controller.extraArgs.update-status=false", "--update-status=false"),
        ("controller.extraArgs.http-port=8001", "--http-port=8001"),
        ("controller.extraArgs.backend={a/b:1=192.0.2.1:1}", "--backend=a/b:1=192.0.2.1:1"),
        ("controller.extraArgs.profile=ingress-nginx", "--profile=ingress-nginx"),
    ];
    for (set, flag) in cases {
        let objects = chart(&["--set", set]).unwrap_or_else(|error| panic!("{set}: {error}"));
        let arguments = list(workloads(&objects)[0], "/spec/template/spec/containers/0/args");
        assert!(arguments.iter().any(|it| it == flag), "{set}: {arguments:?}");
    }
    let objects = chart(&["--set", "controller.extraArgs.http-port=8001"]).unwrap();
    assert_eq!(pods::flag(pods::weir(workloads(&objects)[0]).unwrap(), "http"), None, "it would win");
    let objects = chart(&["--set", "controller.publishService.enabled=false"]).unwrap();
    assert_eq!(pods::flag(pods::weir(workloads(&objects)[0]).unwrap(), "publish-service"), None);
}

/// What weir cannot do is refused by name, and all of it at once.
#[test]
fn values_that_cannot_be_honoured_are_refused() {
    if !is_installed("helm") {
        return;
    }
    let refused = [
        "controller.hostNetwork=true",
        "controller.shareProcessNamespace=true",
        "tcp.9000=a/b:1",
        "udp.53=a/b:1",
        "controller.service.nodePorts.tcp.9000=32000",
        "controller.customTemplate.configMapName=a",
        "controller.extraModules[0].name=a",
        "controller.opentelemetry.enabled=true",
        "controller.proxySetHeaders.A=b",
        "controller.addHeaders.A=b",
        "controller.keda.enabled=true",
        "defaultBackend.enabled=true",
        "controller.image.image=ingress-nginx/controller",
        "controller.image.allowPrivilegeEscalation=true",
        "controller.image.readOnlyRootFilesystem=false",
        "controller.image.runAsNonRoot=false",
        "controller.image.runAsUser=0",
        "controller.lifecycle.preStop.exec.command={/wait-shutdown}",
        "controller.extraEnvs[0].name=A,controller.extraEnvs[0].valueFrom.secretKeyRef.name=b",
        "rbac.scope=true",
        "controller.scope.enabled=true,controller.scope.namespaceSelector=a=b",
        "rbac.secretNames={a}",
        "controller.terminationGracePeriodSeconds=30",
        "controller.readinessProbe.httpGet.path=/healthz",
        "controller.healthCheckPath=/alive",
        "controller.metrics.prometheusRule.enabled=true",
        "controller.kind=StatefulSet",
        "controller.kind=DaemonSet,controller.autoscaling.enabled=true",
        "controller.replicacount=3",
        "controller.metrics=null",
        "replicaCount=3",
    ];
    for set in refused {
        let error = chart(&["--set", set]).expect_err(set);
        // Its name, or that of what it is in.
        let name = set.split(['=', '[']).next().unwrap();
        let named =
            name.rsplit('.').next().is_some_and(|last| error.contains(last)) || error.contains(&name[..3]);
        assert!(named && !error.contains("nil pointer"), "{set}: {error}");
    }
    let both = chart(&["--set", "controller.hostNetwork=true,tcp.9000=a/b:1"]).unwrap_err();
    assert!(both.contains("controller.hostNetwork:") && both.contains("tcp:"), "{both}");
}

/// What changes nothing, and does no harm, is said when the chart is installed.
#[test]
fn values_that_change_nothing_are_told() {
    if !is_installed("helm") {
        return;
    }
    // Helm shows notes only where it has a cluster; so they become an object of a copy of the chart.
    let copy = tempfile::tempdir().unwrap();
    let copied =
        Command::new("cp").arg("-R").arg(deploy().join("helm/weir")).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    let templates = copy.path().join("weir/templates");
    let notes = std::fs::read_to_string(templates.join("NOTES.txt")).unwrap();
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata: {notes: {{ include \"notes\" . | toJson }}}\n";
    let template = format!("{{{{- define \"notes\" }}}}{notes}{{{{ end }}}}\n{object}");
    std::fs::write(templates.join("shown.yaml"), template).unwrap();
    let notes = |set: &str| {
        let mut command = Command::new("helm");
        command.args([
            "template",
            "weir",
            "--namespace",
            "weir",
            "--show-only",
            "templates/shown.yaml",
            "--set",
            set,
        ]);
        let output = command.arg(copy.path().join("weir")).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let objects = documents(&String::from_utf8(output.stdout).unwrap());
        text(&objects[0], "/data/notes").to_owned()
    };
    let usual = notes("controller.replicaCount=2");
    assert!(usual.contains("Ingresses of class weir") && !usual.contains("Of your values"), "{usual}");
    for set in [
        "controller.admissionWebhooks.enabled=true",
        "controller.allowSnippetAnnotations=true",
        "controller.enableAnnotationValidations=false",
        "controller.image.chroot=true",
        "dhParam=a",
        "controller.maxmindLicenseKey=a",
        "podSecurityPolicy.enabled=true",
        "controller.enableMimalloc=false",
        "controller.hostPort.enabled=true",
        "controller.service.externalTrafficPolicy=Cluster",
        "controller.scope.enabled=true",
        "controller.networkPolicy.enabled=false",
    ] {
        let told = notes(set);
        let name = set.split('=').next().unwrap().trim_end_matches(".enabled");
        assert!(told.contains("Of your values"), "{set}: {told}");
        assert!(told.contains(name) || set.contains("scope"), "{set}: {told}");
    }
}

/// A values file of an installation of ingress-nginx has no name that the chart does not know.
#[test]
fn every_value_that_users_of_ingress_nginx_know_is_known() {
    let schema = std::fs::read_to_string(deploy().join("helm/weir/values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let known = |path: &str| {
        let mut at = &schema;
        for part in path.split('.') {
            match at["properties"].get(part) {
                Some(next) => at = next,
                // Whatever is in it is taken.
                None => return at["properties"].is_null() && at["additionalProperties"] != false,
            }
        }
        true
    };
    let names: Vec<_> = KNOWN.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(names.len() > 150, "{}", names.len());
    let unknown: Vec<_> = names.into_iter().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(!known("controller.replicacount") && !known("controllers"));
}

/// The schema has every value that values.yaml has.
#[test]
fn every_value_of_the_chart_is_in_its_schema_and_in_no_template_alone() {
    if !is_installed("helm") {
        return;
    }
    let output =
        Command::new("helm").args(["show", "values"]).arg(deploy().join("helm/weir")).output().unwrap();
    assert!(output.status.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, &output.stdout).unwrap();
    let given = chart(&["--values", file.to_str().unwrap()]).unwrap();
    assert_eq!(given, chart(&[]).unwrap());
}

/// Roles follow the flags: a right that flags make needless is not given.
#[test]
fn roles_follow_the_flags() {
    if !is_installed("helm") {
        return;
    }
    let resources = |set: &str| -> Vec<String> {
        let objects = chart(&["--set", set]).unwrap_or_else(|error| panic!("{set}: {error}"));
        let rules = objects.iter().flat_map(|it| list(it, "/rules"));
        let mut all: Vec<_> = rules
            .flat_map(|rule| list(rule, "/resources"))
            .map(|it| it.as_str().unwrap().to_owned())
            .collect();
        all.sort();
        all.dedup();
        all
    };
    let usual = resources("controller.name=controller");
    let cases: [(&str, &[&str], &[&str]); 7] = [
        ("controller.extraArgs.update-status=false", &[], &["ingresses/status", "pods"]),
        ("controller.extraArgs.disable-sync-events=true", &[], &["events"]),
        ("controller.disableLeaderElection=true", &[], &["leases"]),
        ("controller.publishService.enabled=false", &["nodes"], &[]),
        (
            "controller.publishService.enabled=false,controller.extraArgs.publish-status-address=192.0.2.1",
            &[],
            &[],
        ),
        ("controller.scope.namespaceSelector=a=b", &["namespaces"], &[]),
        ("controller.scope.enabled=true", &[], &["ingressclasses"]),
    ];
    for (set, more, less) in cases {
        let mut expected: Vec<_> = usual.iter().filter(|it| !less.contains(&it.as_str())).cloned().collect();
        expected.extend(more.iter().map(|it| (*it).to_owned()));
        expected.sort();
        assert_eq!(resources(set), expected, "{set}");
    }
    // With one namespace there is no ClusterRole, wherever else weir has something to read.
    let set = "controller.scope.enabled=true,controller.scope.namespace=shop,controller.configMapNamespace=settings,\
               controller.publishService.pathOverride=edge/edge,controller.extraArgs.default-ssl-certificate=certificates/web";
    let objects = chart(&["--set", set]).unwrap();
    assert_eq!(of_kind(&objects, "ClusterRole").len(), 0);
    let mut places: Vec<_> =
        of_kind(&objects, "Role").iter().map(|it| text(it, "/metadata/namespace").to_owned()).collect();
    places.sort();
    assert_eq!(places, ["certificates", "edge", "settings", "shop", "weir"]);
    assert_eq!(roles::complaints(&objects), Vec::<String>::new());
    assert!(chart(&["--set", "rbac.create=false"]).unwrap().iter().all(|it| it.get("rules").is_none()));
}
