//! Refusals that come while the client is still sending: it must be able to read them, whatever it does meanwhile.

use crate::support::h2::{DATA, END_HEADERS, H2, HEADERS, RawH2, fields, frame, request};
use crate::support::{Client, LANES, Lane, Origin, PATIENCE, Weir, get, ingress, tls};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a client does while it is refused.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// It goes on sending until it has read the answer to its end.
    SendsOn,
    /// It sends all that it has to say, and only then reads.
    ReadsLate,
}

/// What it sends: the beginning, and what it goes on with.
struct Upload {
    name: &'static str,
    begin: String,
    more: String,
    status: u16,
    /// Whether it waits for the refusal before it goes on.
    pauses: bool,
}

fn upload(name: &'static str, begin: impl Into<String>, more: &str, status: u16) -> Upload {
    Upload { name, begin: begin.into(), more: more.repeat(BLOCK / more.len()), status, pauses: false }
}

/// Every refusal that may come early. Each with a connection that would stay and one that closes anyhow.
fn uploads() -> Vec<Upload> {
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let fields = "A: b\r\n".repeat(200);
    let mut all = Vec::new();
    for close in ["", "Connection: close\r\n"] {
        let post =
            |host: &str, fields: &str| format!("POST / HTTP/1.1\r\nHost: {host}\r\n{close}{fields}\r\n");
        all.extend([
            upload("413 by length", post("body.test", "Content-Length: 100000000\r\n"), "x", 413),
            upload("413 by bytes", post("body.test", "Transfer-Encoding: chunked\r\n"), &chunk, 413),
            upload("429", post("rate.test", "Content-Length: 100000000\r\n"), "x", 429),
            upload("429, chunked", post("rate.test", "Transfer-Encoding: chunked\r\n"), &chunk, 429),
            upload("404", post("nowhere.test", "Content-Length: 100000000\r\n"), "x", 404),
            upload("400", post("a b", "Content-Length: 100000000\r\n"), "x", 400),
            upload(
                "400 in a body",
                post("body.test", "Transfer-Encoding: chunked\r\n") + "zz\r\n",
                &chunk,
                400,
            ),
            upload("501", post("body.test", "Transfer-Encoding: gzip, chunked\r\n"), &chunk, 501),
            upload("417", post("body.test", "Expect: x\r\nContent-Length: 100000000\r\n"), "x", 417),
            upload("431 by bytes", format!("GET / HTTP/1.1\r\nHost: a.test\r\n{close}"), "X-A: b\r\n", 431),
            upload(
                "431 by count",
                format!("GET / HTTP/1.1\r\nHost: a.test\r\n{close}{fields}\r\n"),
                "x",
                431,
            ),
            upload("408 in a body", post("slow.test", "Content-Length: 100000000\r\n") + "x", "x", 408),
            upload("408 in a short body", post("slow.test", "Content-Length: 10\r\n") + "x", "x", 408),
            upload("408 in a head", format!("GET / HTTP/1.1\r\n{close}"), "X: y\r\n", 408),
        ]);
    }
    all.push(upload("414", "GET /", "a", 414));
    for upload in &mut all {
        upload.pauses = upload.status == 408;
    }
    all
}

#[test]
fn every_early_refusal_can_be_read_by_a_client_that_is_still_sending() {
    read_everywhere(|weir, upload, manner| {
        let mut stream = connect(weir.http);
        begin(&mut stream, upload)?;
        if upload.pauses {
            stream.peek(&mut [0]).map_err(|error| format!("no answer: {error}"))?;
        }
        let mut answer = Vec::new();
        match manner {
            Manner::ReadsLate => read_late(&mut stream, upload, &mut answer)?,
            Manner::SendsOn => {
                let (mut writer, done) = (stream.try_clone().unwrap(), AtomicBool::new(false));
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        while !done.load(Ordering::Relaxed) {
                            if writer.write_all(upload.more.as_bytes()).is_err() {
                                break;
                            }
                        }
                    });
                    let read = stream.read_to_end(&mut answer);
                    done.store(true, Ordering::Relaxed);
                    read
                })
                .map_err(|error| format!("answer: {error}"))?;
            }
        }
        Ok(answer)
    });
}

