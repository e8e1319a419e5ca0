use super::*;
use crate::abort::{Cause, Stage};
use crate::arrivals::Shed;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use weir_core::account::{End, UpstreamOutcome, UpstreamResult};
use weir_core::facts::{Facts, Scheme};
use weir_core::verdict::Verdict;
use weir_core::{Engine, engine::EngineConfig};
use weir_limits::Instant;

/// The account of a request that no Ingress took, made by the real core.
fn account() -> Account {
    admit(&Engine::new(EngineConfig { clients: 16, in_flight: 16, ..EngineConfig::default() }))
}

fn admit(engine: &Engine) -> Account {
    let facts = Facts {
        peer: [10, 0, 0, 1].into(),
        port: 80,
        scheme: Scheme::Http,
        tls: None,
        method: "GET",
        host: b"shop.example",
        path: b"/",
        query: b"",
        content_length: None,
        head_bytes: 0,
        headers: &(),
    };
    match engine.admit(Instant::START, &facts) {
        Verdict::Refuse(refusal) => refusal.account,
        Verdict::Forward(_) => panic!("nothing passes here"),
    }
}

fn outcome() -> Outcome {
    Outcome {
        status: 200,
        bytes_in: 120,
        bytes_out: 1024,
        end: End::Complete,
        upstream: Some(UpstreamOutcome {
            address: ([10, 1, 2, 3], 8080).into(),
            tries: 2,
            status: 200,
            latency: Duration::from_micros(1_234),
            result: UpstreamResult::Respond,
        }),
    }
}

fn entry<'a>(account: &'a Account, outcome: &'a Outcome, path: &'a [u8]) -> Entry<'a> {
    Entry {
        account,
        peer: account.client.peer,
        outcome,
        answer: Answer::Origin,
        method: b"GET",
        host: b"shop.example",
        path,
        request_id: None,
        lane: Lane::Express,
        protocol: Protocol::Http11,
        abort: None,
        duration: Duration::from_micros(1_002_003),
    }
}

