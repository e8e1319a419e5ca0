//! What we tell the origin about the client: the fields that are added to every forwarded request.
//!
//! What came under these names is cut before (see `lane::wire::kind_of`), so that an origin can believe what it reads.
//! A peer's word for host, port and scheme is repeated only when the peer is trusted with it ([`TrustMode::All`]).
//! Where `forwarded-for-header` names `Forwarded`, that stands for the others, and the origin gets one of ours.
//! Both lanes use the one implementation: [`append_http1`] writes lines, [`for_each`] gives names and values.

mod forwarded;

use crate::request_id::RequestId;
use crate::respond::is_field_value;
use crate::text::{Address, Text};
use weir_core::facts::{Headers, Scheme};
use weir_core::identity::{Client, Words};
use weir_core::policy::{ClientCertificates, TrustMode};
use weir_core::tls::{
    CERTIFICATE_HEADER, ClientTls, ISSUER_HEADER, SUBJECT_HEADER, VERIFY_HEADER, VerifyClient,
};

/// What the fields are made of.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Who asks, as the core found out.
    pub client: Client,
    /// Value of `Host` or `:authority` as sent.
    pub host: &'a [u8],
    /// Port of the listener.
    pub port: u16,
    /// Scheme of the client's connection.
    pub scheme: Scheme,
    /// Whether `X-Forwarded-For` keeps what a trusted peer sent and appends the peer.
    pub forwarded_for: ForwardedFor,
    /// The header with the addresses ([`Trust::header`](weir_core::policy::Trust)).
    pub header: &'a str,
    /// The id that the origin is told; `None` sends none.
    pub request_id: Option<&'a RequestId>,
    /// What the handshake has shown of the client, where a certificate was asked for.
    pub certificate: Option<Certificate<'a>>,
    /// The request's own header fields.
    pub headers: &'a dyn Headers,
}

/// What an origin is told of a client's certificate.
#[derive(Clone, Copy)]
pub struct Certificate<'a> {
    tls: &'a ClientTls,
    pass: bool,
}

impl<'a> Certificate<'a> {
    /// What `tls` has shown, where the location's `policy` asks for certificates; the certificate itself goes along
    /// where it says so (`auth-tls-pass-certificate-to-upstream`).
    pub fn asked(tls: Option<&'a ClientTls>, policy: &ClientCertificates) -> Option<Self> {
        let asks = policy.secret.is_some() && policy.verify != Some(VerifyClient::Ignore);
        tls.filter(|_| asks).map(|tls| Self { tls, pass: policy.pass_certificate })
    }
}

/// What `X-Forwarded-For` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedFor {
    /// The client's address alone.
    #[default]
    Client,
    /// What a trusted peer sent, then the peer (`compute-full-forwarded-for`).
    Append,
}

impl ForwardedFor {
    /// As the settings say ([`Trust::append`](weir_core::policy::Trust)).
    pub fn from_append(append: bool) -> Self {
        if append { Self::Append } else { Self::Client }
    }
}

/// Appends the fields as HTTP/1.1 lines, each with its CRLF. Allocates only when `out` must grow.
pub fn append_http1(out: &mut Vec<u8>, inputs: &Inputs<'_>) {
    for_each(inputs, |name, value| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    });
}

/// Calls `put` with the name and the value of each field. Every value is printable ASCII without line ends.
pub fn for_each(inputs: &Inputs<'_>, mut put: impl FnMut(&'static str, &[u8])) {
    if let Some(id) = inputs.request_id {
        put("X-Request-ID", id.as_bytes());
    }
    let client = Address::of_ip(inputs.client.address);
    let sent = List::join(inputs.headers, FORWARDED_FOR);
    put("X-Real-IP", client.as_bytes());
    let sent_host: Option<Host> = last_element(inputs.headers, "x-forwarded-host", is_host);
    let believed = match (inputs.client.words, inputs.client.trust) {
        (Words::Forwarded { .. }, _) => forwarded::believed(inputs),
        (Words::List, TrustMode::All) => Believed::read(inputs.headers, sent_host),
        (Words::List, TrustMode::Address | TrustMode::Ignore) => Believed::default(),
    };
    let appends = inputs.forwarded_for == ForwardedFor::Append && inputs.client.trust != TrustMode::Ignore;
    match &sent {
        _ if inputs.client.words != Words::List => forwarded::put(inputs, &believed, &mut put),
        Some(sent) if appends => {
            let mut full = *sent;
            full.append_element(Address::of_ip(inputs.client.peer).as_bytes());
            put("X-Forwarded-For", full.as_bytes());
        }
        _ => put("X-Forwarded-For", client.as_bytes()),
    }

    let host = believed.host.as_ref().map_or(inputs.host, Host::as_bytes);
    if is_host(host) {
        put("X-Forwarded-Host", host);
    }
    let mut digits = itoa::Buffer::new();
    put("X-Forwarded-Port", digits.format(believed.port.unwrap_or(inputs.port)).as_bytes());
    let scheme = believed.scheme.unwrap_or_else(|| inputs.scheme.as_str());
    for name in ["X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Scheme"] {
        put(name, scheme.as_bytes());
    }

    if let Some(certificate) = inputs.certificate {
        put_certificate(certificate, &mut put);
    }
    // Where the addresses come in another field, that one is the original.
    let original = if inputs.header.eq_ignore_ascii_case(FORWARDED_FOR) {
        sent
    } else {
        List::join(inputs.headers, inputs.header)
    };
    if let Some(original) = &original {
        put("X-Original-Forwarded-For", original.as_bytes());
    }
    if let Some(host) = &sent_host {
        put("X-Original-Forwarded-Host", host.as_bytes());
    }
}

