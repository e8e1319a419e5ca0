//! How each kind of value is read, described and printed.
//!
//! A [`Kind`] is one grammar. What ingress-nginx has is read exactly as there, except where a value that it ignores or
//! that breaks it can be understood; then a note says so. Every kind is bounded, and a value that cannot be read
//! changes nothing.

mod access;
mod edge;
mod limit;
mod number;
mod origin;
mod overrides;
pub(crate) mod period;
mod tls;
mod trust;

pub use access::{MAX_METHODS, MAX_NETS, MAX_PATHS, Methods, Nets, OptionalNets, Paths};
pub use edge::{FirstBuffer, HeadFields, KeepAlive, LargeBuffers, Positive, Rate};
pub use limit::{AbsoluteBurst, BurstMultiplier, HeadersWhen, Key, MAX_KEY_PARTS, ModeList, Windows};
pub(super) use number::whole;
pub use number::{
    BodySize, BufferSize, Count, Flag, HeadSize, InFlight, MAX_BUFFER, MAX_LIMIT, MinRate, OptionalPrefix4,
    OptionalPrefix6, OptionalStatus, Prefix4, Prefix6, Seconds, SecondsOrNone, Status, Tries,
};
pub use origin::{LoadBalance, NextOn, ServiceUpstream};
pub use overrides::{MAX_OVERRIDES, Overrides};
pub use tls::{
    AlpnList, BackendProtocol, Depth, Http2, MaxAge, MinVersion, OnOff, Page, PathStarts, RedirectStatus,
    RejectUnknown, SecretRef, ServerName, Subject, VerifyClients, Versions, WholePaths,
};
pub use trust::{ForwardedHeaders, HeaderName, RealIp, ZoneVariable};

use std::borrow::Cow;

/// One grammar of values.
pub trait Kind {
    /// What it is read into.
    type Value;
    /// The expected form, as it ends the sentence "expected ...".
    const FORM: &'static str;
    /// Whether a value may have several lines. No other control character is ever allowed.
    const LINES: Lines = Lines::One;

    /// Reads `text` into `value`.
    ///
    /// # Errors
    ///
    /// If `text` is not of this kind; `value` is unchanged then.
    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid>;

    /// The text that reads as `value`; `None` if nothing is set.
    fn print(value: &Self::Value) -> Option<String>;
}

/// Something the author of a valid value should know.
pub type Note = Option<Cow<'static, str>>;

/// How many lines a value may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// One.
    One,
    /// Any number.
    Many,
}

/// Why a value cannot be read. The expected form is said beside it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is of another form.
    #[error("this is something else")]
    Form,
    /// One part of it is of another form.
    #[error("{0:?} is something else")]
    Part(String),
    /// A number is too small or too large.
    #[error("the number is out of range")]
    Range,
    /// There are more elements than this.
    #[error("there are more than {0} elements")]
    TooMany(usize),
    /// It has more bytes than this.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// There is a control character in it.
    #[error("there is a control character in it")]
    Control,
    /// A part occurs twice.
    #[error("{0:?} occurs twice")]
    Twice(String),
    /// A structured value does not parse, or contradicts itself.
    #[error("{0}")]
    Structure(String),
}

/// Checks what holds for values of every kind.
///
/// # Errors
///
/// If `text` is longer than [`MAX_VALUE`] or has a control character that `lines` does not allow.
pub fn check(text: &str, lines: Lines) -> Result<(), Invalid> {
    if text.len() > MAX_VALUE {
        return Err(Invalid::TooLong(MAX_VALUE));
    }
    let allowed = |c: char| !c.is_control() || (lines == Lines::Many && c == '\n');
    if text.chars().all(allowed) { Ok(()) } else { Err(Invalid::Control) }
}

/// `part` as it may be shown: cut to a length that fits a message.
fn shown(part: &str) -> String {
    part.chars().take(MAX_SHOWN).collect()
}

/// Whether `text` is a token (RFC 9110, section 5.6.2): the form of header names and methods.
fn is_token(text: &str) -> bool {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(tchar)
}

/// Most bytes of a value: what Kubernetes allows for all annotations of an object together.
pub const MAX_VALUE: usize = 256 << 10;
/// Most characters of a part of a value that are repeated in a message.
const MAX_SHOWN: usize = 64;
/// Most bytes of a header, cookie, claim or method name.
const MAX_NAME: usize = 128;

#[cfg(test)]
mod tests;
