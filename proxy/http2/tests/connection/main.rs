//! A connection as its client sees it: frames in, frames out.
#![allow(clippy::unwrap_used)]

mod bodies;
mod frames;
mod fuzz;
mod goodbyes;
mod peer;
mod requests;
mod rules;
