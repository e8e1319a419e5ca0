//! HTTP/2 in front.

mod floods;
mod requests;
