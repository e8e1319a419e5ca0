//! The library behind the `weir` binary.

pub mod buffers;
pub mod clock;
pub mod conn;
pub mod deadline;
pub mod lane;
pub mod linger;
pub mod listen;
pub mod origin_headers;
pub mod request_id;
pub mod respond;
