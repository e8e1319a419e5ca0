//! One request at a time, for questions before and between the rounds.

use super::Failure;
use crate::drive::parse::Reader;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// An answer of HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(head) = response.parse(bytes).ok()? else { return None };
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Some(Self {
            status: response.code?,
            fields: response.headers.iter().map(|one| (one.name.to_owned(), text(one.value))).collect(),
            body: bytes.get(head..).unwrap_or_default().to_vec(),
        })
    }
}

/// `GET` on a connection of its own, which the other side closes.
pub(crate) fn get(port: u16, host: &str, path: &str) -> Result<Answer, Failure> {
    let failed = |error: io::Error| Failure::Tool(format!("http://{host}:{port}{path}: {error}"));
    let mut socket = TcpStream::connect_timeout(&at(port), PATIENCE).map_err(failed)?;
    let timeouts =
        socket.set_read_timeout(Some(PATIENCE)).and_then(|()| socket.set_write_timeout(Some(PATIENCE)));
    timeouts.map_err(failed)?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).map_err(failed)?;
    let mut bytes = Vec::new();
    socket.take(MOST).read_to_end(&mut bytes).map_err(failed)?;
    Answer::parse(&bytes).ok_or_else(|| failed(io::Error::other("the answer is not HTTP/1.1")))
}

/// A client that asks one question after the other on one connection.
#[derive(Debug)]
pub(crate) struct KeptClient(TcpStream);

impl KeptClient {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&at(port), PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(socket))
    }

    /// The status of the answer.
    pub(crate) fn get(&mut self, host: &str, path: &str, fields: &[(&str, &str)]) -> io::Result<u16> {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.0.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").as_bytes())?;
        let (mut reader, mut bytes) = (Reader::default(), [0; 4096]);
        loop {
            let count = self.0.read(&mut bytes)?;
            match reader.feed(bytes.get(..count).unwrap_or_default()).map_err(io::Error::other)? {
                Some((response, _)) => return Ok(response.status),
                None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => {}
            }
        }
    }
}

/// Whether the request is answered with 200.
pub(crate) fn answers(port: u16, host: &str, path: &str) -> bool {
    get(port, host, path).is_ok_and(|answer| answer.status == 200)
}

/// A port of loopback.
pub(crate) fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const MOST: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_status_fields_and_body() {
        let answer = Answer::parse(b"HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nServer: x\r\n\r\nbody").unwrap();
        assert_eq!((answer.status, answer.field("retry-after")), (429, Some("1")));
        assert_eq!((answer.field("age"), answer.body.as_slice()), (None, &b"body"[..]));
        assert_eq!(Answer::parse(b"HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(Answer::parse(b"SSH-2.0\r\n\r\n"), None);
    }
}
