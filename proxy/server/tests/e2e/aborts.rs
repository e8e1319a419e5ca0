//! Connections and requests that end early: each is counted at its stage, and the log tells what is known of it.

use crate::support::h2::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, RawH2, fields, frame};
use crate::support::tls::trusting;
use crate::support::{
    Client, LANES, Lane, Origin, Reaction, WITH_SETTINGS, Weir, ingress, ip, settings, until,
};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How a client connects.
#[derive(Clone, Copy, Debug)]
enum Link {
    Plain,
    Tls,
    Http2,
}

/// How a client goes away.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    Close,
    Reset,
}

impl Leaves {
    fn word(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Reset => "reset",
        }
    }

    fn go(self, client: Client) {
        if let Self::Reset = self {
            // Closing with a linger of zero is a reset.
            socket2::SockRef::from(client.stream()).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(client);
    }
}

/// One that thinks for ever about `/wait`, pauses for ever within `/pause`, has much for `/much`, and else answers.
fn origin() -> Origin {
    let much = vec![b'x'; 32 << 20];
    Origin::start(move |request| {
        let until_closed = |stream: &mut TcpStream| while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {};
        match request.target.split(['?', '-']).next().unwrap() {
            "/wait" => Reaction::Take(Box::new(until_closed)),
            "/pause" => Reaction::Take(Box::new(move |stream| {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin");
                until_closed(stream);
            })),
            "/much" => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", much.len());
                Reaction::WriteAndClose([head.as_bytes(), &much].concat())
            }
            _ => Reaction::ok("ok"),
        }
    })
}

/// A weir whose log can be read.
struct Watched {
    weir: Weir,
    link: Link,
}

impl Watched {
    fn start(lane: Lane, link: Link, origin: &Origin) -> Self {
        let mut flags = [
            ["--https", "127.0.0.1:0"],
            ["--access-log", "-"],
            ["--head-timeout", "300ms"],
            ["--body-timeout", "300ms"],
            ["--write-timeout", "300ms"],
            ["--idle-timeout", "2s"],
        ]
        .concat();
        if let Link::Http2 = link {
            flags.push("--h2c");
        }
        let manifests = ingress("web", "a.test", origin.address, &[("proxy-body-size", "200m")]);
        Self { weir: lane.start(&manifests, &flags), link }
    }

    /// A connection that was used: the handshake is over on both sides.
    fn client(&self) -> Client {
        let mut client = match self.link {
            Link::Plain | Link::Http2 => Client::connect(self.weir.http),
            Link::Tls => Client::connect_tls(self.weir.https(), "a.test", trusting()),
        };
        assert_eq!(client.get("a.test", "/ok").status, 200);
        client
    }

