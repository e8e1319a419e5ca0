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

#[cfg(test)]
mod tests;
