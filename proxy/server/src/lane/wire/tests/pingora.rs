//! The other lane as a third opinion: what the express lane takes, pingora reads the same way.

use std::io::Cursor;

use pingora_core::protocols::http::v1::{client, server};

use super::*;

#[test]
fn pingora_reads_what_is_taken_the_same_way() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut compared = 0;
    for seed in fuzz::seeds() {
        let mut rng = fastrand::Rng::with_seed(seed);
        let data = fuzz::request(&mut rng);
        let data = fuzz::damaged(&mut rng, fuzz::REQUEST_PARTS, data);
        let RequestReading::Complete(head) = read_request(&data) else { continue };
        let Some(message) = data.get(..head.total()) else { continue };
        let shown = || format!("seed {seed}: {}", message.escape_ascii());

        let theirs =
            runtime.block_on(request(message)).unwrap_or_else(|error| panic!("{error}, {}", shown()));
        assert_eq!(theirs.method, head.method.name(), "{}", shown());
        assert_eq!(theirs.target, head.target.of(message), "{}", shown());
        assert_eq!(theirs.body, &message[head.head..], "{}", shown());
        let ours = naive::request(message).unwrap().head.fields;
        let mut ours: Vec<_> = ours.into_iter().map(|(name, value, _)| (name, value)).collect();
        let mut fields = theirs.fields;
        // Pingora groups fields by name, in their order: the order among names is not its to keep.
        ours.sort_by(|a, b| a.0.cmp(&b.0));
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(fields, ours, "{}", shown());
        compared += 1;
    }
    fuzz::assert_some(compared, fuzz::seeds().end - fuzz::seeds().start);
}

#[test]
fn pingora_takes_every_byte_of_a_target_that_is_taken() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for byte in 0..=u8::MAX {
        for place in ["/a@b", "/a?b@c", "/@"] {
            let data = format!("GET {place} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
            let data: Vec<_> = data.into_iter().map(|c| if c == b'@' { byte } else { c }).collect();
            if let RequestReading::Complete(head) = read_request(&data) {
                compare(&runtime, &data, &head);
            }
        }
    }
}

fn compare(runtime: &tokio::runtime::Runtime, message: &[u8], head: &RequestHead) {
    let shown = message.escape_ascii();
    let theirs = runtime.block_on(request(message)).unwrap_or_else(|error| panic!("{error}, {shown}"));
    assert_eq!(theirs.method, head.method.name(), "{shown}");
    assert_eq!(theirs.target, head.target.of(message), "{shown}");
    assert_eq!(theirs.body, &message[head.head..], "{shown}");
    let ours = naive::request(message).unwrap().head.fields;
    let mut ours: Vec<_> = ours.into_iter().map(|(name, value, _)| (name, value)).collect();
    let mut fields = theirs.fields;
    // Pingora groups fields by name, in their order: the order among names is not its to keep.
    ours.sort_by(|a, b| a.0.cmp(&b.0));
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(fields, ours, "{shown}");
}

struct Request {
    method: String,
    target: Vec<u8>,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

async fn request(message: &[u8]) -> pingora_core::Result<Request> {
    let mut session = server::HttpSession::new(Box::new(Cursor::new(message.to_vec())));
    session.read_request().await?;
    session.validate_request()?;
    let mut body = Vec::new();
    while let Some(bytes) = session.read_body_bytes().await? {
        body.extend_from_slice(&bytes);
    }
    let head = session.req_header();
    let fields = head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    Ok(Request {
        method: head.method.to_string(),
        target: head.raw_path().to_vec(),
        fields: fields.collect(),
        body,
    })
}

/// Responses with their bodies; the body as the client must understand it.
const RESPONSES: &[(&str, &str)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
    ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n",
        "hello",
    ),
    ("HTTP/1.1 200 OK\r\n\r\nhello", "hello"),
    ("HTTP/1.0 200\r\n\r\nhello", "hello"),
    ("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""),
];

#[test]
fn pingora_finds_the_same_bodies() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (response, body) in RESPONSES {
        let (status, theirs) = runtime.block_on(read_response_with_body(response.as_bytes())).unwrap();
        assert_eq!(String::from_utf8(theirs).unwrap(), *body, "{}", response.escape_debug());
        let head = passed(response.as_bytes(), Method::Get);
        assert_eq!(head.status, status);
        let behind = &response.as_bytes()[head.head..];
        let end = match head.framing {
            Framing::None => 0,
            Framing::Length(length) => length as usize,
            Framing::Chunked => match Chunks::new().feed(behind) {
                Ok(Progress::End(end)) => end,
                other => panic!("{other:?}"),
            },
            Framing::Close => behind.len(),
        };
        assert_eq!(end, behind.len(), "{}", response.escape_debug());
    }
}

async fn read_response_with_body(message: &[u8]) -> pingora_core::Result<(u16, Vec<u8>)> {
    let mut session = client::HttpSession::new(Box::new(Cursor::new(message.to_vec())));
    let status = session.read_resp_header_parts().await?.status.as_u16();
    let mut body = Vec::new();
    while let Some(bytes) = session.read_body_bytes().await? {
        body.extend_from_slice(&bytes);
    }
    Ok((status, body))
}
