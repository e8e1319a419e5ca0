//! What `weir demo --check` tries, and what must come of it.

use super::client::{Client, Reply};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;

/// One claim and whether it held.
pub(super) struct Line {
    /// What is claimed.
    pub(super) claim: &'static str,
    /// What was seen; `Err` when that is not it.
    pub(super) seen: Result<String, String>,
}

/// Tries everything against a demo that has just started.
pub(super) fn run(http: SocketAddr, https: SocketAddr, admin: SocketAddr) -> Vec<Line> {
    let checks: [(&'static str, Check); 10] = [
        ("a request goes through and its answer comes back", passes),
        ("limit-rps 5: 26 of 40 requests at once pass, the others get 429", burst),
        ("a refusal says when to come back and what the limit is", refusal),
        ("a forged X-Forwarded-For makes nobody another client", forged),
        ("another client has a limit of its own", other_client),
        ("limit-connections 8: 8 of 20 slow requests at once pass", concurrency),
        ("proxy-body-size 1k: 1024 bytes pass, one more gets 413, chunked or not", body),
        ("denied addresses get 403, other paths 404, other methods 405, whatever the spelling", gates),
        ("over TLS the same limit counts the same client", over_tls),
        ("limit-mode observe refuses nobody, and the metrics count what it would have refused", observe),
    ];
    let context = Context { http, https, admin };
    checks
        .into_iter()
        .map(|(claim, check)| {
            let seen = check(&context).unwrap_or_else(|error| Err(error.to_string()));
            Line { claim, seen }
        })
        .collect()
}

type Check = fn(&Context) -> io::Result<Result<String, String>>;

struct Context {
    http: SocketAddr,
    https: SocketAddr,
    admin: SocketAddr,
}

impl Context {
    /// A connection from 127.0.0.`last`.
    fn client(&self, last: u8) -> io::Result<Client> {
        Client::connect(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), self.http)
    }

    fn get(&self, last: u8, host: &str, path: &str) -> io::Result<Reply> {
        self.client(last)?.ask(&format!("GET {path}"), host, "", b"")
    }
}

fn passes(context: &Context) -> io::Result<Result<String, String>> {
    let reply = context.get(2, "shop.localhost", "/hello")?;
    let body = String::from_utf8_lossy(&reply.body);
    Ok(expect(reply.status == 200 && body.starts_with("GET /hello"), format!("{}", reply.status)))
}

fn over_tls(context: &Context) -> io::Result<Result<String, String>> {
    let source = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
    let mut plain = Client::connect(source, context.http)?;
    let mut encrypted = Client::connect_tls(source, context.https)?;
    let first = encrypted.ask("GET /", "shop.localhost", "", b"")?.status;
    // More than the burst, so that the last one is refused however slow the machine is.
    for _ in 0..200 {
        if plain.ask("GET /", "shop.localhost", "", b"")?.status == 429 {
            let last = encrypted.ask("GET /", "shop.localhost", "", b"")?.status;
            return Ok(expect((first, last) == (200, 429), format!("{first}, and {last} once it was spent")));
        }
    }
    Ok(Err("the limit was never reached".to_owned()))
}

fn burst(context: &Context) -> io::Result<Result<String, String>> {
    let mut client = context.client(3)?;
    let mut passed = 0;
    for _ in 0..40 {
        passed += u32::from(client.ask("GET /", "shop.localhost", "", b"")?.status == 200);
    }
    // Five a second come back meanwhile: a slow machine may see one or two more.
    Ok(expect((26..=30).contains(&passed), format!("{passed} passed")))
}

fn refusal(context: &Context) -> io::Result<Result<String, String>> {
    let reply = spent(context, 3, "")?;
    let (after, policy) = (reply.field("retry-after"), reply.field("ratelimit-policy"));
    let fine =
        reply.status == 429 && after == Some("1") && policy.is_some_and(|policy| policy.contains("q=5;w=1"));
    Ok(expect(fine, format!("{}, retry-after {after:?}, policy {policy:?}", reply.status)))
}

fn forged(context: &Context) -> io::Result<Result<String, String>> {
    let reply = spent(context, 3, "X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n")?;
    Ok(expect(reply.status == 429, format!("{}", reply.status)))
}

/// The response to a client that has nothing left: asked until it has not.
fn spent(context: &Context, last: u8, fields: &str) -> io::Result<Reply> {
    let mut client = context.client(last)?;
    let mut reply = client.ask("GET /", "shop.localhost", fields, b"")?;
    for _ in 0..60 {
        if reply.status == 429 {
            break;
        }
        reply = client.ask("GET /", "shop.localhost", fields, b"")?;
    }
    Ok(reply)
}

fn other_client(context: &Context) -> io::Result<Result<String, String>> {
    let reply = context.get(4, "shop.localhost", "/")?;
    Ok(expect(reply.status == 200, format!("{}", reply.status)))
}

fn concurrency(context: &Context) -> io::Result<Result<String, String>> {
    let replies: Vec<io::Result<Reply>> = thread::scope(|scope| {
        let asking: Vec<_> =
            (0..20).map(|_| scope.spawn(|| context.get(5, "upload.localhost", "/files/slow"))).collect();
        asking
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread has failed"))))
            .collect()
    });
    let mut passed = 0;
    for reply in replies {
        passed += u32::from(reply?.status == 200);
    }
    Ok(expect(passed == 8, format!("{passed} passed")))
}

fn body(context: &Context) -> io::Result<Result<String, String>> {
    let post = |fields: &str, body: &[u8]| {
        context.client(6)?.ask("POST /files", "upload.localhost", fields, body).map(|reply| reply.status)
    };
    let chunked = |length: usize| {
        [format!("{length:x}\r\n").as_bytes(), &vec![b'x'; length], b"\r\n0\r\n\r\n"].concat()
    };
    let seen = [
        post("Content-Length: 1024\r\n", &[b'x'; 1024])?,
        post("Content-Length: 1025\r\n", &[b'x'; 1025])?,
        post("Transfer-Encoding: chunked\r\n", &chunked(1024))?,
        post("Transfer-Encoding: chunked\r\n", &chunked(1025))?,
    ];
    Ok(expect(seen == [200, 413, 200, 413], format!("{seen:?}")))
}

fn gates(context: &Context) -> io::Result<Result<String, String>> {
    let seen = [
        context.get(66, "shop.localhost", "/")?.status,
        context.get(7, "upload.localhost", "/private")?.status,
        context.get(7, "upload.localhost", "/files/%2e%2e/private")?.status,
        context.client(7)?.ask("DELETE /files", "upload.localhost", "", b"")?.status,
        context.get(7, "elsewhere.localhost", "/")?.status,
    ];
    Ok(expect(seen == [403, 404, 404, 405, 404], format!("{seen:?}")))
}

fn observe(context: &Context) -> io::Result<Result<String, String>> {
    let mut client = context.client(8)?;
    for _ in 0..20 {
        let status = client.ask("GET /", "trial.localhost", "", b"")?.status;
        if status != 200 {
            return Ok(Err(format!("{status}")));
        }
    }
    let source = if context.admin.is_ipv4() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let metrics = Client::connect(source.into(), context.admin)?.ask("GET /metrics", "admin", "", b"")?;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let counted = metrics.lines().find(|line| {
        line.starts_with("weir_refusals_total{")
            && line.contains("trial")
            && line.contains("observe")
            && !line.ends_with(" 0")
    });
    Ok(expect(counted.is_some(), counted.unwrap_or("nothing counted").to_owned()))
}

fn expect(holds: bool, seen: String) -> Result<String, String> {
    if holds { Ok(seen) } else { Err(seen) }
}
