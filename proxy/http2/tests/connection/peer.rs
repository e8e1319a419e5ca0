//! A client that is made of frames, and the server's side of its connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use weir_http2::Request;
use weir_http2::frame::{self, Frame};
use weir_http2::hpack::{Decoder, Encoder};
use weir_http2::{Connection, Error, Gone, Options, Reason, Stream};
use weir_limits::Instant;

pub(crate) const T0: Instant = Instant::START;
pub(crate) const OPTIONS: Options =
    Options { streams: 100, head_bytes: 16 << 10, stream_window: 128 << 10, connection_window: 512 << 10 };

/// A frame that the server has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Sent {
    pub(crate) fn number(&self) -> u32 {
        frame::number(&self.payload)
    }

    pub(crate) fn ends(&self) -> bool {
        matches!(self.kind, frame::DATA | frame::HEADERS) && self.flags & frame::END_STREAM != 0
    }
}

pub(crate) struct Peer {
    pub(crate) server: Connection,
    encoder: Encoder,
    decoder: Decoder,
}

impl Peer {
    /// A connection of which nothing was sent.
    pub(crate) fn silent(options: Options) -> Self {
        Self { server: Connection::new(options, T0), encoder: Encoder::new(), decoder: Decoder::new() }
    }

    /// A connection past its beginning, with `settings` of the client.
    pub(crate) fn with(options: Options, settings: &[(u16, u32)]) -> Self {
        let peer = Self::silent(options);
        peer.server.receive(frame::PREFACE, T0).unwrap();
        peer.send(frame::SETTINGS, 0, 0, &pairs(settings)).unwrap();
        peer.sent();
        peer
    }

    pub(crate) fn new() -> Self {
        Self::with(OPTIONS, &[])
    }

    pub(crate) fn send(&self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), Error> {
        self.server.receive(&bytes(kind, flags, stream, payload), T0)
    }

    /// Begins a request with a `GET`, or with a `POST` if it does not end there.
    pub(crate) fn ask(&mut self, stream: u32, ends: bool) -> Result<(), Error> {
        let block = self.block(&request(if ends { "GET" } else { "POST" }));
        let flags = frame::END_HEADERS | if ends { frame::END_STREAM } else { 0 };
        self.send(frame::HEADERS, flags, stream, &block)
    }

    /// The same, and takes it up.
    pub(crate) fn asked(&mut self, stream: u32, ends: bool) -> Stream {
        self.ask(stream, ends).unwrap();
        self.taken().stream
    }

    pub(crate) fn taken(&self) -> Request {
        self.server.next_request().expect("a request")
    }

    pub(crate) fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        for (name, value) in fields {
            self.encoder.field(&mut block, name.as_bytes(), value.as_bytes());
        }
        block
    }

    /// What was sent since it was asked last; all of it is written.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        let mut bytes = Vec::new();
        while self
            .server
            .write(|some| {
                bytes.extend_from_slice(some);
                (some.len(), ())
            })
            .is_some()
        {}
        split(&bytes)
    }

    /// The one frame that was sent since it was asked last.
    pub(crate) fn answer(&self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// A block of fields that the server has sent.
    pub(crate) fn fields(&mut self, block: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.decoder.decode(block, |name, value| fields.push((text(name), text(value)))).unwrap();
        fields
    }

    /// The reset of `stream` that was sent since it was asked last.
    pub(crate) fn reset_of(&self, stream: u32) -> Option<Reason> {
        let is_it = |sent: &Sent| sent.kind == frame::RST_STREAM && sent.stream == stream;
        self.sent().into_iter().find(is_it).map(|sent| Reason(sent.number()))
    }

    /// The last word that was sent since it was asked last: the last stream, and why.
    pub(crate) fn goodbye(&self) -> Option<(u32, Reason)> {
        let last = self.sent().into_iter().rfind(|sent| sent.kind == frame::GOAWAY)?;
        Some((last.number(), Reason(frame::number(&last.payload[4..]))))
    }
}

pub(crate) fn request(method: &str) -> [(&str, &str); 4] {
    [(":method", method), (":scheme", "https"), (":authority", "a.example"), (":path", "/")]
}

pub(crate) fn pairs(settings: &[(u16, u32)]) -> Vec<u8> {
    settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect()
}

pub(crate) fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::whole(&mut bytes, kind, flags, stream, payload);
    bytes
}

pub(crate) fn split(mut bytes: &[u8]) -> Vec<Sent> {
    let mut frames = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk() {
        let Frame { flags, length, stream, .. } = Frame::read(*header);
        let (payload, behind) = rest.split_at(length as usize);
        frames.push(Sent { kind: header[3], flags, stream, payload: payload.to_vec() });
        bytes = behind;
    }
    assert!(bytes.is_empty(), "a frame that is not whole: {bytes:?}");
    frames
}

/// Counts how often a task is woken.
#[derive(Default)]
pub(crate) struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (bell.clone(), bell.into())
    }

    pub(crate) fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) fn poll<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut Context::from_waker(Waker::noop()))
}

/// Sends what there is room for.
pub(crate) fn send(stream: &mut Stream, data: &[u8], end: bool) -> Poll<Result<usize, Gone>> {
    poll(|cx| stream.poll_send(data, end, cx))
}