/// The line that a log of this format makes.
fn line(format: Format, write: impl FnOnce(&mut line::Line<'_>)) -> Vec<u8> {
    let wall = WallTime::from_millis(784_111_777_042);
    let mut out = Vec::new();
    let mut line = line::Line::begin(format, &mut out);
    line.time(Dates::new().rfc3339(wall), wall);
    write(&mut line);
    line.end();
    out
}

fn check(format: Format, entry: &Entry<'_>, expect: &Expect) {
    expect.assert_eq(&String::from_utf8(line(format, |line| line.request(entry))).unwrap());
}

#[test]
fn a_line_says_who_asked_for_what_and_what_became_of_it() {
    let (account, outcome) = (account(), outcome());
    let id = RequestId::read(b"abc");
    let entry = Entry { request_id: id.as_ref(), ..entry(&account, &outcome, b"/p\"\\\x01\xff") };
    check(
        Format::Json,
        &entry,
        &expect![[r#"
            {"time":"1994-11-06T08:49:37.042Z","client":"10.0.0.1","peer":"10.0.0.1","method":"GET","host":"shop.example","path":"/p\"\\\u0001\u00ff","protocol":"HTTP/1.1","status":200,"upstream":"10.1.2.3:8080","upstream_tries":2,"upstream_status":200,"upstream_latency":0.001234,"upstream_result":"respond","duration":1.002003,"bytes_in":120,"bytes_out":1024,"end":"complete","request_id":"abc","lane":"express"}
        "#]],
    );
    check(
        Format::Text,
        &entry,
        &expect![[r#"
            time="1994-11-06T08:49:37.042Z" client=10.0.0.1 peer=10.0.0.1 method="GET" host="shop.example" path="/p\"\\\u0001\u00ff" protocol=HTTP/1.1 status=200 upstream=10.1.2.3:8080 upstream_tries=2 upstream_status=200 upstream_latency=0.001234 upstream_result=respond duration=1.002003 bytes_in=120 bytes_out=1024 end=complete request_id=abc lane=express
        "#]],
    );
    let refused = Outcome { status: 404, upstream: None, ..Outcome::default() };
    let entry = Entry { answer: Answer::Refused(Reason::NoRoute), outcome: &refused, ..entry };
    check(
        Format::Json,
        &entry,
        &expect![[r#"
            {"time":"1994-11-06T08:49:37.042Z","client":"10.0.0.1","peer":"10.0.0.1","method":"GET","host":"shop.example","path":"/p\"\\\u0001\u00ff","protocol":"HTTP/1.1","status":404,"reason":"no-route","duration":1.002003,"bytes_in":0,"bytes_out":0,"end":"complete","request_id":"abc","lane":"express"}
        "#]],
    );
}

#[test]
fn a_head_that_was_not_understood_has_a_line_too() {
    let failed = Failed {
        client: [10, 0, 0, 1].into(),
        peer: [10, 0, 0, 2].into(),
        error: Some(GatewayError::Version),
        fault: Some(Malformed::Version),
        abort: Some(Abort { stage: Stage::Response, cause: Cause::Reset }),
        sketch: Sketch::of(b"GET /\x01?secret HTTP/3.0\r\nHost: a\r\n\r\n"),
        bytes_in: 35,
        bytes_out: 0,
    };
    let text = String::from_utf8(line(Format::Json, |line| line.failure(&failed))).unwrap();
    expect![[r#"
        {"time":"1994-11-06T08:49:37.042Z","client":"10.0.0.1","peer":"10.0.0.2","method":"GET","host":"a","path":"/\u0001","status":505,"reason":"version","fault":"version","bytes_in":35,"bytes_out":0,"abort":"response","abort_reason":"reset"}
    "#]]
    .assert_eq(&text);
}

const EVERYTHING: Volume = Volume { share: Share::ALL, served: None, others: None };

/// Lines of a log with two workers, written as `work` says.
fn lines_of(volume: Volume, counters: &Arc<Counters>, work: impl FnOnce([&AccessLog; 2])) -> Vec<String> {
    let (opener, open) = sync_channel(1000);
    let (written, lines) = sync_channel(1000);
    drop(opener);
    let (sink, writer) = writer::start(Gate { open, written }, counters.clone()).unwrap();
    let log = AccessLog::with(Format::Json, volume, sink.unwrap());
    let other = log.worker();
    work([&log, &other]);
    drop((log, other));
    writer.join();
    let text = String::from_utf8(lines.iter().flatten().collect()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn each_reason_has_so_many_lines_a_second_and_one_that_tells_of_the_others() {
    let counters = Arc::new(Counters::new());
    let (account, outcome) = (account(), Outcome { status: 429, ..Outcome::default() });
    let refused = |reason| Entry { answer: Answer::Refused(reason), ..entry(&account, &outcome, b"/") };
    let client = Some(([10, 0, 0, 1].into(), [10, 0, 0, 2].into()));
    let lines = lines_of(Volume::default(), &counters, |logs| {
        for millis in [0, 999, 1000] {
            let wall = WallTime::from_millis(millis);
            for n in 0..100 {
                logs[n % 2].write(wall, &refused(Reason::Rate));
                logs[n % 2].write_unserved(wall, client, Unserved::Shed(Shed::ClientSockets));
            }
            // A few of another reason are not lost among them.
            logs[1].write(wall, &refused(Reason::NoRoute));
            logs.iter().for_each(|log| log.flush(wall));
        }
        logs.iter().for_each(|log| log.end(WallTime::from_millis(1001)));
    });
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(count(r#""status":429,"reason":"rate""#), 20, "ten of each second");
    assert_eq!(count(r#""abort":"accept","abort_reason":"client-sockets""#), 20);
    assert_eq!(count(r#""reason":"no-route""#), 3);
    let told: Vec<_> = lines.iter().filter(|line| line.contains(r#""reason":"rate","withheld""#)).collect();
    assert_eq!(
        told,
        [
            r#"{"time":"1970-01-01T00:00:00.000Z","reason":"rate","withheld":"refused","lines":90}"#,
            r#"{"time":"1970-01-01T00:00:01.000Z","reason":"rate","withheld":"refused","lines":190}"#,
        ]
    );
    // All that was left out is told, and nothing else is written.
    let told: u64 = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["lines"].as_u64())
        .sum();
    assert_eq!((told, counters.read().access_log_withheld), (560, 560));
    assert_eq!(lines.len(), 20 + 20 + 3 + 4);
}

#[test]
fn a_share_of_what_is_served_has_lines_and_every_error_counts_apart() {
    let counters = Arc::new(Counters::new());
    let (account, served) = (account(), outcome());
    let broken = Outcome { status: 502, ..outcome() };
    let volume = Volume { share: Share::new(0.0).unwrap(), ..EVERYTHING };
    let lines = lines_of(volume, &counters, |[log, _]| {
        for _ in 0..50 {
            log.write(WallTime::default(), &entry(&account, &served, b"/"));
        }
        log.write(WallTime::default(), &entry(&account, &broken, b"/"));
        let aborted = Outcome { end: End::ClientAbort, ..outcome() };
        log.write(WallTime::default(), &entry(&account, &aborted, b"/"));
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    let reading = counters.read();
    assert_eq!((reading.access_log_unsampled, reading.access_log_withheld), (50, 0));
    let volume = Volume { share: Share::new(0.25).unwrap(), ..EVERYTHING };
    let lines = lines_of(volume, &counters, |[log, _]| {
        for _ in 0..4000 {
            log.write(WallTime::default(), &entry(&account, &served, b"/"));
        }
    });
    assert!((800..1200).contains(&lines.len()), "{}", lines.len());
}

#[test]
fn what_is_served_has_so_many_lines_a_second() {
    let counters = Arc::new(Counters::new());
    let (account, served) = (account(), outcome());
    let volume = Volume { served: NonZeroU32::new(5), ..EVERYTHING };
    let lines = lines_of(volume, &counters, |[log, other]| {
        for _ in 0..10 {
            log.write(WallTime::default(), &entry(&account, &served, b"/"));
            other.write(WallTime::default(), &entry(&account, &served, b"/"));
        }
        log.end(WallTime::default());
    });
    assert_eq!(lines.len(), 6);
    let told = r#"{"time":"1970-01-01T00:00:00.000Z","withheld":"served","lines":15}"#;
    assert!(lines.iter().any(|line| line == told), "{lines:?}");
}

/// The account of a request that an Ingress took and a rule refused.
fn refused_account() -> Account {
    use std::collections::BTreeMap;
    use weir_core::declaration::{BackendName, Declaration, HostRule, Ingress, PathKind, PathRule, PortName};
    use weir_core::finding::ObjectRef;
    use weir_core::policy::{Access, Policy};
    let backend = BackendName::new("shop", "cart", PortName::Number(80));
    let path = PathRule { path: "/".to_owned(), kind: PathKind::Prefix, backend: Some(backend) };
    let access = Access { allow: Some(Vec::new()), ..Access::default() };
    let declaration = Declaration {
        ingresses: vec![Ingress {
            object: ObjectRef::new("Ingress", "shop", "front"),
            uid: String::new(),
            created: None,
            policy: Policy { access, ..Policy::default() },
            rules: vec![HostRule { host: "shop.example".to_owned(), paths: vec![path] }],
            default_backend: None,
            tls: Vec::new(),
        }],
        backends: BTreeMap::new(),
        ..Declaration::default()
    };
    let engine = Engine::new(EngineConfig { clients: 16, in_flight: 16, ..EngineConfig::default() });
    engine.replace(declaration);
    admit(&engine)
}

/// The list of fields is what lines are made of, in their order: the page is made from it.
#[test]
fn a_line_that_has_everything_has_the_fields_of_the_list() {
    let (account, outcome) = (refused_account(), outcome());
    let id = RequestId::read(b"abc");
    let answer = Answer::Refused(Reason::Address);
    let abort = Some(Abort { stage: Stage::Response, cause: Cause::Reset });
    let entry = Entry { request_id: id.as_ref(), answer, abort, ..entry(&account, &outcome, b"/p") };
    let text = String::from_utf8(line(Format::Text, |line| line.request(&entry))).unwrap();
    let names: Vec<_> = text.split_whitespace().map(|pair| pair.split('=').next().unwrap()).collect();
    // What breaks a rule of HTTP has no account, and a line that stands for others is about no request.
    let listed: Vec<_> = FIELDS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !["fault", "withheld", "lines"].contains(name))
        .collect();
    assert_eq!(names, listed, "{text}");
    check(
        Format::Json,
        &entry,
        &expect![[r#"
            {"time":"1994-11-06T08:49:37.042Z","client":"10.0.0.1","peer":"10.0.0.1","method":"GET","host":"shop.example","path":"/p","protocol":"HTTP/1.1","status":200,"namespace":"shop","ingress":"front","service":"cart:80","reason":"address","rule":"allowlist-source-range","rule_reason":"address","mode":"enforce","upstream":"10.1.2.3:8080","upstream_tries":2,"upstream_status":200,"upstream_latency":0.001234,"upstream_result":"respond","duration":1.002003,"bytes_in":120,"bytes_out":1024,"end":"complete","abort":"response","abort_reason":"reset","request_id":"abc","lane":"express"}
        "#]],
    );
}

proptest! {
    #[test]
    fn whatever_is_asked_for_a_line_is_one_json_object(
        method in prop::collection::vec(any::<u8>(), 0..40),
        host in prop::collection::vec(any::<u8>(), 0..300),
        path in prop::collection::vec(any::<u8>(), 0..2000),
        micros: u32,
    ) {
        let (account, outcome) = (account(), outcome());
        let entry = Entry {
            method: &method,
            host: &host,
            duration: Duration::from_micros(micros.into()),
            ..entry(&account, &outcome, &path)
        };
        let bytes = line(Format::Json, |line| line.request(&entry));
        prop_assert_eq!(bytes.iter().position(|byte| *byte == b'\n'), Some(bytes.len() - 1));
        prop_assert!(bytes.len() <= 6 * (32 + 255 + 1024) + 512);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let latin: String = path.iter().take(1024).map(|byte| char::from(*byte)).collect();
        prop_assert_eq!(value["path"].as_str(), Some(latin.as_str()));
        let seconds = f64::from(micros) / 1e6;
        prop_assert_eq!(value["duration"].as_f64(), Some(seconds));

        let text = line(Format::Text, |line| line.request(&entry));
        prop_assert_eq!(text.iter().position(|byte| *byte == b'\n'), Some(text.len() - 1));
        prop_assert!(text.is_ascii());
    }
}

/// A place to write to that takes a chunk only when it is told to.
struct Gate {
    open: Receiver<()>,
    written: SyncSender<Vec<u8>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.open.recv();
        self.written.send(bytes.to_vec()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_does_not_follow_costs_lines_and_not_time() {
    let counters = Arc::new(Counters::new());
    let (opener, open) = sync_channel(1000);
    let (written, lines) = sync_channel(1000);
    let (sink, writer) = writer::start(Gate { open, written }, counters.clone()).unwrap();
    let log = AccessLog::with(Format::Text, Volume::default(), sink.unwrap());
    let (account, outcome) = (account(), outcome());
    // Many more chunks than there is room for; the writer stands still, and nobody waits for it.
    for _ in 0..200 {
        log.write(WallTime::default(), &entry(&account, &outcome, b"/"));
        log.flush(WallTime::default());
    }
    let dropped = counters.read().access_log_dropped;
    assert!((100..200).contains(&dropped), "{dropped}");
    drop(opener);
    drop(log);
    writer.join();
    let reading = counters.read();
    assert_eq!(reading.access_log_written + reading.access_log_dropped, 200);
    assert_eq!(lines.iter().count() as u64, reading.access_log_written);
}

#[test]
fn lines_of_all_workers_reach_the_file_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let counters = Arc::new(Counters::new());
    let (log, writer) =
        AccessLog::open(&Target::File(path.clone()), Format::Json, EVERYTHING, counters.clone()).unwrap();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let log = log.worker();
            std::thread::spawn(move || {
                let (account, outcome) = (account(), outcome());
                for _ in 0..400 {
                    log.write(WallTime::default(), &entry(&account, &outcome, &[b'x'; 300]));
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    drop(log);
    writer.join();
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 1200);
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert_eq!(counters.read().access_log_written, 1200);
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let target = Target::File("/nowhere/at/all/access.log".into());
    let error = AccessLog::open(&target, Format::Json, EVERYTHING, Arc::new(Counters::new())).unwrap_err();
    assert_eq!(error.to_string(), "--access-log: cannot open /nowhere/at/all/access.log");
}

/// Who is shed has no deadline, and his line must not wait for somebody who has one.
#[test]
fn a_line_is_a_reason_to_look() {
    let (sink, writer) = writer::start(io::sink(), Arc::new(Counters::new())).unwrap();
    let log = AccessLog::with(Format::Json, EVERYTHING, sink.unwrap());
    deadline::sweep();
    assert!(deadline::is_quiet());
    log.write_unserved(WallTime::default(), None, Unserved::Shed(Shed::Sockets));
    assert!(!deadline::is_quiet());
    drop(log);
    writer.join();
}

#[test]
fn a_log_that_is_off_takes_everything() {
    let (log, writer) =
        AccessLog::open(&Target::Off, Format::Json, EVERYTHING, Arc::new(Counters::new())).unwrap();
    log.worker().write_unserved(WallTime::default(), None, Unserved::Shed(Shed::Sockets));
    log.flush(WallTime::default());
    writer.join();
}
