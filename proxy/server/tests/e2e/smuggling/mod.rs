//! Request smuggling: weir and the origin must agree where each request ends, whatever a client sends.
//!
//! Each [shape](shapes) goes through each lane to a strict origin (nginx) and to lax ones ([`lax::Taste`]), with a tracer
//! behind it on the same connection. Afterwards the requests that the origin saw must be those that weir admitted and
//! logged, in their order, and every answer that the client got must be the answer to the request whose turn it was.
//! `mutations` does the same with damaged shapes, from a seed.

mod lax;
mod mutations;
mod shapes;
mod targets;

use crate::support::{Client, LANES, Lane, Nginx, PATIENCE, Weir, ingress, installed, until};
use lax::{Lax, Pick, Prefer, Taste};
use shapes::{Outcome, Shape};
use std::io::Read;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Every shape, by its table.
const TABLES: &[(&str, &[Shape])] = &[
    ("both", shapes::BOTH),
    ("codings", shapes::CODINGS),
    ("lengths", shapes::LENGTHS),
    ("chunks", shapes::CHUNKS),
    ("lines", shapes::LINES),
    ("request lines", shapes::REQUEST_LINES),
    ("targets", targets::TARGETS),
    ("hosts", targets::HOSTS),
    ("hops", targets::HOPS),
];

/// Lax origins that differ in all that they may choose.
const TASTES: [Taste; 3] = [
    Taste {
        framing: Prefer::Coding,
        among: Pick::First,
        lone_cr: false,
        ignores_bodies: false,
        never_continues: false,
    },
    Taste {
        framing: Prefer::Length,
        among: Pick::Last,
        lone_cr: true,
        ignores_bodies: false,
        never_continues: true,
    },
    Taste {
        framing: Prefer::Coding,
        among: Pick::Last,
        lone_cr: true,
        ignores_bodies: true,
        never_continues: false,
    },
];

#[test]
fn a_lax_origin_sees_the_requests_that_were_admitted() {
    every(|lane| {
        for taste in TASTES {
            let origin = Lax::start(taste);
            let mut wrong = Wrong::new(format!("{lane:?}, {taste:?}"));
            let stand = Stand::start(lane, origin.address, &[]);
            run_tables(&stand, &mut wrong, taste.ignores_bodies || taste.never_continues);
            stand.compare(&origin.requests(), &mut wrong);
            wrong.assert_none();
        }
    });
}

#[test]
fn nginx_sees_the_requests_that_were_admitted() {
    if !installed(&["nginx"]) {
        return;
    }
    every(|lane| {
        let (nginx, log) = strict();
        let mut wrong = Wrong::new(format!("{lane:?}, nginx"));
        let stand = Stand::start(lane, nginx.address, &[]);
        run_tables(&stand, &mut wrong, false);
        wrong.assert_none();
        // nginx writes a line when it is done with a request, which may be after the client has its answer.
        let seen = log.wait_for(stand.sent());
        stand.compare(&seen, &mut wrong);
        wrong.assert_none();
    });
}

/// What comes after a pause belongs to the message that was begun, or to nobody.
#[test]
fn pauses_make_no_requests() {
    every(|lane| {
        for taste in TASTES {
            let origin = Lax::start(taste);
            let mut wrong = Wrong::new(format!("{lane:?}, {taste:?}"));
            let stand =
                Stand::start(lane, origin.address, &["--head-timeout", "300ms", "--body-timeout", "300ms"]);
            for (n, (parts, outcome)) in targets::PAUSED.iter().enumerate() {
                let talk = stand.talk(n, parts);
                wrong.note(talk.check(n, *outcome, false), || format!("{parts:?}: {talk:?}"));
            }
            stand.compare(&origin.requests(), &mut wrong);
            wrong.assert_none();
        }
    });
}

