//! The only place where a refusal becomes bytes.
//!
//! A [`Response`] is made from a [`Refusal`] of the core or from a [`GatewayError`] of the lanes, and from what the
//! client [asked](Ask) for. Both lanes write it: [`Response::write_http1`] appends it to a buffer, and
//! [`Response::for_each_header`] with [`Response::write_body`] feed pingora's header map. What a body says is no more
//! than what the header fields say already, and never text of the configuration.

mod accept;
mod body;
mod gateway_error;
mod grpc;

pub use accept::{Accept, is_grpc};
pub use gateway_error::GatewayError;
pub use grpc::{Code, code_of};

use crate::request_id::RequestId;
use body::Body;
use std::num::NonZeroU32;
use weir_core::verdict::{RateLimitFields, Reason, Refusal};

/// What the client asked for, as far as it shapes the answer.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The kind of body that the client prefers.
    pub accept: Accept,
    /// Whether the body is sent.
    pub body: BodyPart,
    /// What happens to the connection afterwards.
    pub then: Then,
    /// Value of `X-Request-ID`, when the request has one already.
    pub request_id: Option<&'a RequestId>,
    /// Value of `Strict-Transport-Security`, over https.
    pub hsts: Option<&'a str>,
    /// Value of `Date` (RFC 9110 section 6.6.1), from [`Dates::http`](crate::clock::Dates::http).
    pub date: &'a [u8],
}

/// Whether a body is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyPart {
    /// It is.
    #[default]
    Send,
    /// It is only announced: the answer to a `HEAD`.
    Omit,
}

impl BodyPart {
    /// What a request with this method gets.
    pub fn of_method(method: &[u8]) -> Self {
        if method == b"HEAD" { Self::Omit } else { Self::Send }
    }
}

/// What happens to the connection after the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// It waits for the next request.
    #[default]
    Keep,
    /// The same for an HTTP/1.0 client, which must be told (`Connection: keep-alive`).
    KeepHttp10,
    /// It closes (`Connection: close`).
    Close,
}

/// An answer of our own, ready to be written.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    status: u16,
    phrase: &'static str,
    retry_after: Option<NonZeroU32>,
    rate_limit: Option<&'a RateLimitFields>,
    allow: Option<&'a str>,
    location: Option<&'a str>,
    ask: Ask<'a>,
    body: Body<'a>,
}

impl<'a> Response<'a> {
    /// The answer to a request that the core refused.
    pub fn refusal(refusal: &'a Refusal, ask: Ask<'a>) -> Self {
        let fields = refusal.rate_limit.as_ref();
        let about = body::About {
            problem: body::Problem::of(refusal.reason),
            detail: detail(refusal.reason),
            reason: refusal.reason.as_str(),
            // A rule that was only observed has not refused it.
            rule: refusal.account.hit.filter(|hit| hit.reason == refusal.reason).map(|hit| hit.rule),
            spent: fields.map_or("", |fields| fields.state.as_str()),
        };
        Self {
            retry_after: refusal.retry_after,
            rate_limit: fields,
            allow: refusal.allow.as_deref(),
            ..Self::new(refusal.status, refusal.location.as_deref(), about, ask)
        }
    }

    /// The answer to a request that fails for a reason outside of the core.
    pub fn error(error: GatewayError, ask: Ask<'a>) -> Self {
        let about = body::About {
            problem: body::Problem::Blank,
            detail: error.detail(),
            reason: error.as_str(),
            rule: None,
            spent: "",
        };
        Self {
            retry_after: error.retry_after(),
            allow: error.allow(),
            ..Self::new(error.status(), None, about, ask)
        }
    }

    fn new(status: u16, location: Option<&'a str>, about: body::About<'a>, ask: Ask<'a>) -> Self {
        let status = checked(status, location);
        let phrase = phrase(status);
        let body = Body::new(ask.accept, status, phrase, about);
        Self { status, phrase, retry_after: None, rate_limit: None, allow: None, location, ask, body }
    }

    /// What it means, for logs and metrics: from 400 to 599, or that of a redirect.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The status that is sent. A client of gRPC gets 200 and looks at `grpc-status`.
    pub fn wire_status(&self) -> u16 {
        if self.ask.accept == Accept::Grpc { 200 } else { self.status }
    }

    /// Whether anything follows the header fields.
    pub fn has_body(&self) -> bool {
        self.ask.accept != Accept::Grpc && self.ask.body == BodyPart::Send
    }

