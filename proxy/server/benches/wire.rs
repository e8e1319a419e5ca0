//! What the wire code costs per request: `cargo bench -p weir --bench wire`.

use divan::{Bencher, black_box};
use weir::lane::wire::{
    Buffer, Chunks, FieldKind, Method, RequestHead, RequestReading, ResponseReading, Treat, read_request,
    read_response,
};

fn main() {
    divan::main();
}

/// Which pair of heads.
#[derive(Clone, Copy, Debug)]
enum Heads {
    /// Almost no fields.
    Minimal,
    /// What a browser sends and a web server answers.
    Typical,
}

impl Heads {
    fn request(self) -> &'static [u8] {
        match self {
            Self::Minimal => MINIMAL,
            Self::Typical => BROWSER,
        }
    }

    fn response(self) -> &'static [u8] {
        match self {
            Self::Minimal => SHORT_RESPONSE,
            Self::Typical => RESPONSE,
        }
    }
}

const MINIMAL: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

const BROWSER: &[u8] = b"GET /shop/articles/4711?ref=front&page=2 HTTP/1.1\r\n\
    Host: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://shop.example.com/\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n\
    X-Forwarded-For: 192.0.2.7\r\n\
    X-Forwarded-Proto: https\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: origin/1.0\r\n\
    Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Length: 1024\r\n\
    Connection: keep-alive\r\n\
    ETag: \"0123456789abcdef\"\r\n\
    Cache-Control: public, max-age=60\r\n\
    Vary: Accept-Encoding\r\n\
    X-Content-Type-Options: nosniff\r\n\r\n";

const SHORT_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nConnection: keep-alive\r\n\r\n";

/// As many bytes as the fields that a request gets on its way to an origin.
const INSERTED: &[&[u8]] = &[
    b"X-Request-ID: 0123456789abcdef0123456789abcdef\r\nX-Real-IP: ",
    b"192.0.2.7",
    b"\r\nX-Forwarded-For: ",
    b"192.0.2.7",
    b"\r\nX-Forwarded-Host: ",
    b"shop.example.com",
    b"\r\nX-Forwarded-Port: 80\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Scheme: http\r\nX-Scheme: http\r\n",
];

#[divan::bench(args = [Heads::Minimal, Heads::Typical])]
fn request(heads: Heads) -> RequestHead {
    taken(black_box(heads.request()))
}

#[divan::bench(args = [Heads::Minimal, Heads::Typical])]
fn response(heads: Heads) -> usize {
    match read_response(black_box(heads.response()), Method::Get) {
        ResponseReading::Complete(head) => head.head,
        _ => 0,
    }
}

/// All of it: receive (a copy), read, cut and insert, both ways.
#[divan::bench(args = [Heads::Minimal, Heads::Typical])]
fn round_trip(bencher: Bencher<'_, '_>, heads: Heads) {
    let mut buffer = Buffer::new();
    bencher.bench_local(|| {
        receive(&mut buffer, black_box(heads.request()));
        let head = taken(buffer.data());
        let edits = head.edits(|kind| if kind == FieldKind::RequestId { Treat::Keep } else { Treat::Cut });
        let sent = edits.apply(&mut buffer, black_box(INSERTED));
        receive(&mut buffer, black_box(heads.response()));
        if let ResponseReading::Complete(head) = read_response(buffer.data(), Method::Get) {
            let _ = black_box(head.edits().apply(&mut buffer, &[]));
        }
        sent
    });
}

/// The three values that are read when a trusted peer sent the request.
#[divan::bench]
fn forwarded_values(bencher: Bencher<'_, '_>) {
    let head = taken(BROWSER);
    let data = black_box(BROWSER);
    bencher.bench_local(|| {
        let names = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"];
        names.map(|name| head.values(data, name).map(<[u8]>::len).sum::<usize>())
    });
}

/// 16 KiB in chunks of 1 KiB.
#[divan::bench]
fn chunked_16_kib(bencher: Bencher<'_, '_>) {
    let body = [b"400\r\n", &[b'x'; 1024][..], b"\r\n"].concat().repeat(16);
    bencher.bench_local(|| Chunks::new().feed(black_box(&body)));
}

fn receive(buffer: &mut Buffer, bytes: &[u8]) {
    buffer.reset();
    if let Some(spare) = buffer.spare().get_mut(..bytes.len()) {
        spare.copy_from_slice(bytes);
    }
    buffer.advance(bytes.len());
}

fn taken(data: &[u8]) -> RequestHead {
    match read_request(data) {
        RequestReading::Complete(head) => head,
        other => panic!("{other:?}"),
    }
}
