//! Tests of the wire code. `naive` is a second parser, written from the RFC and for nothing but being right.

mod chunks;
mod edits;
mod fuzz;
mod naive;
mod pingora;
mod request;
mod response;
mod smuggling;

use super::*;

/// A buffer that has received `bytes`.
fn buffer_of(bytes: &[u8]) -> Buffer {
    let mut buffer = Buffer::new();
    buffer.spare()[..bytes.len()].copy_from_slice(bytes);
    buffer.advance(bytes.len());
    buffer
}

/// The head of a request that must be taken.
fn taken(data: &[u8]) -> RequestHead {
    match read_request(data) {
        RequestReading::Complete(head) => head,
        other => panic!("{other:?}: {}", data.escape_ascii()),
    }
}

/// The reason why a request is declined, if it is.
fn declined(data: &[u8]) -> Option<Why> {
    match read_request(data) {
        RequestReading::Decline(why) => Some(why),
        _ => None,
    }
}

/// The head of a response that must be passed on.
fn passed(data: &[u8], asked: Method) -> ResponseHead {
    match read_response(data, asked) {
        ResponseReading::Complete(head) => head,
        other => panic!("{other:?}: {}", data.escape_ascii()),
    }
}

/// A GET with a Host and the given further field lines.
fn get_with(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n").into_bytes()
}
