//! Requests that the express lane does not take, served by pingora one at a time.
//!
//! A request goes through the modules in this order: [`strict`] judges its head before anything is keyed on it; the
//! core admits it; `flight` holds what forwarding it takes; `stream` lends the connection to pingora for exactly this
//! message; `gate` has pingora's callbacks and `edit` what they change. Whatever pingora does, the connection comes
//! back to `landing`, and every answer that is ours is written there.

#[allow(dead_code, reason = "nobody calls it yet")]
mod edit;
#[allow(dead_code, reason = "nobody calls it yet")]
mod flight;
#[allow(dead_code, reason = "nobody calls it yet")]
mod forward;
#[allow(dead_code, reason = "nobody calls it yet")]
mod gate;
#[allow(dead_code, reason = "nobody calls it yet")]
mod landing;
#[allow(dead_code, reason = "nobody calls it yet")]
mod stream;
pub mod strict;

use crate::conn::ConnInfo;
use crate::exchange::Exchange;
use crate::shared::Shared;
use std::sync::Arc;
use tokio::net::TcpStream;

/// The way of requests that the express lane does not take. One per worker.
pub struct PingoraLane {
    _shared: Arc<Shared>,
}

impl PingoraLane {
    /// A lane without connections to origins yet.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { _shared: shared }
    }

    /// Forwards one request that was read, judged ([`strict`]) and admitted; `received` begins with its head. Returns
    /// the connection and what was read behind the request, if the connection stays.
    pub async fn serve(
        &self,
        _tcp: TcpStream,
        _received: Vec<u8>,
        _info: ConnInfo,
        _exchange: Exchange,
    ) -> Option<(TcpStream, Vec<u8>)> {
        None // under construction
    }
}

#[cfg(test)]
mod tests;
