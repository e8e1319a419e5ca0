//! Where HTTP/2 frames begin in a stream of bytes, and what their headers say (RFC 9113 section 4.1). Nothing is kept
//! of what is in them.

/// The kinds of frames that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `DATA`
    Data,
    /// `HEADERS`
    Headers,
    /// `PRIORITY`
    Priority,
    /// `RST_STREAM`
    Reset,
    /// `SETTINGS`
    Settings,
    /// `PING`
    Ping,
    /// `WINDOW_UPDATE`
    WindowUpdate,
    /// `CONTINUATION`
    Continuation,
    /// `PUSH_PROMISE`, `GOAWAY`, and all that RFC 9113 does not know.
    Other,
}

impl Kind {
    fn of(byte: u8) -> Self {
        match byte {
            0x0 => Self::Data,
            0x1 => Self::Headers,
            0x2 => Self::Priority,
            0x3 => Self::Reset,
            0x4 => Self::Settings,
            0x6 => Self::Ping,
            0x8 => Self::WindowUpdate,
            0x9 => Self::Continuation,
            _ => Self::Other,
        }
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its kind.
    pub kind: Kind,
    /// Its flags.
    pub flags: u8,
    /// Bytes in it, padding not counted for `DATA`.
    pub length: u32,
    /// Bytes in it, as flow control counts them.
    pub payload: u32,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// The error code of `RST_STREAM`, the increment of `WINDOW_UPDATE`; 0 for all others.
    pub number: u32,
}

impl Frame {
    /// A `DATA` frame that brings nothing and ends nothing.
    pub fn is_pointless(&self) -> bool {
        self.kind == Kind::Data && self.length == 0 && self.flags & END_STREAM == 0
    }
}

/// Follows one direction of a connection.
#[derive(Clone, Debug)]
pub struct Frames {
    skip: u32, // bytes that are of no interest: the preface, then contents
    header: [u8; MOST_HELD],
    held: usize,
    block: Block,
}

/// Where in a header block the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// In none.
    Outside,
    /// In one that goes on in the next frame.
    Open,
    /// In its last frame.
    Closing,
}

impl Frames {
    /// A direction that begins with a frame.
    pub fn new() -> Self {
        Self { skip: 0, header: [0; MOST_HELD], held: 0, block: Block::Outside }
    }

    /// A direction that begins with the client's preface.
    pub fn after_preface() -> Self {
        Self { skip: PREFACE.len() as u32, ..Self::new() }
    }

    /// The next frame whose header is complete in what came before and `bytes`, and the bytes behind that header.
    /// `None` when all of `bytes` is used up.
    pub fn next<'b>(&mut self, mut bytes: &'b [u8]) -> Option<(Frame, &'b [u8])> {
        while !bytes.is_empty() {
            if self.held == 0 && self.skip > 0 {
                let n = bytes.len().min(self.skip as usize);
                self.skip = self.skip.saturating_sub(n as u32);
                bytes = bytes.get(n..).unwrap_or_default();
                if self.skip == 0 && self.block == Block::Closing {
                    self.block = Block::Outside;
                }
                continue;
            }
            let (byte, rest) = bytes.split_first()?;
            bytes = rest;
            if let Some(place) = self.header.get_mut(self.held) {
                *place = *byte;
            }
            self.held += 1;
            if let Some(frame) = self.complete() {
                return Some((frame, bytes));
            }
        }
        None
    }

    /// Whether a header block has begun that is not yet whole.
    pub fn is_in_head(&self) -> bool {
        self.block != Block::Outside
    }

    /// Whether no frame has begun that is not yet whole.
    pub fn is_between(&self) -> bool {
        self.held == 0 && self.skip == 0
    }

    /// The frame, once what is held of it says all: for padded data that is one byte more than its header, for a reset
    /// or a window update all of it.
    fn complete(&mut self) -> Option<Frame> {
        let [a, b, c, kind, flags, s, t, u, v, inside @ ..] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]);
        let kind = Kind::of(kind);
        let padded = kind == Kind::Data && flags & PADDED != 0 && length > 0;
        let inside_held = match kind {
            Kind::Reset | Kind::WindowUpdate => NUMBER.min(length),
            _ => u32::from(padded),
        };
        if self.held < HEADER + inside_held as usize {
            return None;
        }
        self.held = 0;
        self.skip = length - inside_held;
        if matches!(kind, Kind::Headers | Kind::Continuation) {
            self.block = match flags & END_HEADERS {
                0 => Block::Open,
                _ if length > 0 => Block::Closing,
                _ => Block::Outside,
            };
        }
        let [pad, ..] = inside;
        let content = if padded { self.skip.saturating_sub(u32::from(pad)) } else { length };
        let stream = u32::from_be_bytes([s, t, u, v]) & !RESERVED;
        let number = match inside_held {
            NUMBER => u32::from_be_bytes(inside) & if kind == Kind::Reset { u32::MAX } else { !RESERVED },
            _ => 0,
        };
        Some(Frame { kind, flags, length: content, payload: length, stream, number })
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

/// What a client begins with (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame header.
const HEADER: usize = 9;
/// Bytes of an error code or an increment.
const NUMBER: u32 = 4;
/// Bytes that are held until they say all.
const MOST_HELD: usize = HEADER + NUMBER as usize;
/// A bit that says nothing, in stream numbers and increments.
const RESERVED: u32 = 1 << 31;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
