//! Host and path in the one form that is compared and counted.
