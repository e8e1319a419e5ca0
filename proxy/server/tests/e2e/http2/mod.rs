//! HTTP/2 in front.

mod bounds;
mod floods;
mod grpc;
mod peers;
mod requests;
mod secure;
