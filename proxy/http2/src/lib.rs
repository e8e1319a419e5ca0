//! The server's side of an HTTP/2 connection (RFC 9113): bytes in, requests out, and back.
//!
//! No I/O and no clock. Whoever owns the socket gives what it read to [`Connection::receive`], takes up what
//! [`Connection::next_request`] has, and writes what [`Connection::write`] hands out. Each request comes with its
//! [`Stream`], through which one task reads its body and sends its response. All tasks of a connection share its state
//! behind a lock that is held for the time of a frame.
//!
//! Everything a client can make grow has a bound: its frames by [`Meter`](meter::Meter), its bodies by the windows,
//! its heads by [`Options::head_bytes`], what waits to be written by [`OUTPUT_MOST`](connection::OUTPUT_MOST) and one
//! head for each stream. A connection without streams holds the table of [`hpack`] and no buffer.

pub mod connection;
pub mod error;
pub mod frame;
pub mod head;
pub mod hpack;
mod input;
pub mod meter;
mod output;
mod receive;
pub mod rejected;
mod send;
mod state;
pub mod stream;
mod table;

pub use connection::{Connection, Options, Request};
pub use error::{Error, Gone, Reason};
pub use head::Head;
pub use meter::{Allowance, Flood};
pub use rejected::Rejected;
pub use stream::Stream;