    /// Appends status line, header fields and body as HTTP/1.1. Allocates only when `out` must grow.
    pub fn write_http1(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(itoa::Buffer::new().format(self.wire_status()).as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.phrase.as_bytes());
        out.extend_from_slice(b"\r\n");
        self.for_each_header(|name, value| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        });
        match self.ask.then {
            Then::Keep => {}
            Then::KeepHttp10 => out.extend_from_slice(b"Connection: keep-alive\r\n"),
            Then::Close => out.extend_from_slice(b"Connection: close\r\n"),
        }
        out.extend_from_slice(b"\r\n");
        self.write_body(out);
    }

    /// Calls `put` with each header field except `Connection`, which belongs to the one hop.
    pub fn for_each_header(&self, mut put: impl FnMut(&'static str, &[u8])) {
        let mut digits = itoa::Buffer::new();
        if !self.ask.date.is_empty() {
            put("Date", self.ask.date);
        }
        put("Content-Type", self.ask.accept.content_type().as_bytes());
        if self.ask.accept == Accept::Grpc {
            self.put_grpc(&mut put);
        } else {
            put("Content-Length", digits.format(self.body.len()).as_bytes());
        }
        // RFC 6585 section 4: a 429 must not be stored; the same goes for everything that we say here, but a redirect,
        // for which its status says so.
        if self.location.is_none() {
            put("Cache-Control", b"no-store");
        }
        if let Some(seconds) = self.retry_after {
            put("Retry-After", digits.format(seconds.get()).as_bytes());
        }
        // What is not of our own making is looked at: a value with a byte that could end a line is left out.
        let mut put_checked = |name, value: &[u8]| {
            if is_field_value(value) {
                put(name, value);
            }
        };
        if let Some(fields) = self.rate_limit {
            put_checked("RateLimit-Policy", fields.policy.as_bytes());
            put_checked("RateLimit", fields.state.as_bytes());
        }
        if let Some(promise) = self.ask.hsts {
            put_checked("Strict-Transport-Security", promise.as_bytes());
        }
        if let Some(location) = self.location {
            put_checked("Location", location.as_bytes());
        }
        if let Some(methods) = self.allow {
            put_checked("Allow", methods.as_bytes());
        }
        if let Some(id) = self.ask.request_id {
            put_checked("X-Request-ID", id.as_bytes());
        }
    }

    /// A response of nothing but trailers, which stand where header fields do.
    fn put_grpc(&self, put: &mut impl FnMut(&'static str, &[u8])) {
        let mut digits = itoa::Buffer::new();
        put("grpc-status", digits.format(code_of(self.status).0).as_bytes());
        // No byte of it needs an escape.
        put("grpc-message", self.body.detail().as_bytes());
        if let Some(seconds) = self.retry_after.filter(|_| self.status == 429) {
            put("grpc-retry-pushback-ms", digits.format(u64::from(seconds.get()) * 1000).as_bytes());
        }
    }

    /// Appends the body, unless it is not sent.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        match self.ask.body {
            BodyPart::Send => self.body.write(out),
            BodyPart::Omit => {}
        }
    }
}

/// What is no final status for an answer of ours never leaves (the core checks `limit-status-code`).
fn checked(status: u16, location: Option<&str>) -> u16 {
    match status {
        400..=599 => status,
        301 | 302 | 307 | 308 if location.is_some() => status,
        _ => 500,
    }
}

/// Whether `value` can stand in a header field: printable ASCII and spaces. The rest of RFC 9110 section 5.5 is for
/// others; nothing that we make needs it.
pub(crate) fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, 0x20..=0x7e))
}

/// The reason phrase of a status. Statuses without a name of their own get that of their class.
fn phrase(status: u16) -> &'static str {
    let known = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    known.unwrap_or(if status < 500 { "Client Error" } else { "Server Error" })
}

/// What people read. Says nothing that the status and the header fields do not say.
fn detail(reason: Reason) -> &'static str {
    match reason {
        Reason::BadRequest => "The host or the path of the request is not well-formed.",
        Reason::NoConfiguration => "Nothing is served here yet: please try again.",
        Reason::NoRoute | Reason::Path => "Nothing is served at this host and path.",
        Reason::NoBackend | Reason::NoEndpoint => "The service behind this path is not available.",
        Reason::BrokenPolicy => "This path is closed until its configuration is mended.",
        Reason::Address => "Requests from this address are not allowed here.",
        Reason::Method => "This method is not allowed here.",
        Reason::Head => "The header of the request is too large.",
        Reason::Body => "The body of the request is too large.",
        Reason::Rate => "Too many requests: please slow down.",
        Reason::Connections => "Too many requests at once: please wait for earlier ones to end.",
        Reason::TableFull => "Too many clients at once: please try again later.",
        Reason::HttpsOnly => "This path is served over https.",
        Reason::ClientCertificate => "A valid client certificate is needed here.",
        Reason::Misdirected => "This host needs a connection of its own.",
    }
}

#[cfg(test)]
mod tests;
