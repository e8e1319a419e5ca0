//! Ten thousand Ingresses with fifty thousand endpoints.

use super::support::{
    Pod, READY, in_memory, ingress, is_ready, put, service, slice, unready, until, until_served,
};
use crate::support::get;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use weir_apiserver::{ApiServer, Cluster};

const INGRESSES: usize = 10_000;
/// Of each.
const ENDPOINTS: usize = 5;
/// Changed EndpointSlices a second, for so many seconds.
const CHURN: (usize, u32) = (100, 3);

fn name(n: usize) -> String {
    format!("application-{n}")
}

/// Five addresses of pods, which are others in each version.
fn endpoints(n: usize, version: usize) -> Value {
    let name = name(n);
    let ip = |k: usize| {
        let number = u32::try_from((n * ENDPOINTS + k) * 8 + version % 8).unwrap();
        Ipv4Addr::from(0x0a00_0000 + number)
    };
    let all: Vec<_> = (0..ENDPOINTS).map(|k| (SocketAddr::from((ip(k), 8080)), READY)).collect();
    let mut slice = slice(&format!("{name}-x7k2p"), &name, &all);
    // As the controller of endpoints writes them.
    for (k, endpoint) in slice["endpoints"].as_array_mut().unwrap().iter_mut().enumerate() {
        endpoint["nodeName"] = json!(format!("node-{}", (n + k) % 500));
        endpoint["targetRef"] = json!({
            "kind": "Pod", "namespace": "shop", "name": format!("{name}-7d9c8b6f5-{k}"),
            "uid": format!("00000000-0000-4000-8000-{:012x}", n * ENDPOINTS + k),
        });
        endpoint["zone"] = json!(format!("zone-{}", k % 3));
    }
    slice
}

fn objects(n: usize) -> [Value; 3] {
    let name = name(n);
    let annotations = json!({
        "nginx.ingress.kubernetes.io/limit-rps": "20", "nginx.ingress.kubernetes.io/proxy-body-size": "8m",
    });
    [service(&name), endpoints(n, 0), ingress(&name, &format!("{name}.example"), &name, &annotations)]
}

fn filled() -> ApiServer {
    let server = in_memory();
    server.put_all((0..INGRESSES).flat_map(objects)).unwrap();
    server
}

#[test]
fn ten_thousand_ingresses_with_fifty_thousand_endpoints_fit_into_300_mib_and_churn_is_no_configuration() {
    let server = filled();
    let began = Instant::now();
    let weir = unready(&server.kubeconfig(), &[], &[]);
    // A start has no bound here: it shares the cores with other tests.
    while !is_ready(&weir) {
        assert!(began.elapsed() < Duration::from_secs(120), "not ready");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let started = (began.elapsed(), weir.cpu());
    assert_eq!(weir.metric("weir_config_objects"), Some(10_000.0));
    let at_start = (weir.resident(), weir.peak_resident());
    let allocated = weir.allocated();

    let pod = Pod::start(Ipv4Addr::LOCALHOST.into(), "pod");
    let last = slice(&format!("{}-x7k2p", name(0)), &name(0), &[(pod.address, READY)]);
    let (generation, cpu, began) = (weir.generation(), weir.cpu(), Instant::now());
    let (rate, seconds) = CHURN;
    for n in 0..rate * seconds as usize {
        put(&server, [endpoints(n * 33 % INGRESSES, 1 + n)]);
        let next = Duration::from_secs(1) / u32::try_from(rate).unwrap() * u32::try_from(n).unwrap();
        std::thread::park_timeout(next.saturating_sub(began.elapsed()));
    }
    put(&server, [last]);
    until_served(weir.http, &format!("{}.example", name(0)), "pod");
    let (churn, cpu) = (began.elapsed(), weir.cpu() - cpu);
    assert_eq!(weir.generation(), generation, "endpoints alone are no configuration");
    assert_eq!(get(weir.http, "nobody.example", "/").status, 404);

    let mib = |bytes: u64| bytes >> 20;
    eprintln!(
        "{INGRESSES} Ingresses: ready after {:?} ({:?} of processor), {} MiB resident, {} MiB at most; \
         {} changed EndpointSlices in {churn:?} took {cpu:?} of processor; then {} MiB resident, {} MiB at most",
        started.0,
        started.1,
        mib(at_start.0),
        mib(at_start.1),
        rate * seconds as usize,
        mib(weir.resident()),
        mib(weir.peak_resident()),
    );
    // 300 MiB in all, of which an optimized program takes 15 itself, and one for tests more.
    assert!(mib(allocated) < 285, "{} MiB", mib(allocated));
    // One edit among so many.
    let edit = Instant::now();
    let changed = ingress(&name(1), "changed.example", &name(0), &json!({}));
    put(&server, [changed]);
    until("an edit is in force", || weir.generation() > generation);
    eprintln!("an edit took {:?}", edit.elapsed());
    assert_eq!(get(weir.http, "changed.example", "/").text(), "pod");
}
