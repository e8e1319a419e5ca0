//! Before the rounds each proxy is asked whether it does the same as the others.

use super::Failure;
use super::case::Transport;
use super::client::{Answer, KeptClient, get};
use super::contestant::Contestant;
use super::hold;
use super::peers::{ALLOWED_HOST, KIBIBYTE, MEBIBYTE, REFUSED_HOST, SPRAY_HOST};

/// What this proxy does less than the comparison asks for: a sentence each, none if nothing.
pub(crate) fn differences(proxy: &Contestant) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let port = proxy.ports.http;
    for (path, size) in [("/api/1k", KIBIBYTE), ("/api/1m", MEBIBYTE)] {
        let answer = get(port, ALLOWED_HOST, path)?;
        if (answer.status, answer.body.len()) != (200, size) {
            let got = format!("{} and {} bytes", answer.status, answer.body.len());
            found.push(format!("answers `{path}` with {got}, not with 200 and {size}"));
        }
    }
    let told = get(port, ALLOWED_HOST, "/api/headers")?;
    let told = String::from_utf8_lossy(&told.body).into_owned();
    let missing = untold(&told);
    if !missing.is_empty() {
        found.push(format!("does not tell the origin {}", missing.join(", ")));
    }
    if get(port, "unknown.bench.example", "/api/1k")?.status == 200 {
        found.push("forwards an unknown host".to_owned());
    }
    if get(port, ALLOWED_HOST, "/elsewhere")?.status == 200 {
        found.push("forwards an unknown path".to_owned());
    }
    match first_refusal(proxy)? {
        None => found.push(format!("does not limit `{REFUSED_HOST}`")),
        Some(refusal) if refusal.field("Retry-After").is_none_or(str::is_empty) => {
            found.push("refuses without Retry-After".to_owned());
        }
        Some(_) => {}
    }
    let speaks = [
        (proxy.ports.https, Transport::Tls, "TLS with HTTP/1.1"),
        (proxy.ports.https, Transport::Http2Tls, "HTTP/2 over TLS"),
        (proxy.ports.h2c, Transport::Http2, "HTTP/2 without TLS"),
    ];
    for (port, transport, name) in speaks {
        if let Some(port) = port
            && let Err(error) = hold::once(port, transport)
        {
            found.push(format!("does not speak {name}: {error}"));
        }
    }
    Ok(found)
}

/// The fields that came to the origin without a value.
fn untold(page: &str) -> Vec<&str> {
    let lines: Vec<&str> = page.lines().filter_map(|line| line.trim().strip_suffix('=')).collect();
    if page.trim().is_empty() { vec!["anything"] } else { lines }
}

/// Spends the allowance of the host that refuses; the first 429, if it comes.
fn first_refusal(proxy: &Contestant) -> Result<Option<Answer>, Failure> {
    for _ in 0..ATTEMPTS {
        let answer = get(proxy.ports.refused, REFUSED_HOST, "/api/1k")?;
        if answer.status == 429 {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

/// Whether one client is refused while another is not, where only `X-Forwarded-For` tells them apart.
pub(crate) fn tells_clients_apart(proxy: &Contestant) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Tool(format!("{}: {error}", proxy.name));
    let mut client = KeptClient::connect(proxy.ports.http).map_err(failed)?;
    let mut ask =
        |address: &str| client.get(SPRAY_HOST, "/api/1k", &[("X-Forwarded-For", address)]).map_err(failed);
    for _ in 0..SPRAY_ATTEMPTS {
        if ask("192.0.2.1")? != 429 {
            continue;
        }
        return match ask("192.0.2.2")? {
            200 => Ok(()),
            status => Err(Failure::Tool(format!("a new client was answered with {status}"))),
        };
    }
    Err(Failure::Tool(format!("`{SPRAY_HOST}` is not limited")))
}

const ATTEMPTS: usize = 50;
/// Well beyond the burst of the host, and quick enough for its rate not to matter.
const SPRAY_ATTEMPTS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_without_a_value_were_not_told() {
        assert_eq!(untold("x-real-ip=127.0.0.1\nx-request-id=\n"), ["x-request-id"]);
        assert_eq!(untold("a=1\n"), [""; 0]);
        assert_eq!(untold(""), ["anything"]);
    }
}