/// What a client sends meanwhile is not even decrypted, and the end is said in the words of TLS.
#[test]
fn every_early_refusal_can_be_read_over_tls() {
    read_everywhere(|weir, upload, manner| {
        let mut stream = tls::wrap(connect(weir.https()), "a.test", tls::trusting());
        begin(&mut stream, upload)?;
        let mut answer = Vec::new();
        if upload.pauses {
            answer.resize(1, 0);
            stream.read_exact(&mut answer).map_err(|error| format!("no answer: {error}"))?;
        }
        match manner {
            Manner::ReadsLate => read_late(&mut stream, upload, &mut answer)?,
            Manner::SendsOn => {
                // In turns, as one end of TLS is one thing.
                let mut block = [0; 4096];
                loop {
                    stream.sock.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
                    match stream.read(&mut block) {
                        Ok(0) => break,
                        Ok(n) => answer.extend_from_slice(&block[..n]),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            stream
                                .write_all(upload.more.as_bytes())
                                .map_err(|error| format!("more: {error}"))?;
                        }
                        Err(error) => return Err(format!("answer: {error}")),
                    }
                }
            }
        }
        Ok(answer)
    });
}

/// The stream is answered, and the connection stays for others.
#[test]
fn every_early_refusal_of_a_stream_can_be_read_while_its_body_is_sent() {
    let (weir, _origin) = start(Lane::Auto);
    let client = H2::connect(weir.http);
    let piece = vec![b'x'; 16 * 1024];
    let endless = vec![&piece[..]; 6_000];
    for (host, length, status) in [
        ("body.test", Some("100000000"), 413),
        ("body.test", None, 413),
        ("rate.test", None, 429),
        ("nowhere.test", None, 404),
    ] {
        let fields: Vec<_> = length.map(|length| ("content-length", length)).into_iter().collect();
        let answer = client.ask(request("POST", host, "/", &fields), &endless);
        assert_eq!((answer.status, answer.reset), (status, None), "{host}, {length:?}");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string(), "{host}, {length:?}");
        assert_eq!(client.get("body.test", "/").status, 200, "{host}, {length:?}");
    }
    // One that began and stopped.
    let mut late = RawH2::connect(weir.http, &[]);
    let head = [(":method", "POST"), (":scheme", "http"), (":authority", "slow.test"), (":path", "/")];
    late.send(&frame(HEADERS, END_HEADERS, 1, &fields(&head)));
    late.send(&frame(DATA, 0, 1, b"x"));
    assert!(late.next_of(HEADERS).is_some_and(|frame| frame.stream == 1));
    let body = String::from_utf8(late.next_of(DATA).unwrap().payload).unwrap();
    assert_eq!(body.trim_end(), "The request took too long to arrive.");
}

type Outcome = Result<Vec<u8>, String>;

/// Makes all uploads in all manners through both lanes. Each must end with the right answer, whole.
fn read_everywhere(upload_to: impl Fn(&Weir, &Upload, Manner) -> Outcome + Sync) {
    std::thread::scope(|scope| {
        for lane in LANES {
            let upload_to = &upload_to;
            scope.spawn(move || {
                let (weir, _origin) = start(lane);
                let mut wrong = Vec::new();
                for upload in uploads() {
                    for manner in [Manner::SendsOn, Manner::ReadsLate] {
                        let answer = upload_to(&weir, &upload, manner);
                        if let Err(error) = answer.and_then(|answer| is_right(&upload, &answer)) {
                            wrong.push(format!("{lane:?}, {}, {manner:?}: {error}", upload.name));
                        }
                    }
                }
                assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
            });
        }
    });
}

