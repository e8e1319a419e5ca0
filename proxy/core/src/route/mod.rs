//! Host and path to location.
