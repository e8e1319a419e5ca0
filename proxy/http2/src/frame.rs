//! Frames: what their headers say, and how they are written (RFC 9113 section 4.1).

use crate::error::Reason;

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
    /// `PUSH_PROMISE`
    Push,
    /// `PING`
    Ping,
    /// `GOAWAY`
    Goaway,
    /// `WINDOW_UPDATE`
    WindowUpdate,
    /// `CONTINUATION`
    Continuation,
    /// `PRIORITY_UPDATE` (RFC 9218 section 7.1)
    PriorityUpdate,
    /// All that is not known.
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
            0x5 => Self::Push,
            0x6 => Self::Ping,
            0x7 => Self::Goaway,
            0x8 => Self::WindowUpdate,
            0x9 => Self::Continuation,
            0x10 => Self::PriorityUpdate,
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
    /// Bytes behind the header.
    pub length: u32,
    /// Its stream; 0 is the connection.
    pub stream: u32,
}

impl Frame {
    /// Reads a header.
    pub fn read(header: [u8; HEADER]) -> Self {
        let [a, b, c, kind, flags, s, t, u, v] = header;
        Self {
            kind: Kind::of(kind),
            flags,
            length: u32::from_be_bytes([0, a, b, c]),
            stream: u32::from_be_bytes([s, t, u, v]) & !RESERVED,
        }
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A setting that a client may send and that matters here (RFC 9113 section 6.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `SETTINGS_ENABLE_PUSH`: 0 or 1.
    Push(u32),
    /// `SETTINGS_INITIAL_WINDOW_SIZE`
    Window(u32),
    /// `SETTINGS_MAX_FRAME_SIZE`
    Frame(u32),
    /// What needs no answer: nothing is pushed, and the peer's table is never used.
    Other,
}

/// The settings in a frame, whose length is a multiple of six.
pub fn settings(payload: &[u8]) -> impl Iterator<Item = Setting> {
    payload.chunks_exact(6).map(|pair| {
        let number = number(pair.get(2..).unwrap_or_default());
        match pair {
            [0, 2, ..] => Setting::Push(number),
            [0, 4, ..] => Setting::Window(number),
            [0, 5, ..] => Setting::Frame(number),
            _ => Setting::Other,
        }
    })
}

/// The first four bytes of a payload as a number; 0 if there are fewer.
pub fn number(payload: &[u8]) -> u32 {
    payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// The header of a frame with `length` bytes behind it.
pub fn header_bytes(kind: u8, flags: u8, stream: u32, length: usize) -> [u8; HEADER] {
    // A payload never is longer than three bytes say.
    let [_, a, b, c] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let [s, t, u, v] = stream.to_be_bytes();
    [a, b, c, kind, flags, s, t, u, v]
}

/// Writes the header of a frame.
pub fn header(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, length: usize) {
    out.extend_from_slice(&header_bytes(kind, flags, stream, length));
}

/// Writes a whole frame.
pub fn whole(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    header(out, kind, flags, stream, payload.len());
    out.extend_from_slice(payload);
}

/// Writes a header `block`, cut into frames of at most `most` bytes.
pub fn head(out: &mut Vec<u8>, stream: u32, ends: bool, block: &[u8], most: usize) {
    let (mut kind, mut flags) = (HEADERS, if ends { END_STREAM } else { 0 });
    let mut rest = block;
    while rest.len() > most {
        let (now, later) = rest.split_at(most);
        whole(out, kind, flags, stream, now);
        (kind, flags, rest) = (CONTINUATION, 0, later);
    }
    whole(out, kind, flags | END_HEADERS, stream, rest);
}

/// Writes `GOAWAY`.
pub fn goaway(out: &mut Vec<u8>, last: u32, reason: Reason) {
    header(out, GOAWAY, 0, 0, 8);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&reason.0.to_be_bytes());
}

/// What a client begins with (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame header.
pub const HEADER: usize = 9;
/// Bytes of a frame without its header that anybody may send (RFC 9113 section 4.2). We ask for no larger ones.
pub const FRAME_MOST: u32 = 16 * 1024;
/// The largest window (RFC 9113 section 6.9.1), and the largest number of a stream.
pub const MOST: u32 = (1 << 31) - 1;
/// A bit that says nothing, in numbers of streams and increments.
pub const RESERVED: u32 = 1 << 31;

/// `DATA`
pub const DATA: u8 = 0x0;
/// `HEADERS`
pub const HEADERS: u8 = 0x1;
/// `RST_STREAM`
pub const RST_STREAM: u8 = 0x3;
/// `SETTINGS`
pub const SETTINGS: u8 = 0x4;
/// `PING`
pub const PING: u8 = 0x6;
/// `GOAWAY`
pub const GOAWAY: u8 = 0x7;
/// `WINDOW_UPDATE`
pub const WINDOW_UPDATE: u8 = 0x8;
/// `CONTINUATION`
pub const CONTINUATION: u8 = 0x9;

/// Of `SETTINGS` and `PING`: an answer.
pub const ACK: u8 = 0x1;
/// Of `DATA` and `HEADERS`: the last of its stream.
pub const END_STREAM: u8 = 0x1;
/// Of `HEADERS` and `CONTINUATION`: the last of its block.
pub const END_HEADERS: u8 = 0x4;
/// Of `DATA` and `HEADERS`: there is padding.
pub const PADDED: u8 = 0x8;
/// Of `HEADERS`: there is a priority.
pub const PRIORITY: u8 = 0x20;
