//! What a status of HTTP is to a client of gRPC.

/// A status code of gRPC, as a number and as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u8, pub &'static str);

/// The code that stands for an answer of ours with this status. Follows gRPC's own mapping for proxies that know
/// nothing of gRPC (`http-grpc-status-mapping`), except where a proxy that does can say more: a limit is no outage.
pub fn code_of(status: u16) -> Code {
    match status {
        400 => Code(13, "INTERNAL"),
        401 => Code(16, "UNAUTHENTICATED"),
        403 => Code(7, "PERMISSION_DENIED"),
        404 | 405 | 501 => Code(12, "UNIMPLEMENTED"),
        408 | 504 => Code(4, "DEADLINE_EXCEEDED"),
        413 | 414 | 429 | 431 => Code(8, "RESOURCE_EXHAUSTED"),
        500 => Code(13, "INTERNAL"),
        502 | 503 => Code(14, "UNAVAILABLE"),
        _ => Code(2, "UNKNOWN"),
    }
}