#[test]
fn a_head_that_is_too_large_or_too_long_can_be_read_about() {
    for lane in LANES {
        let (weir, origin) = start(lane);
        for (head, status) in [
            (format!("GET /{}", "a".repeat(40_000)), 414),
            (format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}", "a".repeat(40_000)), 431),
            (format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", "A: b\r\n".repeat(129)), 431),
        ] {
            let mut client = Client::connect(weir.http);
            client.try_send(&head).unwrap();
            assert_eq!(client.read("GET").status, status, "{lane:?}");
        }
        assert!(origin.seen().is_empty());
    }
}

/// A client that waits to be told is not told to send what will be refused.
#[test]
fn nobody_is_told_to_continue_and_then_refused() {
    for lane in LANES {
        let (weir, origin) = start(lane);
        for (host, length, status) in
            [("body.test", 100_000, 413), ("rate.test", 10, 429), ("nowhere.test", 10, 404)]
        {
            let mut client = Client::connect(weir.http);
            client.send(format!(
                "POST / HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
            ));
            let reply = client.read("POST");
            assert_eq!((reply.status, &reply.interim[..]), (status, &[][..]), "{lane:?} {host}");
            // It may send the body or not; so nothing that follows can be read in one way only.
            assert!(client.is_closed(), "{lane:?} {host}");
        }
        assert!(origin.seen().is_empty());
    }
}

/// A short body that is refused is read to its end, and the connection stays.
#[test]
fn a_short_body_that_is_refused_costs_no_connection() {
    for lane in LANES {
        let (weir, _origin) = start(lane);
        let mut client = Client::connect(weir.http);
        for length in [0, 1, 100, 60_000] {
            assert_eq!(client.post("rate.test", "/", &vec![b'x'; length]).status, 429, "{lane:?}");
        }
        assert_eq!(client.get("body.test", "/").status, 200, "{lane:?}");
    }
}

/// weir with hosts that refuse in different ways. The budget of `rate.test` is spent.
fn start(lane: Lane) -> (Weir, Origin) {
    let origin = Origin::echo();
    let unlimited = ("proxy-body-size", "0");
    let manifests = ingress("body", "body.test", origin.address, &[("proxy-body-size", "20k")])
        + &ingress("slow", "slow.test", origin.address, &[unlimited])
        + &ingress(
            "rate",
            "rate.test",
            Origin::echo().address,
            &[("limit-rph", "1"), ("limit-burst", "0"), unlimited],
        );
    let times = ["--head-timeout", "400ms", "--body-timeout", "400ms"];
    let weir = lane.start(&manifests, &[&times[..], &["--https", "127.0.0.1:0", "--h2c"]].concat());
    assert_eq!(get(weir.http, "rate.test", "/").status, 200);
    (weir, origin)
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn begin(stream: &mut impl Write, upload: &Upload) -> Result<(), String> {
    stream.write_all(upload.begin.as_bytes()).map_err(|error| format!("begin: {error}"))
}

fn read_late(stream: &mut (impl Read + Write), upload: &Upload, answer: &mut Vec<u8>) -> Result<(), String> {
    for _ in 0..MOST / BLOCK {
        stream.write_all(upload.more.as_bytes()).map_err(|error| format!("more: {error}"))?;
    }
    stream.read_to_end(answer).map(|_| ()).map_err(|error| format!("answer: {error}"))
}

fn is_right(upload: &Upload, answer: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("no head: {text:?}"))?;
    let length = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.lines().next()?.parse().ok());
    let whole = length == Some(body.len());
    let right =
        head.starts_with(&format!("HTTP/1.1 {} ", upload.status)) && head.contains("Connection: close");
    if right && whole { Ok(()) } else { Err(format!("{text:?}")) }
}

const BLOCK: usize = 64 * 1024;
/// Bytes that a client sends before it reads: less than weir reads and drops.
const MOST: usize = 2 << 20;