/// Runs `test` for both lanes, side by side.
fn every(test: impl Fn(Lane) + Sync) {
    let test = &test;
    std::thread::scope(|scope| {
        for lane in LANES {
            scope.spawn(move || test(lane));
        }
    });
}

/// Sends every shape: at once, and each line on its own.
fn run_tables(stand: &Stand, wrong: &mut Wrong, odd_origin: bool) {
    let mut n = 0;
    for (table, shapes) in TABLES {
        for (shape, outcome) in *shapes {
            for cut in [Cut::Nowhere, Cut::BehindLines] {
                n += 1;
                // Whoever says that it was the last request and then sends more may lose the answer (RFC 9112 section
                // 9.6): what comes after the close resets the connection. In one piece all of it comes before.
                if matches!((outcome, cut), (Outcome::Closed(_), Cut::BehindLines)) {
                    continue;
                }
                let message = [render(shape, n), tracer(n)].concat();
                let talk = stand.send(&message, cut);
                wrong.note(talk.check(n, *outcome, odd_origin), || {
                    format!("{table}, {shape:?}, {cut:?}: {talk:?}")
                });
            }
        }
    }
}

/// How a message is cut into writes.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Nowhere,
    BehindLines,
}

/// The bytes of a shape with the number `n`.
fn render(shape: &str, n: usize) -> Vec<u8> {
    let hidden = format!("GET /{n}/hidden HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let shape = match shape.strip_prefix('@') {
        Some(rest) => format!("POST /N/a HTTP/1.1\r\nHost: a.test\r\n{rest}"),
        None => shape.to_owned(),
    };
    let shape = shape
        .replace("<hidden>", &hidden)
        .replace("<len>", &hidden.len().to_string())
        .replace("<len5>", &(hidden.len() + 5).to_string())
        .replace("<hex>", &format!("{:x}", hidden.len()))
        .replace("/N/", &format!("/{n}/"));
    shape.into_bytes()
}

/// The request behind a shape.
fn tracer(n: usize) -> Vec<u8> {
    format!("GET /{n}/tracer HTTP/1.1\r\nHost: a.test\r\nX-Tracer: {n}\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

/// A request by what tells it apart: method and path.
type Name = (String, String);

/// A weir before an origin.
struct Stand {
    weir: Weir,
    folder: tempfile::TempDir,
}

impl Stand {
    fn start(lane: Lane, origin: SocketAddr, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("access.log").display().to_string();
        let flags = [&["--access-log", &log], flags].concat();
        let weir = lane.start(&ingress("web", "", origin, &[("proxy-next-upstream", "off")]), &flags);
        Self { weir, folder }
    }

    /// Sends a message on a connection of its own, and reads until weir closes.
    fn send(&self, message: &[u8], cut: Cut) -> Talk {
        let mut client = Client::connect(self.weir.http);
        match cut {
            Cut::Nowhere => drop(client.try_send(message)),
            Cut::BehindLines => {
                for line in message.split_inclusive(|byte| *byte == b'\n') {
                    if client.try_send(line).is_err() {
                        break;
                    }
                }
            }
        }
        Talk::of(client.rest())
    }

    /// Sends parts, each when the one before has made weir say something, then the tracer.
    fn talk(&self, n: usize, parts: &[&str]) -> Talk {
        let mut client = Client::connect(self.weir.http);
        let mut said = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                let mut block = [0; 4096];
                let read = client.stream().read(&mut block).unwrap_or(0);
                said.extend_from_slice(&block[..read]);
            }
            let _ = client.try_send(render(part, n));
        }
        let _ = client.try_send(tracer(n));
        Talk::of(client.rest().map(|rest| [said, rest].concat()))
    }

    /// How many requests got an answer from the origin so far. The log lags behind.
    fn sent(&self) -> usize {
        let ended = |metrics: &str| {
            let of = |line: &str| {
                line.strip_prefix("weir_upstream_results_total")?.rsplit(' ').next()?.parse::<f64>().ok()
            };
            metrics.lines().filter(|line| line.contains("result=\"respond\"")).filter_map(of).sum::<f64>()
        };
        ended(&crate::support::get(self.weir.admin, "admin", "/metrics").text()) as usize
    }

    /// Compares what weir says that it admitted with what the origin saw.
    fn compare(self, seen: &[Name], wrong: &mut Wrong) {
        let Self { weir, folder } = self;
        assert!(weir.terminate().success());
        let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap();
        let mut admitted = log.lines().filter_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| Some(line.get(name)?.as_str()?.to_owned());
            let answered = line.get("upstream_status").is_some_and(|status| status == 200);
            answered.then(|| (text("method").unwrap(), encoded(&text("path").unwrap())))
        });
        for (at, seen) in seen.iter().enumerate() {
            let admitted = admitted.next();
            if admitted.as_ref() != Some(seen) {
                wrong.0.push(format!("request {at}: the origin saw {seen:?}, admitted was {admitted:?}"));
                return;
            }
        }
        wrong.note(
            admitted.next().map_or(Ok(()), |more| Err(format!("the origin never saw {more:?}"))),
            String::new,
        );
    }
}

