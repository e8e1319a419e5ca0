//! Requests of HTTP/1.1 as bytes.

use crate::plan::Client;
use crate::scenario::{Body, Class, Connection};
use std::io::Write;

/// The head of a class's requests for one host and path, without what each client says of itself.
#[derive(Clone, Debug)]
pub struct Template {
    head: Vec<u8>,
    body: Body,
}

impl Template {
    /// Of a class's requests for a pair of host and path.
    pub fn new(class: &Class, ask: u16) -> Self {
        let request = &class.request;
        let (host, path) = request.ask(ask);
        let mut head = format!("{} {path} HTTP/1.1\r\nHost: {host}\r\n", request.method);
        for (name, value) in &request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match request.body {
            Body::None => {}
            Body::Sized { size } => head.push_str(&format!("Content-Length: {}\r\n", size.0)),
            Body::Chunked { .. } => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        if request.connection == Connection::Close {
            head.push_str("Connection: close\r\n");
        }
        if let Some((name, prefix)) = class.identity.field() {
            head.push_str(&format!("{name}: {prefix}"));
        }
        Self { head: head.into_bytes(), body: request.body }
    }

    /// Appends a client's request, head and body.
    pub fn write(&self, client: &Client, out: &mut Vec<u8>) {
        self.write_head(client, out);
        match self.body {
            Body::None => {}
            Body::Sized { size } => out.resize(out.len() + size.0 as usize, b'x'),
            Body::Chunked { size } => {
                let mut left = size.0 as usize;
                while left > 0 {
                    let chunk = left.min(CHUNK);
                    out.extend_from_slice(format!("{chunk:x}\r\n").as_bytes());
                    out.resize(out.len() + chunk, b'x');
                    out.extend_from_slice(b"\r\n");
                    left -= chunk;
                }
                out.extend_from_slice(b"0\r\n\r\n");
            }
        }
    }

    /// Appends the head of a client's request.
    pub fn write_head(&self, client: &Client, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        if let Some(says) = client.says {
            // Into memory: this cannot fail.
            let _ = write!(out, "{says}\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Bytes of a chunk.
const CHUNK: usize = 16 * 1024;
