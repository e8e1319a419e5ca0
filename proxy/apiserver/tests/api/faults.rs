//! What goes wrong on demand.

use crate::http::{PATIENCE, begin, get, watch};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use weir_apiserver::{ApiServer, Cluster, Disturbance, Failure, History, Matching, Options, Pace, Verb};

fn server() -> ApiServer {
    ApiServer::start_blocking(Options::default()).unwrap()
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

const MAPS: &str = "/api/v1/configmaps";
const WATCH: &str = "/api/v1/configmaps?watch=1";

/// A watch that has begun.
fn begun(server: &ApiServer) -> crate::http::Watch {
    let open = server.watches().len();
    let stream = watch(server, WATCH);
    assert!(server.until_blocking(PATIENCE, |it| it.watches().len() > open));
    stream
}

#[test]
fn requests_fail_as_often_as_they_should() {
    let server = server();
    let lists = Matching::all().verb(Verb::List).resource("configmaps");
    server.faults().fail_next(2, lists.clone(), Failure::Answer(429, Some(7)));
    assert_eq!(get(&server, "/api/v1/secrets").code, 200);
    let busy = get(&server, MAPS);
    assert_eq!((busy.code, &busy.body["reason"]), (429, &json!("TooManyRequests")));
    assert!(busy.head.contains("retry-after: 7"), "{}", busy.head);
    assert_eq!((get(&server, MAPS).code, get(&server, MAPS).code), (429, 200));
    server.faults().fail_next(1, lists, Failure::Answer(503, None));
    assert_eq!(get(&server, MAPS).code, 503);
}

#[test]
fn a_connection_is_reset_instead_of_an_answer() {
    let server = server();
    server.faults().fail_next(1, Matching::all(), Failure::Reset);
    let mut stream = begin(&server, "GET", MAPS, &[], "");
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(get(&server, MAPS).code, 200);
}

#[test]
fn a_request_that_hangs_gets_nothing() {
    let server = server();
    server.faults().fail_next(1, Matching::all(), Failure::Hang);
    let mut stream = begin(&server, "GET", MAPS, &[], "");
    assert!(server.until_blocking(PATIENCE, |it| it.requests().len() == 1));
    assert_eq!(get(&server, MAPS).code, 200);
    stream.get_ref().set_nonblocking(true).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn answers_are_delayed() {
    let server = server();
    let delay = Duration::from_millis(50);
    server.faults().delay(Matching::all().resource("configmaps"), delay);
    let began = Instant::now();
    get(&server, MAPS);
    assert!(began.elapsed() >= delay);
    server.faults().clear();
}

#[test]
fn watches_end_cleanly() {
    let server = server();
    let mut stream = begun(&server);
    assert_eq!(server.faults().disturb(Matching::all(), Disturbance::End), 1);
    assert_eq!(stream.line(), None);
}

#[test]
fn watches_are_reset() {
    let server = server();
    let mut stream = begun(&server);
    server.faults().disturb(Matching::all(), Disturbance::Reset);
    assert_eq!(stream.read_error(), ErrorKind::ConnectionReset);
}

#[test]
fn watches_hang_and_new_ones_do_not() {
    let server = server();
    let mut stream = begun(&server);
    server.faults().disturb(Matching::all(), Disturbance::Hang);
    let mut other = watch(&server, WATCH);
    server.put_value(config_map("a")).unwrap();
    assert_eq!(other.short(), "ADDED a");
    stream.patience(Duration::from_millis(20));
    assert_eq!(stream.read_error(), ErrorKind::WouldBlock);
}

#[test]
fn watches_send_garbage_and_go_on() {
    let server = server();
    let mut stream = begun(&server);
    server.faults().disturb(Matching::all(), Disturbance::Garbage);
    assert!(serde_json::from_str::<Value>(&stream.line().unwrap()).is_err());
    server.put_value(config_map("a")).unwrap();
    assert_eq!(stream.short(), "ADDED a");
}

#[test]
fn watches_are_cut_off_in_an_event() {
    let server = server();
    let mut stream = begun(&server);
    server.faults().disturb(Matching::all(), Disturbance::CutOff);
    let part = stream.line().unwrap();
    assert!(part.starts_with(r#"{"type":"#) && serde_json::from_str::<Value>(&part).is_err(), "{part}");
    assert_eq!(stream.line(), None);
}

#[test]
fn watches_are_told_of_errors() {
    let server = server();
    for code in [410, 500] {
        let mut stream = begun(&server);
        server.faults().disturb(Matching::all(), Disturbance::Error(code));
        let (kind, status) = stream.event();
        assert_eq!((kind.as_str(), &status["code"]), ("ERROR", &json!(code)));
        assert_eq!(stream.line(), None);
    }
}

#[test]
fn only_the_watches_that_are_meant_are_disturbed() {
    let server = server();
    let mut stream = begun(&server);
    server.faults().disturb(Matching::all().resource("secrets"), Disturbance::End);
    server.put_value(config_map("a")).unwrap();
    assert_eq!(stream.short(), "ADDED a");
}

#[test]
fn bytes_come_one_by_one() {
    let server = server();
    server.put_value(config_map("a")).unwrap();
    server.faults().slow(Some(Pace { bytes: 1, every: Duration::ZERO }));
    let mut stream = begin(&server, "GET", MAPS, &[], "");
    let mut reads = 0;
    let mut piece = [0; 4096];
    while stream.get_mut().read(&mut piece).unwrap() > 0 {
        reads += 1;
    }
    assert!(reads > 50, "{reads}");
    server.faults().clear();
    assert_eq!(get(&server, MAPS).code, 200);
}

#[test]
fn a_server_comes_back_on_its_port() {
    let mut server = server();
    server.put_value(config_map("a")).unwrap();
    let version = server.version();
    server.put_value(config_map("b")).unwrap();
    let mut stream = begun(&server);
    assert_eq!((stream.short(), stream.short()), ("ADDED a".to_owned(), "ADDED b".to_owned()));
    server.pause();
    assert!(matches!(stream.read_error(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset));
    assert_eq!(TcpStream::connect(server.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    server.resume().unwrap();
    let after = format!("{WATCH}&resourceVersion={version}");
    assert_eq!(watch(&server, &after).short(), "ADDED b");
    server.restart_with(History::Keep).unwrap();
    assert_eq!(watch(&server, &after).short(), "ADDED b");
    server.restart_with(History::Lose).unwrap();
    assert_eq!(watch(&server, &after).event().0, "ERROR");
    assert_eq!(get(&server, MAPS).body["items"].as_array().unwrap().len(), 2);
}

#[test]
fn a_large_cluster_is_loaded_at_once() {
    let server = server();
    let ingresses = (0..10_000).map(|number| {
        let path = json!({"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}});
        let rule = json!({"host": format!("h{number}.example"), "http": {"paths": [path]}});
        let name = format!("i{number}");
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"namespace": "big", "name": name},
            "spec": {"ingressClassName": "weir", "rules": [rule]},
        })
    });
    let slices = (0..5_000).map(|number| {
        let address = |it: u32| json!({"addresses": [format!("10.{}.{}.{it}", number / 250, number % 250)]});
        let endpoints: Vec<_> = (1..=10).map(address).collect();
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"namespace": "big", "name": format!("s{number}")}, "endpoints": endpoints,
        })
    });
    let objects: Vec<_> = ingresses.chain(slices).collect();
    let began = Instant::now();
    assert_eq!(server.put_all(objects).unwrap(), 15_000);
    let loaded = began.elapsed();
    assert!(loaded < Duration::from_secs(10), "{loaded:?}");
    let began = Instant::now();
    let (mut names, mut token) = (BTreeSet::new(), String::new());
    loop {
        let page =
            get(&server, &format!("/apis/networking.k8s.io/v1/ingresses?limit=500&continue={token}")).body;
        for item in page["items"].as_array().unwrap() {
            names.insert(item["metadata"]["name"].as_str().unwrap().to_owned());
        }
        match page["metadata"]["continue"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    println!("loaded in {loaded:?}, listed in pages in {:?}", began.elapsed());
    assert_eq!(names.len(), 10_000);
}
