//! The library behind the `weir` binary.

pub mod lane;
