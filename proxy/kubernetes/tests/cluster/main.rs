//! A cluster as a source, against an API server that goes wrong.

mod support;

mod following;
mod outages;
mod secrets;
mod writing;
