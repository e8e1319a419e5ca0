//! HTTP/2 in front.

mod bodies;
mod bounds;
mod floods;
mod grpc;
mod lanes;
mod peers;
mod requests;
mod secure;
