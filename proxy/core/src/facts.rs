//! The borrowed little that the core needs to know of a request.

use crate::tls::ClientTls;
use std::net::IpAddr;

/// One request as the listener saw it. Nothing here is trusted or canonical yet.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Address of the socket's other end, or the one that the PROXY protocol named.
    pub peer: IpAddr,
    /// Port of the listener, for `X-Forwarded-Port`.
    pub port: u16,
    /// Whether the client's connection to us is encrypted.
    pub scheme: Scheme,
    /// What the handshake of the client's connection showed; `None` where there was none.
    pub tls: Option<&'a ClientTls>,
    /// Method exactly as sent (methods are case-sensitive, RFC 9110 section 9.1).
    pub method: &'a str,
    /// Value of `Host` or `:authority` as sent, with a port if there was one.
    pub host: &'a [u8],
    /// Path part of the target as sent: not decoded, without the query.
    pub path: &'a [u8],
    /// Query part of the target as sent, without the `?`; empty when there is none.
    pub query: &'a [u8],
    /// `Content-Length`, when there was one and it was valid.
    pub content_length: Option<u64>,
    /// Bytes of the request line and all header lines.
    pub head_bytes: usize,
    /// Look-up of header values.
    pub headers: &'a dyn Headers,
}

/// Access to header values without making a map of them.
pub trait Headers {
    /// Calls `visit` with each value of the header `name` (compared without case), in the order of arrival.
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8]));
}

/// No headers at all; for tests and for explanations.
impl Headers for () {
    fn visit(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}
}

/// Names and values in the order of arrival; for tests and for explanations.
impl<const N: usize> Headers for [(&str, &str); N] {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.as_slice().visit(name, visit);
    }
}

/// As for arrays; a reference, because only a sized type can become a `dyn Headers`.
impl Headers for &[(&str, &str)] {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        (**self).visit(name, visit);
    }
}

/// As for arrays.
impl Headers for [(&str, &str)] {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        for (n, value) in self {
            if n.eq_ignore_ascii_case(name) {
                visit(value.as_bytes());
            }
        }
    }
}

/// Scheme of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}