/// A path as both logs spell it: what may not stand in a path encoded.
fn encoded(path: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !r#"<>`"{|}^\"#.contains(c);
    path.chars().map(|c| if plain(c) { c.to_string() } else { format!("%{:02X}", u32::from(c)) }).collect()
}

impl Lax {
    fn requests(&self) -> Vec<Name> {
        let path = |target: &str| encoded(target.split('?').next().unwrap_or_default());
        let mut tracers = Vec::new();
        let requests = self.seen().into_iter().map(|seen| {
            if seen.target.ends_with("/tracer") {
                let names: Vec<_> = seen.fields.iter().map(|(name, _)| name.clone()).collect();
                assert_eq!(seen.body.len(), 0, "{seen:?}");
                tracers.push(names);
            }
            (seen.method.clone(), path(&seen.target))
        });
        let requests = requests.collect();
        // Nothing of what came before a tracer is in it.
        assert!(tracers.windows(2).all(|two| two[0] == two[1]), "{tracers:?}");
        requests
    }

    /// The same, when anything may look like a tracer.
    fn requests_of_anybody(&self) -> Vec<Name> {
        let name = |seen: &lax::Seen| {
            (seen.method.clone(), encoded(seen.target.split('?').next().unwrap_or_default()))
        };
        self.seen().iter().map(name).collect()
    }
}

/// nginx that reads every body before it passes a request on to itself, and its log.
fn strict() -> (Nginx, NginxLog) {
    let mut path = None;
    let nginx = Nginx::start(|root, address| {
        path = Some(root.join("access.log"));
        let socket = root.join("socket");
        format!(
            "log_format seen escape=json '$request_method $uri_seen $status'; map $request_uri $uri_seen {{ ~^([^?]*) $1; }}\n\
             server {{ listen {address}; merge_slashes off; access_log {root}/access.log seen;\n\
             location / {{ proxy_pass http://unix:{socket}; proxy_http_version 1.1; }} }}\n\
             server {{ listen unix:{socket}; access_log off; merge_slashes off;\n\
             location / {{ add_header X-Saw \"$request_method $uri_seen\" always; return 200 \"\"; }} }}",
            root = root.display(),
            socket = socket.display(),
        )
    });
    (nginx, NginxLog(path.unwrap()))
}

struct NginxLog(std::path::PathBuf);

impl NginxLog {
    /// The requests that nginx answered with 200, of which there are `count`. What it found malformed is among them.
    fn wait_for(&self, count: usize) -> Vec<Name> {
        let read = || -> Vec<Name> {
            let text = std::fs::read_to_string(&self.0).unwrap();
            let lines = text.lines().filter_map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                let [method, path, status] = words[..] else { return Some((line.to_owned(), String::new())) };
                // 400 and 499 are bodies that never came to their end.
                match status {
                    "200" => Some((method.to_owned(), encoded(path))),
                    "400" | "499" | "408" if !method.is_empty() => None,
                    _ => Some((line.to_owned(), String::new())),
                }
            });
            lines.collect()
        };
        until("nginx has written its log", || read().len() >= count);
        read()
    }
}

