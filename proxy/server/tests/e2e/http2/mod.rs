//! HTTP/2 in front.

mod floods;
mod grpc;
mod requests;
