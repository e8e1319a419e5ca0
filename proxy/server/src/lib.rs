//! The library behind the `weir` binary.

pub mod abort;
pub mod access_log;
pub mod admin;
pub mod arrivals;
pub mod buffers;
pub mod clock;
pub mod commands;
pub mod conn;
pub mod connection;
pub mod counters;
pub mod deadline;
pub mod exchange;
pub mod lane;
pub mod linger;
pub mod listen;
pub mod lookout;
pub mod metrics;
pub mod origin_headers;
pub mod pace;
#[cfg(test)]
mod pages;
pub mod preface;
pub mod proxy_protocol;
pub mod request_id;
pub mod reserve;
pub mod respond;
pub mod server;
pub mod settings;
pub mod shared;
pub mod socket;
pub mod state;
pub mod telemetry;
mod text;
pub mod timeouts;
pub mod tls;
pub mod upstream;
pub mod worker;
