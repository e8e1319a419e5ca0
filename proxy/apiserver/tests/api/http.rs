//! HTTP by hand: small, exact, and in step with the server.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use weir_apiserver::ApiServer;

/// An answer: status code, head, and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// A request without a body.
pub(crate) fn get(server: &ApiServer, path: &str) -> Answer {
    send(server, "GET", path, &[], "")
}

/// A request with a JSON body.
pub(crate) fn post(server: &ApiServer, path: &str, body: &Value) -> Answer {
    send(server, "POST", path, &[("Content-Type", "application/json")], &body.to_string())
}

pub(crate) fn put(server: &ApiServer, path: &str, body: &Value) -> Answer {
    send(server, "PUT", path, &[("Content-Type", "application/json")], &body.to_string())
}

pub(crate) fn patch(server: &ApiServer, path: &str, media_type: &str, body: &Value) -> Answer {
    send(server, "PATCH", path, &[("Content-Type", media_type)], &body.to_string())
}

pub(crate) fn delete(server: &ApiServer, path: &str) -> Answer {
    send(server, "DELETE", path, &[], "")
}

/// A request on a connection of its own.
pub(crate) fn send(
    server: &ApiServer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut reader = begin(server, method, path, headers, body);
    let (code, head) = read_head(&mut reader);
    let mut body = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        while let Some(chunk) = read_chunk(&mut reader) {
            body.extend(chunk);
        }
    } else {
        reader.read_to_end(&mut body).unwrap();
    }
    let body = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body).as_ref()));
    Answer { code, head, body }
}

/// A watch, event by event.
pub(crate) struct Watch {
    reader: BufReader<TcpStream>,
    rest: Vec<u8>,
    ended: bool,
}

/// Opens a watch.
pub(crate) fn watch(server: &ApiServer, path: &str) -> Watch {
    watch_as(server, path, &[])
}

pub(crate) fn watch_as(server: &ApiServer, path: &str, headers: &[(&str, &str)]) -> Watch {
    let mut reader = begin(server, "GET", path, headers, "");
    let (code, head) = read_head(&mut reader);
    assert_eq!(code, 200, "{head}");
    Watch { reader, rest: Vec::new(), ended: false }
}

impl Watch {
    /// The next line; none where the stream ended as it should.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            match if self.ended { None } else { read_chunk(&mut self.reader) } {
                Some(chunk) => self.rest.extend(chunk),
                None => {
                    self.ended = true;
                    let rest = String::from_utf8(std::mem::take(&mut self.rest)).unwrap();
                    return (!rest.is_empty()).then_some(rest);
                }
            }
        }
    }

    /// The next event: its type and object.
    pub(crate) fn event(&mut self) -> (String, Value) {
        let event: Value = serde_json::from_str(&self.line().unwrap()).unwrap();
        (event["type"].as_str().unwrap().to_owned(), event["object"].clone())
    }

    /// The next event as `TYPE name`.
    pub(crate) fn short(&mut self) -> String {
        let (kind, object) = self.event();
        format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or_default())
    }

    /// What a read gives when the stream does not go on: the kind of error.
    pub(crate) fn read_error(&mut self) -> std::io::ErrorKind {
        let mut byte = [0; 1];
        self.reader.read_exact(&mut byte).unwrap_err().kind()
    }

    /// Reads give up after this.
    pub(crate) fn patience(&self, patience: Duration) {
        self.reader.get_ref().set_read_timeout(Some(patience)).unwrap();
    }
}

/// Sends a request and leaves the answer to be read.
pub(crate) fn begin(
    server: &ApiServer,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    BufReader::new(stream)
}

fn read_head(reader: &mut BufReader<TcpStream>) -> (u16, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the answer ended in its head: {head:?}");
    }
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase())
}

/// A chunk of a body; none at its end.
fn read_chunk(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut size = String::new();
    reader.read_line(&mut size).unwrap();
    let size = usize::from_str_radix(size.trim(), 16).unwrap();
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk).unwrap();
    chunk.truncate(size);
    (size > 0).then_some(chunk)
}

/// The longest that a test waits for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
