//! The wire code of the express lane: HTTP/1.1 bytes in, decisions out.
//!
//! Nothing here does I/O, reads a clock, logs or allocates per request, and nothing panics on any input.
//! The order in which a request meets the modules:
//!
//! 1. [`Buffer`] holds what was read from a peer.
//! 2. [`read_request`] takes a head that is plain and strict, or says which rule sends it to the other lane.
//! 3. [`Edits`] cut header fields out of the buffer and insert others, in place.
//! 4. [`read_response`] reads the origin's head and says how the body ends.
//! 5. [`Chunks`] follows a chunked body while its bytes pass through untouched.
//!
//! The law of this module: whatever it accepts, every other correct HTTP/1.1 parser reads the same way.
//! Where parsers are known to differ it declines (requests, nothing is lost) or gives up (responses, 502).

mod buffer;
mod chunks;
mod edit;
mod fields;
mod request;
mod response;
mod span;

pub use buffer::{Buffer, CAP, ROOM};
pub use chunks::{BadChunk, Chunks, Progress};
pub use edit::{EditError, Edits};
pub use fields::{FieldKind, Values, fields, kind_of, values};
pub use request::{MAX_REQUEST_FIELDS, Mark, Method, RequestHead, RequestReading, Why, read_request};
pub use response::{
    CONNECTION_CLOSE, Fault, Framing, MAX_RESPONSE_FIELDS, ResponseHead, ResponseReading, read_response,
    read_response_without,
};
pub use span::Span;

/// Whether a peer means to use its connection for another message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// The connection stays open after this message.
    KeepAlive,
    /// The connection closes after this message.
    Close,
}

/// What becomes of a field on its way through the proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Treat {
    /// It stays as it is.
    Keep,
    /// It is cut out.
    Cut,
}

#[cfg(test)]
mod tests;
