//! The bodies of our own answers: pieces that are written one behind the other.

use super::Accept;
use weir_core::verdict::Reason;

/// What a body speaks about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) problem: Problem,
    pub(super) detail: &'static str,
    pub(super) reason: &'static str,
    pub(super) rule: Option<&'static str>,
    /// Value of the `RateLimit` field: its items with nothing left are the policies that were violated.
    pub(super) spent: &'a str,
}

/// Problem type of a JSON body (RFC 9457). Those of limits are registered by draft-ietf-httpapi-ratelimit-headers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Problem {
    /// No more than the status says.
    Blank,
    /// The client used up what it may.
    QuotaExceeded,
    /// We are short of room, whoever asks.
    ReducedCapacity,
}

impl Problem {
    pub(super) fn of(reason: Reason) -> Self {
        match reason {
            Reason::Rate | Reason::Connections => Self::QuotaExceeded,
            Reason::TableFull => Self::ReducedCapacity,
            _ => Self::Blank,
        }
    }

    fn type_uri(self) -> &'static str {
        match self {
            Self::Blank => "about:blank",
            Self::QuotaExceeded => "https://iana.org/assignments/http-problem-types#quota-exceeded",
            Self::ReducedCapacity => {
                "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
            }
        }
    }

    /// With `about:blank` the title is the phrase of the status (RFC 9457 section 4.2.1).
    fn title(self, phrase: &'static str) -> &'static str {
        match self {
            Self::Blank => phrase,
            Self::QuotaExceeded => "Request cannot be satisfied as assigned quota has been exceeded",
            Self::ReducedCapacity => {
                "Request cannot be satisfied due to temporary server capacity constraints"
            }
        }
    }
}

/// A body whose length is known before it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    accept: Accept,
    status: [u8; 3],
    phrase: &'static str,
    about: About<'a>,
}

impl<'a> Body<'a> {
    /// `status` has three digits.
    pub(super) fn new(accept: Accept, status: u16, phrase: &'static str, about: About<'a>) -> Self {
        let digit = |n: u16| b"0123456789".get(usize::from(n % 10)).copied().unwrap_or(b'0');
        Self { accept, status: [digit(status / 100), digit(status / 10), digit(status)], phrase, about }
    }

    /// What people read.
    pub(super) fn detail(&self) -> &'static str {
        self.about.detail
    }

    pub(super) fn len(&self) -> usize {
        let mut len = 0usize;
        self.for_each_piece(|piece| len = len.saturating_add(piece.len()));
        len
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.for_each_piece(|piece| out.extend_from_slice(piece));
    }

    fn for_each_piece(&self, put: impl FnMut(&[u8])) {
        match self.accept {
            Accept::Text => self.text(put),
            Accept::Json => self.json(put),
            Accept::Html => self.html(put),
            Accept::Grpc => {}
        }
    }

    fn text(&self, mut put: impl FnMut(&[u8])) {
        put(self.about.detail.as_bytes());
        put(b"\n");
    }

    fn html(&self, mut put: impl FnMut(&[u8])) {
        put(b"<!doctype html>\n<html lang=\"en\">\n<head><title>");
        put(&self.status);
        put(b" ");
        put(self.phrase.as_bytes());
        put(b"</title></head>\n<body>\n<h1>");
        put(&self.status);
        put(b" ");
        put(self.phrase.as_bytes());
        put(b"</h1>\n<p>");
        put(self.about.detail.as_bytes());
        put(b"</p>\n</body>\n</html>\n");
    }

    /// Every string here is ours and needs no escape, but for the policies, which are quoted already.
    fn json(&self, mut put: impl FnMut(&[u8])) {
        put(b"{\"type\":\"");
        put(self.about.problem.type_uri().as_bytes());
        put(b"\",\"title\":\"");
        put(self.about.problem.title(self.phrase).as_bytes());
        put(b"\",\"status\":");
        put(&self.status);
        put(b",\"detail\":\"");
        put(self.about.detail.as_bytes());
        put(b"\",\"reason\":\"");
        put(self.about.reason.as_bytes());
        put(b"\"");
        if let Some(rule) = self.about.rule {
            put(b",\"rule\":\"");
            put(rule.as_bytes());
            put(b"\"");
        }
        let mut before: &[u8] = b",\"violated-policies\":[\"";
        for name in violated(self.about.spent) {
            put(before);
            put(name.as_bytes());
            put(b"\"");
            before = b",\"";
        }
        if before == b",\"" {
            put(b"]");
        }
        put(b"}\n");
    }
}

/// Names of the items of a `RateLimit` field that have nothing left. Only names of plain characters, which need no
/// escape in JSON.
fn violated(state: &str) -> impl Iterator<Item = &str> {
    state.split(", ").filter_map(|item| {
        let (name, parameters) = item.strip_prefix('"')?.split_once('"')?;
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
        (plain && parameters.split(';').any(|parameter| parameter == "r=0")).then_some(name)
    })
}
