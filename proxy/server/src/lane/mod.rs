//! The lanes a request can take on its way to an origin.

pub mod bounds;
pub mod express;
pub mod grammar;
pub mod h2;
pub mod pingora;
pub mod wire;
