//! What becomes of a connection when its request is over.

use super::forward::{Landed, Reuse};
use super::stream::Received;
use crate::conn::Stop;
use crate::linger;
use crate::respond::Then;
use crate::socket::Socket;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use weir_core::account::End;

impl Landed {
    /// Whether the connection can take another request after an answer of ours.
    pub(crate) fn is_at_end(&self) -> bool {
        self.returned.received == Received::Whole
    }

    /// The answer to a request that pingora did not answer: sent, and the connection kept or closed as `then` says.
    /// Returns the connection with what came behind the request if it stays.
    ///
    /// # Errors
    /// [`Stop`], when the client did not take it.
    pub(crate) async fn answer(
        mut self,
        text: &[u8],
        then: Then,
        stall: Duration,
    ) -> Result<Option<(Socket, Vec<u8>)>, Stop> {
        let mut bytes = std::mem::take(&mut self.returned.unsent);
        bytes.extend_from_slice(text);
        send(&mut self.returned.socket, &bytes, stall).await?;
        Ok(match then {
            Then::Close => {
                linger::close(self.returned.socket);
                None
            }
            Then::Keep | Then::KeepHttp10 => Some((self.returned.socket, self.returned.next)),
        })
    }

    /// Ends a request that pingora answered. Returns the connection and what came behind the request if it stays.
    pub(crate) async fn close_or_keep(mut self, end: End, stall: Duration) -> Option<(Socket, Vec<u8>)> {
        if end == End::ClientAbort {
            return None;
        }
        // What is left of a response that was broken off by the origin is worth sending too.
        send(&mut self.returned.socket, &self.returned.unsent, stall).await.ok()?;
        let quiet = self.is_at_end() && self.returned.next.is_empty();
        match (end, self.verdict) {
            (End::Complete, Reuse::May) => return Some((self.returned.socket, self.returned.next)),
            (End::Complete, Reuse::MayNot) if quiet => drop(self.returned.socket.shutdown().await),
            (End::Complete, Reuse::MayNot) => linger::close(self.returned.socket),
            // Without the end that was announced, so that nobody takes it for the whole.
            (End::OriginAbort | End::ClientAbort, _) => {}
        }
        None
    }
}

async fn send(socket: &mut Socket, bytes: &[u8], stall: Duration) -> Result<(), Stop> {
    // An answer of ours is short: if it does not fit the socket's buffer the client has stopped reading long ago.
    let sending = async {
        socket.write_all(bytes).await?;
        socket.flush().await
    };
    let sent: io::Result<()> = tokio::time::timeout(stall, sending).await.map_err(|_| Stop::Late)?;
    sent.map_err(|error| Stop::of(&error))
}
