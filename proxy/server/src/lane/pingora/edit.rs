//! What changes in a message on its way through: fields of one hop are dropped, what we know is added.

use super::flight::{Dialect, Plan, Underscores, Upgrade};
use crate::lane::grammar::decimal;
use crate::lane::wire::{CAP, FieldKind, MAX_RESPONSE_FIELDS, Persistence, kind_of};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, StatusCode, header};
use pingora_error::{ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};

/// Makes the origin's request of the client's: of what pingora made of it, and of what the client `sent`.
pub(crate) fn edit_request(request: &mut RequestHeader, sent: &RequestHeader, plan: &Plan) -> Result<()> {
    set_target(request, &plan.target)?;
    let adds_id = plan.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-request-id"));
    let doomed: Vec<HeaderName> =
        request.headers.keys().filter(|name| is_cut(name, plan, adds_id)).cloned().collect();
    for name in doomed {
        request.remove_header(&name);
    }
    if !request.headers.contains_key(header::HOST) {
        // HTTP/1.0 without one. RFC 9112 section 3.2: an authority that is not known is sent as an empty value.
        request.insert_header(header::HOST, plan.host.as_slice())?;
    }
    if plan.dialect == Dialect::Http10 {
        request.remove_header(&header::EXPECT);
    }
    match (plan.upgrade, plan.origin_persistence) {
        (Upgrade::Offer, _) => offer_upgrade(request, sent)?,
        (Upgrade::Drop, Persistence::Close) => request.insert_header(header::CONNECTION, "close")?,
        (Upgrade::Drop, Persistence::KeepAlive) => {}
    }
    if plan.origin.protocol.is_h2() && sent.headers.contains_key(header::TE) {
        // The one thing it may say (RFC 9113 section 8.2.2). Servers of gRPC take its absence for a bad proxy.
        request.insert_header(header::TE, "trailers")?;
    }
    for (name, value) in &plan.fields {
        request.append_header(*name, value.as_slice())?;
    }
    match plan.dial {
        Some(_) if plan.origin.protocol.is_h2() => say_https(request),
        _ => Ok(()),
    }
}

/// Makes `:scheme` and `:authority` of HTTP/2 ourselves. Pingora makes them of `Host`, and does not know that the
/// connection is encrypted: there would be `http`, at which servers that compare it with their connection take offence.
fn say_https(request: &mut RequestHeader) -> Result<()> {
    let Some(host) = request.remove_header(&header::HOST) else { return Ok(()) };
    let target = request.uri.path_and_query().cloned();
    let uri = http::Uri::builder().scheme("https").authority(host.as_bytes());
    let uri = uri.path_and_query(target.unwrap_or(PathAndQuery::from_static("/"))).build();
    request.set_uri(uri.or_err(ErrorType::InvalidHTTPHeader, "no authority")?);
    Ok(())
}

/// Offers the protocols that the client asked for, except HTTP/2: an origin that took it up would serve requests that
/// nobody admits.
fn offer_upgrade(request: &mut RequestHeader, sent: &RequestHeader) -> Result<()> {
    let values = sent.headers.get_all(header::UPGRADE).iter();
    let protocols: Vec<&[u8]> = values
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|protocol| {
            let name = protocol.split(|&byte| byte == b'/').next().unwrap_or_default();
            !name.is_empty() && !HTTP.iter().any(|http| name.eq_ignore_ascii_case(http))
        })
        .collect();
    if !protocols.is_empty() {
        request.insert_header(header::CONNECTION, "Upgrade")?;
        request.insert_header(header::UPGRADE, protocols.join(&b", "[..]))?;
    }
    Ok(())
}

/// The target as the client sent it. A few bytes that no URI may have, but that some clients send, are beyond what
/// pingora can carry; those alone are percent-encoded.
fn set_target(request: &mut RequestHeader, target: &[u8]) -> Result<()> {
    request.set_raw_path(target).or_else(|_| {
        let mut encoded = Vec::with_capacity(target.len() + 16);
        for &byte in target {
            match byte {
                b'<' | b'>' | b'`' | b'"' | b'{' | b'|' | b'}' | b'^' | b'\\' => {
                    encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
                }
                _ => encoded.push(byte),
            }
        }
        request.set_raw_path(&encoded)
    })
}

fn is_cut(name: &HeaderName, plan: &Plan, adds_id: bool) -> bool {
    match kind_of(name.as_str().as_bytes()) {
        Some(FieldKind::HopByHop | FieldKind::Forwarded) => true,
        Some(FieldKind::RequestId) => adds_id,
        Some(FieldKind::Underscore) => plan.underscores == Underscores::Drop,
        None => false,
    }
}

/// Makes the client's response of the origin's.
pub(crate) fn edit_response(response: &mut ResponseHeader, plan: &Plan) -> Result<()> {
    if response.status.is_informational() {
        return Ok(());
    }
    response.set_version(http::Version::HTTP_11);
    let nominated: Vec<HeaderName> = response
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        // What says where the body ends belongs to the message, whatever an origin writes.
        .filter(|name| !FRAMING.contains(&name.as_str()))
        .collect();
    for name in nominated.iter().map(HeaderName::as_str).chain(HOP_BY_HOP) {
        // A 426 says with it what it wants (RFC 9110 section 15.5.22).
        if !(name == "upgrade" && response.status == StatusCode::UPGRADE_REQUIRED) {
            response.remove_header(name);
        }
    }
    if plan.dialect == Dialect::Http10 {
        // Without it pingora ends the body by closing, which is all that HTTP/1.0 knows.
        response.remove_header(&header::TRANSFER_ENCODING);
    }
    if let Some(length) = response.headers.get(header::CONTENT_LENGTH).cloned()
        && response.headers.get_all(header::CONTENT_LENGTH).iter().count() > 1
    {
        // Pingora has checked that all of them are the same.
        response.insert_header(header::CONTENT_LENGTH, length)?;
    }
    if response.status == StatusCode::NO_CONTENT {
        // RFC 9110 section 8.6 and RFC 9112 section 6.1.
        response.remove_header(&header::CONTENT_LENGTH);
        response.remove_header(&header::TRANSFER_ENCODING);
    }
    for (name, value) in &plan.response_fields {
        response.insert_header(*name, value.clone())?;
    }
    Ok(())
}

/// Whether a response head is one that the express lane would pass on, as far as can be told from what pingora made of
/// it: within the same bounds, and with an end that every client reads alike.
pub(crate) fn is_sound(response: &ResponseHeader) -> bool {
    let line =
        |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + ": \r\n".len();
    response.headers.len() <= MAX_RESPONSE_FIELDS
        && response.headers.iter().map(line).sum::<usize>() <= CAP
        && response.headers.get_all(header::CONTENT_LENGTH).iter().all(|v| decimal(v.as_bytes()).is_some())
        && has_plain_framing(response)
}

fn has_plain_framing(response: &ResponseHeader) -> bool {
    let mut codings = response.headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next().map(HeaderValue::as_bytes), codings.next()) {
        (None, None) => true,
        (Some(coding), None) => {
            coding.eq_ignore_ascii_case(b"chunked") && response.version == http::Version::HTTP_11
        }
        _ => false,
    }
}

/// Fields that say where a message ends or whom it is for.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "host"];
/// Response fields for one hop only (RFC 9110 section 7.6.1), but for the framing of the body.
const HOP_BY_HOP: [&str; 6] = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"];
/// Protocols that carry further requests.
const HTTP: [&[u8]; 4] = [b"http", b"h2c", b"h2", b"tls"];
