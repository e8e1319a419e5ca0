//! Connections to origins.

pub mod pool;
pub mod resolve;
pub mod tls;