/// What a client got.
#[derive(Debug)]
struct Talk {
    answers: Vec<Answer>,
    /// What is wrong with the bytes as such.
    wrong: Option<String>,
}

/// One answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Method and path, as the origin saw them; `None` when weir answered itself.
    saw: Option<String>,
}

impl Talk {
    fn of(read: std::io::Result<Vec<u8>>) -> Self {
        let mut answers = Vec::new();
        let mut wrong = None;
        match read {
            Err(error) => wrong = Some(format!("no end: {error}")),
            Ok(bytes) => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    match answer(rest) {
                        Some((answer, behind)) => {
                            answers.extend((answer.status >= 200).then_some(answer));
                            rest = behind;
                        }
                        None => {
                            wrong = Some(format!("no answer: {}", rest.escape_ascii()));
                            break;
                        }
                    }
                }
            }
        }
        Self { answers, wrong }
    }

    /// Whether this is what must become of shape `n`. With an origin that may answer before it has read a body, the
    /// connection may end with the answer.
    fn check(&self, n: usize, outcome: Outcome, odd_origin: bool) -> Result<(), String> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        let (served, refused, traced) = match outcome {
            Outcome::Refused(status) => (0, Some(status), false),
            Outcome::Turned(status) => (0, Some(status), true),
            Outcome::Served(n) => (n, None, true),
            Outcome::Closed(n) => (n, None, false),
            Outcome::ServedAndRefused(n, status) => (n, Some(status), false),
        };
        let mut left = &self.answers[..];
        if odd_origin && outcome == Outcome::Served(served) && left.len() == served {
            // It may have closed.
            return self.check(n, Outcome::Closed(served), false);
        }
        for _ in 0..served {
            let Some((first, rest)) = left.split_first() else { return Err("an answer is missing".into()) };
            if first.status != 200 || first.saw.as_ref().is_none_or(|saw| saw.ends_with("/tracer")) {
                return Err(format!("not answered: {first:?}"));
            }
            left = rest;
        }
        if let Some(status) = refused {
            let Some((first, rest)) = left.split_first() else { return Err("no refusal".into()) };
            if *first != (Answer { status, saw: None }) {
                return Err(format!("not refused with {status}: {first:?}"));
            }
            left = rest;
        }
        let tracer = Answer { status: 200, saw: Some(format!("GET /{n}/tracer")) };
        match left {
            [] if !traced => Ok(()),
            [answer] if traced && *answer == tracer => Ok(()),
            _ => Err(format!("then: {left:?}")),
        }
    }
}

/// The first response of `bytes`, and what is behind it.
fn answer(bytes: &[u8]) -> Option<(Answer, &[u8])> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let (text, mut rest) = (std::str::from_utf8(&bytes[..head]).ok()?, &bytes[head..]);
    let status = text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let field = |name: &str| {
        let of = |line: &str| {
            line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.to_owned())
        };
        text.lines().find_map(of)
    };
    if status >= 200 {
        rest = rest.get(field("content-length")?.parse().ok()?..)?;
    }
    Some((Answer { status, saw: field("x-saw") }, rest))
}

/// What went wrong.
struct Wrong(Vec<String>);

impl Wrong {
    fn new(what: String) -> Self {
        Self(vec![what])
    }

    fn note(&mut self, result: Result<(), String>, what: impl FnOnce() -> String) {
        if let Err(error) = result {
            self.0.push(format!("{error}\n    {}", what()));
        }
    }

    fn assert_none(&self) {
        assert!(self.0.len() == 1, "\n{}\n", self.0.join("\n"));
    }
}
