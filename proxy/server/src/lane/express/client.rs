//! The client's side of a request in this lane, until the response begins.

use crate::conn::{self, Conn, Stop};
use crate::deadline::Deadline;
use std::task::{Context, Poll};
use std::time::Duration;

/// Who asks, in whatever version of HTTP.
pub(crate) trait Client {
    /// The request as it goes to the origin.
    fn request(&self) -> &[u8];

    /// The deadline of whatever is waited for.
    fn deadline(&self) -> &Deadline;

    /// Waits for the client to go away or the deadline to pass.
    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<Stop>;

    /// Passes on the `head` of an interim response, to a client that takes it at a least speed (`stall`).
    fn interim(&mut self, head: &[u8], stall: Duration) -> impl Future<Output = Result<(), Stop>> + Send;
}

/// A connection of HTTP/1.1, with the request at the front of its buffer.
pub(super) struct Http1<'a> {
    /// The connection.
    pub(super) conn: &'a mut Conn,
    /// How many bytes the request has.
    pub(super) request: usize,
}

impl Client for Http1<'_> {
    fn request(&self) -> &[u8] {
        self.conn.data().get(..self.request).unwrap_or_default()
    }

    fn deadline(&self) -> &Deadline {
        &self.conn.deadline
    }

    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        watch(self.conn, cx)
    }

    async fn interim(&mut self, head: &[u8], stall: Duration) -> Result<(), Stop> {
        self.conn.write_all(head, stall).await
    }
}

/// Waits for the client to go away or the deadline to pass, and takes in what it sends meanwhile: the beginning of its
/// next request.
pub(super) fn watch(conn: &mut Conn, cx: &mut Context<'_>) -> Poll<Stop> {
    // With a full buffer there is no telling, and no need: a client that sends so much is there.
    while conn.input.as_mut().is_none_or(|buffer| !buffer.spare().is_empty()) {
        match conn::poll_read_into(&mut conn.socket, &mut conn.input, cx) {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(stop)) => return Poll::Ready(stop),
            Poll::Pending => break,
        }
    }
    if conn.deadline.passed(cx) { Poll::Ready(Stop::Late) } else { Poll::Pending }
}