/// What nginx tells of a client's certificate, under the names that ingress-nginx has for it. Names and certificate are
/// told of one that is not valid too: `ssl-client-verify` says so.
fn put_certificate(Certificate { tls, pass }: Certificate<'_>, put: &mut impl FnMut(&'static str, &[u8])) {
    put(VERIFY_HEADER, tls.verified.header().as_bytes());
    let Some(certificate) = &tls.certificate else { return };
    for (name, value) in [(SUBJECT_HEADER, &certificate.subject_dn), (ISSUER_HEADER, &certificate.issuer_dn)]
    {
        if is_field_value(value.as_bytes()) {
            put(name, value.as_bytes());
        }
    }
    if pass {
        put(CERTIFICATE_HEADER, certificate.pem_urlencoded().as_bytes());
    }
}

/// Host, port and scheme that the client used, by the word of a fully trusted peer.
#[derive(Default)]
struct Believed {
    host: Option<Host>,
    port: Option<u16>,
    scheme: Option<&'static str>,
}

impl Believed {
    fn read(headers: &dyn Headers, host: Option<Host>) -> Self {
        let port: Option<Text<5>> =
            last_element(headers, "x-forwarded-port", |value| port_of(value).is_some());
        let scheme: Option<Text<5>> =
            last_element(headers, "x-forwarded-proto", |value| scheme_of(value).is_some());
        Self {
            host,
            port: port.and_then(|text| port_of(text.as_bytes())),
            scheme: scheme.and_then(|text| scheme_of(text.as_bytes())),
        }
    }
}

/// The last element of the last field `name`: the one that the peer itself wrote. `None` when there is none, or when
/// it is not as `expected`.
fn last_element<const N: usize>(
    headers: &dyn Headers,
    name: &str,
    expected: fn(&[u8]) -> bool,
) -> Option<Text<N>> {
    let mut last = None;
    headers.visit(name, &mut |value| {
        let element = value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
        last = if expected(element) { Text::copy(element) } else { None };
    });
    last
}

type Host = Text<MAX_HOST>;
type List = Text<MAX_LIST>;

impl List {
    /// All values of a field, joined as RFC 9110 section 5.3 has it; `None` when there is none, or when one has bytes
    /// that we do not repeat. Of a list that is too long the elements on the right remain: they were written by those
    /// nearer to us.
    fn join(headers: &dyn Headers, name: &str) -> Option<Self> {
        let mut list = None;
        let mut clean = true;
        headers.visit(name, &mut |value| {
            let value = value.trim_ascii();
            clean &= is_field_value(value);
            if clean && !value.is_empty() {
                list.get_or_insert(Self::EMPTY).append_element(value);
            }
        });
        list.filter(|list| clean && !list.as_bytes().is_empty())
    }

    /// Appends to the list, and makes room at its left where that is needed.
    fn append_element(&mut self, element: &[u8]) {
        let element = right_part(element, MAX_LIST);
        let room = MAX_LIST.saturating_sub(element.len().saturating_add(SEPARATOR.len()));
        let keep = right_part(self.as_bytes(), room).len();
        self.keep_right(keep);
        if keep > 0 {
            self.push(SEPARATOR);
        }
        self.push(element);
    }
}

/// The right end of a list that fits `room`, cut where an element begins; nothing if its last element does not fit.
fn right_part(list: &[u8], room: usize) -> &[u8] {
    let Some(cut) = list.len().checked_sub(room).filter(|cut| *cut > 0) else { return list };
    let Some(tail) = list.get(cut.saturating_sub(1)..) else { return &[] };
    match tail.iter().position(|byte| *byte == b',') {
        Some(comma) => tail.get(comma.saturating_add(1)..).unwrap_or_default().trim_ascii_start(),
        None => &[],
    }
}

/// A host with an optional port, by its characters.
fn is_host(value: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
    (1..=MAX_HOST).contains(&value.len()) && value.iter().all(plain)
}

fn port_of(value: &[u8]) -> Option<u16> {
    let digits = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok()?.parse().ok().filter(|port| digits && *port != 0)
}

fn scheme_of(value: &[u8]) -> Option<&'static str> {
    SCHEMES.into_iter().find(|known| value.eq_ignore_ascii_case(known.as_bytes()))
}

/// The field that lists addresses unless the settings name another.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// Schemes that a trusted peer may report.
const SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];
/// Longest list of addresses: a way through 20 proxies at least.
const MAX_LIST: usize = 1024;
/// A host name has at most 253 bytes (RFC 1035), and a port is 6 more.
const MAX_HOST: usize = 259;
const SEPARATOR: &[u8] = b", ";

#[cfg(test)]
mod tests;
