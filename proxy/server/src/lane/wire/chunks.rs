use super::fields::is_token_byte;

/// Follows the framing of a chunked body (RFC 9112, section 7.1) whose bytes pass through untouched, but for its trailer
/// fields, which are dropped.
///
/// Strict, since the next reader of these bytes must see the same chunks: sizes of 1 to 16 hexadecimal digits and below
/// 2^60, every line ends in CRLF, no control bytes, extensions of at most 256 bytes a chunk, a trailer section of at
/// most 8 KiB made of field lines. May be fed in pieces of any size.
#[derive(Clone, Debug)]
pub struct Chunks {
    state: State,
    size: u64,  // of the chunk: read so far, then what is missing of its data
    count: u16, // digits of the size, bytes of the extension, bytes of the trailer section
    trailers: Trailers,
}

/// Whether a trailer field has come, and where in the bytes fed last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trailers {
    None,
    From(usize),
}

/// How far a chunked body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// All bytes belong to the body and more must come.
    More,
    /// The body ends behind so many of the bytes. Fed once more, it ends at once.
    End(usize),
}

/// The bytes are no chunked body. The connection they came from cannot be used any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed chunked body")]
pub struct BadChunk;

impl Chunks {
    /// At the beginning of a body.
    pub fn new() -> Self {
        Self { state: State::Size, size: 0, count: 0, trailers: Trailers::None }
    }

    /// Looks at the next bytes of the body. After an error every further call gives the same error.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, BadChunk> {
        self.feed_to(bytes, |_| {})
    }

    /// As [`feed`](Self::feed), and calls `data` with the data that the chunks carry, for a client that is sent no
    /// chunks.
    pub fn feed_to<'b>(
        &mut self,
        bytes: &'b [u8],
        mut data: impl FnMut(&'b [u8]),
    ) -> Result<Progress, BadChunk> {
        if self.state == State::Bad {
            return Err(BadChunk);
        }
        if self.has_trailers() {
            self.trailers = Trailers::From(0);
        }
        let mut at = 0;
        while self.state != State::End {
            if self.state == State::Data {
                let taken = self.skip_data(bytes.len() - at);
                data(bytes.get(at..at + taken).unwrap_or_default());
                at += taken;
            }
            let Some(&byte) = bytes.get(at) else { return Ok(Progress::More) };
            at += 1;
            let next = self.step(byte);
            if (self.state, next) == (State::TrailerStart, State::TrailerName) && !self.has_trailers() {
                self.trailers = Trailers::From(at - 1);
            }
            self.state = next;
            if self.state == State::Bad {
                return Err(BadChunk);
            }
        }
        Ok(Progress::End(at))
    }

    /// How many of the `fed` bytes of the last call to [`feed`](Self::feed) stand in front of the trailer fields. Only
    /// those are passed on; with [`has_trailers`](Self::has_trailers) an empty line then has to end the body.
    pub fn kept(&self, fed: usize) -> usize {
        match self.trailers {
            Trailers::None => fed,
            Trailers::From(at) => at.min(fed),
        }
    }

    /// Whether trailer fields have come.
    pub fn has_trailers(&self) -> bool {
        self.trailers != Trailers::None
    }

    /// Takes up to `available` bytes of data and returns how many.
    fn skip_data(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.size).unwrap_or(usize::MAX).min(available);
        self.size -= taken as u64;
        taken
    }

    /// The state behind one byte that is not chunk data.
    fn step(&mut self, byte: u8) -> State {
        match (self.state, byte) {
            (State::Size, _) if byte.is_ascii_hexdigit() => self.digit(byte),
            (State::Size, b'\r') if self.count > 0 => State::SizeLf,
            (State::Size, b';' | b' ' | b'\t') if self.count > 0 => {
                self.count = 0;
                if byte == b';' { State::Extension } else { State::Blank }
            }
            // Blanks may stand in front of an extension. `5 5` is five bytes to some and 85 to others.
            (State::Blank, b' ' | b'\t') => self.count_to(MAX_EXTENSION, State::Blank),
            (State::Blank, b';') => self.count_to(MAX_EXTENSION, State::Extension),
            (State::Extension | State::Blank, b'\r') => State::SizeLf,
            (State::Extension, _) if is_text(byte) => self.count_to(MAX_EXTENSION, State::Extension),
            (State::SizeLf, b'\n') => {
                self.count = 0;
                if self.size > 0 { State::Data } else { State::TrailerStart }
            }
            // All data was skipped.
            (State::Data, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(&byte) => {
                self.count_to(MAX_TRAILERS, State::TrailerName)
            }
            (State::TrailerName, b':') => self.count_to(MAX_TRAILERS, State::TrailerValue),
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_text(byte) => self.count_to(MAX_TRAILERS, State::TrailerValue),
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::End,
            _ => State::Bad,
        }
    }

    fn digit(&mut self, byte: u8) -> State {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        if self.size > MAX_SIZE >> 4 {
            return State::Bad;
        }
        self.size = self.size << 4 | u64::from(value);
        self.count_to(MAX_SIZE_DIGITS, State::Size)
    }

    /// Counts one byte; on to `next` if it is within `max`.
    fn count_to(&mut self, max: u16, next: State) -> State {
        self.count += 1;
        if self.count > max { State::Bad } else { next }
    }
}

impl Default for Chunks {
    fn default() -> Self {
        Self::new()
    }
}

/// What the next byte belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Size,
    Blank,
    Extension,
    SizeLf,
    Data,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
    Bad,
}

/// Bytes of a field value or chunk extension: everything but control bytes; obs-text is passed on.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Far from where the numbers of the next reader could overflow, whatever their sign and what it adds to them.
const MAX_SIZE: u64 = (1 << 60) - 1;

/// As many as 64 bits have.
const MAX_SIZE_DIGITS: u16 = 16;

/// Nobody uses extensions; this is room for a signature (AWS sends some 80 bytes).
const MAX_EXTENSION: u16 = 256;

/// Half of what a head may have.
const MAX_TRAILERS: u16 = 8 * 1024;
