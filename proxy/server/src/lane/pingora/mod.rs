//! Requests that the express lane does not take, served by pingora one at a time.

pub mod strict;
