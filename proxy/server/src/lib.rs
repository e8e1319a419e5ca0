//! The library behind the `weir` binary.

pub mod clock;
pub mod lane;
pub mod origin_headers;
pub mod request_id;
pub mod respond;