    fn aborts(&self, stage: &str, reason: &str) -> f64 {
        let series = format!(r#"weir_client_aborts_total{{stage="{stage}",reason="{reason}"}}"#);
        self.weir.metric(&series).unwrap()
    }

    /// Does `work`, after which there is one more end of this kind, and none of another. Returns the line of the log
    /// for `path`.
    fn one_more(&self, stage: &str, reason: &str, path: &str, work: impl FnOnce()) -> Value {
        let (before, all) = (self.aborts(stage, reason), self.all());
        work();
        until(&format!("{stage} {reason} of {path} is counted"), || self.all() > all);
        assert_eq!(self.aborts(stage, reason), before + 1.0, "{stage} {reason}\n{}", self.metrics());
        assert_eq!(self.all(), all + 1.0, "{stage} {reason}\n{}", self.metrics());
        until(&format!("{path} is in the log"), || self.line(path).is_some());
        let line = self.line(path).unwrap();
        assert_eq!((&line["abort"], &line["abort_reason"]), (&stage.into(), &reason.into()), "{line}");
        let protocol = if let Link::Http2 = self.link { "HTTP/2.0" } else { "HTTP/1.1" };
        assert_eq!((&line["client"], &line["protocol"]), (&"127.0.0.1".into(), &protocol.into()), "{line}");
        assert!(!line.to_string().contains("secret"), "{line}");
        line
    }

    fn all(&self) -> f64 {
        self.metrics().lines().map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    fn metrics(&self) -> String {
        let text = crate::support::get(self.weir.admin, "admin", "/metrics").text();
        let lines = text.lines().filter(|line| line.starts_with("weir_client_aborts_total{"));
        lines.map(|line| format!("{line}\n")).collect()
    }

    fn line(&self, path: &str) -> Option<Value> {
        lines(&self.weir).into_iter().find(|line| line["path"] == path)
    }
}

fn lines(weir: &Weir) -> Vec<Value> {
    weir.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn everywhere(test: impl Fn(&Watched, &Origin)) {
    for lane in LANES {
        for link in [Link::Plain, Link::Tls] {
            eprintln!("{link:?}");
            let origin = origin();
            test(&Watched::start(lane, link, &origin), &origin);
        }
    }
}

#[test]
fn heads_that_do_not_come_are_counted_and_told_of() {
    everywhere(|weir, origin| {
        for leaves in [Leaves::Close, Leaves::Reset] {
            let path = format!("/head-{}", leaves.word());
            let head = format!("GET {path}?secret HTTP/1.1\r\nHost: a.test\r\nX-A: b");
            let line = weir.one_more("head", leaves.word(), &path, || {
                let mut client = weir.client();
                client.send(&head);
                leaves.go(client);
            });
            assert_eq!((&line["method"], &line["host"]), (&"GET".into(), &"a.test".into()), "{line}");
            assert_eq!((&line["status"], &line["bytes_in"]), (&0.into(), &head.len().into()), "{line}");
        }
        let line = weir.one_more("head", "timeout", "/late", || {
            let mut client = weir.client();
            client.send("GET /late HTTP/1.1\r\nHost: a.test\r\n");
            assert_eq!(client.read("GET").status, 408);
        });
        assert_eq!((&line["status"], &line["reason"]), (&408.into(), &"request-timeout".into()), "{line}");
        assert!(origin.seen().iter().all(|request| request.target == "/ok"));
    });
}

#[test]
fn bodies_that_do_not_come_are_counted_and_told_of() {
    // Of those that the express lane takes, that are held, and that are passed on as they come.
    let framings = [
        ("short", "Content-Length: 100", "part"),
        ("long", "Content-Length: 100000000", "part"),
        ("chunks", "Transfer-Encoding: chunked", "4\r\npart\r\n"),
    ];
    everywhere(|weir, _| {
        for (name, framing, part) in framings {
            let head = |path: &str| {
                format!("POST {path}?secret HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n{part}")
            };
            for leaves in [Leaves::Close, Leaves::Reset] {
                let path = format!("/{name}-{}", leaves.word());
                let line = weir.one_more("body", leaves.word(), &path, || {
                    let mut client = weir.client();
                    client.send(head(&path));
                    leaves.go(client);
                });
                assert_eq!((&line["status"], &line["end"]), (&0.into(), &"client-abort".into()), "{line}");
            }
            let path = format!("/{name}-late");
            let line = weir.one_more("body", "timeout", &path, || {
                let mut client = weir.client();
                client.send(head(&path));
                assert_eq!(client.read("POST").status, 408);
            });
            assert_eq!(
                (&line["reason"], &line["status"]),
                (&"request-timeout".into(), &408.into()),
                "{line}"
            );
            assert_eq!(line["end"], "client-abort", "{line}");
        }
        let line = weir.one_more("body", "malformed", "/no-chunk", || {
            let mut client = weir.client();
            client.send(
                "POST /no-chunk HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n",
            );
            assert_eq!(client.read("POST").status, 400);
        });
        assert_eq!(line["reason"], "malformed-request", "{line}");
    });
}

#[test]
fn clients_that_leave_while_the_origin_thinks_are_counted_and_told_of() {
    everywhere(|weir, origin| {
        for leaves in [Leaves::Close, Leaves::Reset] {
            let seen = origin.seen().len();
            let path = format!("/wait-{}", leaves.word());
            let line = weir.one_more("wait", leaves.word(), &path, || {
                let mut client = weir.client();
                client.send(format!("GET {path}?secret HTTP/1.1\r\nHost: a.test\r\n\r\n"));
                until("the origin thinks", || origin.seen().len() > seen);
                leaves.go(client);
            });
            assert_eq!((&line["status"], &line["end"]), (&0.into(), &"client-abort".into()), "{line}");
        }
    });
}

#[test]
fn responses_that_nobody_takes_are_counted_and_told_of() {
    everywhere(|weir, _| {
        for leaves in [Leaves::Close, Leaves::Reset] {
            let path = format!("/pause-{}", leaves.word());
            let line = weir.one_more("response", leaves.word(), &path, || {
                let mut client = weir.client();
                client.send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
                assert_eq!(client.read_head().unwrap().status, 200);
                assert_eq!(client.exactly(5).unwrap(), b"begin");
                leaves.go(client);
            });
            assert_eq!((&line["status"], &line["end"]), (&200.into(), &"client-abort".into()), "{line}");
        }
        let mut held = None;
        let line = weir.one_more("response", "timeout", "/much", || {
            let mut client = weir.client();
            client.send("GET /much HTTP/1.1\r\nHost: a.test\r\n\r\n");
            held = Some(client);
        });
        assert_eq!((&line["status"], &line["end"]), (&200.into(), &"client-abort".into()), "{line}");
        assert!(held.is_some());
    });
}

#[test]
fn idle_connections_that_are_cut_are_counted() {
    everywhere(|weir, _| {
        let all = weir.all();
        Leaves::Reset.go(weir.client());
        until("a reset is counted", || weir.aborts("idle", "reset") == 1.0);
        Leaves::Close.go(weir.client());
        assert!(weir.client().is_closed(), "after its time");
        assert_eq!(weir.aborts("idle", "timeout"), 1.0);
        assert_eq!(weir.all(), all + 2.0, "who closes an idle connection does nothing wrong");
    });
}

/// The series and the words of the log are made by us and never by a client.
#[test]
fn heads_without_a_reading_are_told_of_by_the_rule_that_they_break() {
    for lane in LANES {
        let origin = origin();
        let weir = Watched::start(lane, Link::Plain, &origin);
        for (fault, reason, status, head) in [
            (
                "host",
                "malformed-request",
                400,
                "GET /host?secret HTTP/1.1\r\nHost: a\r\nHost: marker\r\n\r\n",
            ),
            (
                "host",
                "malformed-request",
                400,
                "GET http://u:secret@b.test/user HTTP/1.1\r\nHost: a.test\r\n\r\n",
            ),
            ("version", "version", 505, "GET /version HTTP/3.0\r\nHost: a.test\r\n\r\n"),
            ("method", "method-not-allowed", 405, "TRACE /trace HTTP/1.1\r\nHost: a.test\r\n\r\n"),
            ("syntax", "malformed-request", 400, "GET /syntax HTTP/1.1\r\nHost: a.test\r\nmarker\r\n\r\n"),
        ] {
            let path = head.split([' ', '?']).nth(1).unwrap().rsplit('/').next().unwrap();
            let mut client = Client::connect(weir.weir.http);
            client.send(head);
            assert_eq!(client.read("GET").status, status, "{head}");
            let path = format!("/{path}");
            until(&format!("{path} is in the log"), || weir.line(&path).is_some());
            let line = weir.line(&path).unwrap();
            assert_eq!((&line["fault"], &line["reason"]), (&fault.into(), &reason.into()), "{line}");
            assert_eq!((&line["status"], &line["bytes_in"]), (&status.into(), &head.len().into()), "{line}");
            assert!(line["bytes_out"].as_u64().unwrap() > 100 && line.get("abort").is_none(), "{line}");
            assert!(!line.to_string().contains("secret"), "{line}");
        }
        let metrics = crate::support::get(weir.weir.admin, "admin", "/metrics").text();
        assert!(!metrics.contains("marker") && !metrics.contains("secret"));
        assert_eq!(weir.weir.metric(r#"weir_malformed_requests_total{fault="host"}"#), Some(2.0));
    }
}

#[test]
fn connections_without_a_request_are_counted_and_told_of_but_not_one_line_each() {
    let origin = origin();
    let keys = [
        ("client-sockets", "2"),
        ("client-socket-rate", "0"),
        ("use-proxy-protocol", "true"),
        ("proxy-real-ip-cidr", "127.0.0.2/32"),
    ];
    let manifests = ingress("web", "a.test", origin.address, &[]) + &settings(&keys);
    let flags = ["--https", "127.0.0.1:0", "--workers", "1", "--access-log", "-"];
    let weir = Weir::start_with(&manifests, &[&WITH_SETTINGS[..], &flags].concat());
    let ends = |mut client: Client, bytes: &[u8]| {
        let _ = client.try_send(bytes);
        let _ = client.rest();
    };
    let began = Instant::now();
    ends(Client::connect_from(ip(3), weir.http), b"PROXY TCP4 192.0.2.9 198.51.100.1 4711 443\r\n");
    ends(Client::connect_from(ip(4), weir.https()), b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut held: Vec<_> = (0..2).map(|_| Client::connect_from(ip(5), weir.http)).collect();
    for client in &mut held {
        assert_eq!(client.get("a.test", "/ok").status, 200);
    }
    for _ in 0..50 {
        ends(Client::connect_from(ip(5), weir.http), b"");
    }
    let count = |series: &str| weir.metric(series).unwrap();
    assert_eq!(count(r#"weir_connections_shed_total{reason="proxy-header-untrusted"}"#), 1.0);
    assert_eq!(count(r#"weir_connections_shed_total{reason="client-sockets"}"#), 50.0);
    assert_eq!(count(r#"weir_tls_handshakes_total{result="not-tls"}"#), 1.0);
    let told = || lines(&weir).into_iter().filter(|line| line.get("abort").is_some()).collect::<Vec<_>>();
    let withheld = count(r#"weir_access_log_lines_total{result="withheld"}"#);
    until("the others have lines", || told().len() as f64 + withheld == 52.0);
    let most = 10 * (began.elapsed().as_secs() + 2);
    assert!(told().len() as u64 <= most, "{} lines", told().len());
    for (stage, reason, client) in [
        ("proxy-protocol", "proxy-header-untrusted", "127.0.0.3"),
        ("handshake", "not-tls", "127.0.0.4"),
        ("accept", "client-sockets", "127.0.0.5"),
    ] {
        let line = told().into_iter().find(|line| line["abort"] == stage).unwrap();
        assert_eq!((&line["abort_reason"], &line["client"]), (&reason.into(), &client.into()), "{line}");
    }
}

#[test]
fn streams_of_http_2_are_counted_and_told_of_like_requests() {
    let origin = origin();
    let weir = Watched::start(Lane::Auto, Link::Http2, &origin);
    let open = |method: &str, path: &str, flags: u8| {
        let mut raw = RawH2::connect(weir.weir.http, &[]);
        let head = [(":method", method), (":scheme", "http"), (":authority", "a.test"), (":path", path)];
        assert!(raw.send(&frame(HEADERS, END_HEADERS | flags, 1, &fields(&head))));
        raw
    };
    let reset = |mut raw: RawH2| {
        assert!(raw.send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())));
        raw
    };
    let mut held = Vec::new();
    weir.one_more("wait", "reset", "/wait-reset", || {
        let raw = open("GET", "/wait-reset?secret", END_STREAM);
        until("the origin thinks", || origin.seen().len() == 1);
        held.push(reset(raw));
    });
    weir.one_more("wait", "close", "/wait-close", || {
        let raw = open("GET", "/wait-close", END_STREAM);
        until("the origin thinks", || origin.seen().len() == 2);
        drop(raw);
    });
    weir.one_more("body", "reset", "/body-reset", || held.push(reset(open("POST", "/body-reset", 0))));
    let line = weir.one_more("body", "timeout", "/body-late", || held.push(open("POST", "/body-late", 0)));
    assert_eq!((&line["reason"], &line["status"]), (&"request-timeout".into(), &408.into()), "{line}");
    weir.one_more("response", "reset", "/pause-reset", || {
        let mut raw = open("GET", "/pause-reset", END_STREAM);
        assert_eq!(raw.next_of(DATA).unwrap().payload, b"begin");
        held.push(reset(raw));
    });
    weir.one_more("response", "close", "/pause-close", || {
        let mut raw = open("GET", "/pause-close", END_STREAM);
        assert_eq!(raw.next_of(DATA).unwrap().payload, b"begin");
    });
    // Of one that has no reading there is what can be told.
    held.push(open("TRACE", "/trace?secret", END_STREAM));
    until("it is in the log", || weir.line("/trace").is_some());
    let line = weir.line("/trace").unwrap();
    assert_eq!((&line["fault"], &line["status"]), (&"method".into(), &405.into()), "{line}");
    assert_eq!((&line["protocol"], &line["host"]), (&"HTTP/2.0".into(), &"a.test".into()), "{line}");
}
