//! A second reader of HTTP/1.1, straight from RFC 9112: slow, strings and vectors, shares nothing with the first.

use std::net::IpAddr;

/// A head cut into lines.
pub(super) struct Head {
    pub(super) first_line: String,
    /// Name in lower case, value, and the whole line with CRLF.
    pub(super) fields: Vec<(String, Vec<u8>, Vec<u8>)>,
    /// Bytes of the head.
    pub(super) len: usize,
}

impl Head {
    /// Section 2.1: start-line CRLF *( field-line CRLF ) CRLF, and nothing a lenient reader would let pass.
    fn read(data: &[u8]) -> Option<Self> {
        let len = data.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let mut lines = Vec::new();
        let mut rest = &data[..len - 2];
        while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
            lines.push(&rest[..end + 2]);
            rest = &rest[end + 2..];
        }
        let mut lines = lines.into_iter();
        let first_line = String::from_utf8_lossy(lines.next()?.strip_suffix(b"\r\n")?).into_owned();
        let mut fields = Vec::new();
        for line in lines {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let (name, value) = (&line[..colon], &line[colon + 1..line.len() - 2]);
            if !is_token(name) || !is_text(value) {
                return None;
            }
            let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
            let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
            let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
            fields.push((
                String::from_utf8_lossy(name).to_lowercase(),
                value[start..end].to_vec(),
                line.to_vec(),
            ));
        }
        Some(Self { first_line, fields, len })
    }

    fn all(&self, name: &str) -> Vec<String> {
        let named = self.fields.iter().filter(|field| field.0 == name);
        named.map(|field| field.1.iter().map(|&byte| char::from(byte)).collect()).collect()
    }
}

/// What the express lane must have understood.
pub(super) struct Request {
    pub(super) head: Head,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) host: String,
    pub(super) content_length: usize,
    pub(super) close: bool,
}

/// The request at the front of `data`, if it is whole and the rules of the express lane hold for it.
pub(super) fn request(data: &[u8]) -> Option<Request> {
    let head = Head::read(data)?;
    let words: Vec<_> = head.first_line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else { return None };
    if !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&method) {
        return None;
    }
    if !target.chars().all(|c| c.is_ascii_graphic() && !"\"#<>\\`".contains(c)) {
        return None;
    }
    if !is_canonical(target.split('?').next()?) {
        return None;
    }
    if head.fields.len() > 64 || head.fields.iter().filter(|field| is_marked(&field.0)).count() > 24 {
        return None;
    }
    for never in ["transfer-encoding", "te", "expect", "upgrade", "trailer", "http2-settings"] {
        if !head.all(never).is_empty() {
            return None;
        }
    }
    // Of what frames or routes a request, origins must not see odd blanks.
    for (name, value, line) in &head.fields {
        let tidy =
            [&b":"[..], b": "].iter().any(|sep| line[name.len()..] == [sep, &value[..], b"\r\n"].concat());
        if ["host", "content-length"].contains(&name.as_str()) && !tidy {
            return None;
        }
    }
    let [host] = &head.all("host")[..] else { return None };
    if !is_host(host) {
        return None;
    }
    let close = match &head.all("connection")[..] {
        [] => false,
        [one] if one.eq_ignore_ascii_case("keep-alive") => false,
        [one] if one.eq_ignore_ascii_case("close") => true,
        _ => return None,
    };
    let content_length = match &head.all("content-length")[..] {
        [] => 0,
        [one] if one.len() < 10 && one.chars().all(|c| c.is_ascii_digit()) => one.parse().ok()?,
        _ => return None,
    };
    if head.len + content_length > 16384 {
        return None;
    }
    if content_length > 0 && !method.starts_with('P') {
        return None;
    }
    let (method, target, host) = (method.to_string(), target.to_string(), host.clone());
    Some(Request { head, method, target, host, content_length, close })
}

/// What routes are compared with: percent-encodings only where they are needed, no segment that means another one,
/// not even to an origin that decodes slashes or cuts parameters off.
fn is_canonical(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else { return false };
    let mut rest = path;
    while let Some(c) = rest.chars().next() {
        if c == '%' {
            let Some(hex) = rest.get(1..3) else { return false };
            let Ok(byte) = u8::from_str_radix(hex, 16) else { return false };
            let c = char::from(byte);
            let needless = c.is_ascii_alphanumeric() || "-._~".contains(c);
            if hex.contains(|c: char| !c.is_ascii_digit() && !('A'..='F').contains(&c))
                || needless
                || c.is_ascii_control()
                || c == '\\'
            {
                return false;
            }
            rest = &rest[3..];
        } else if c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@".contains(c) {
            rest = &rest[1..];
        } else {
            return false;
        }
    }
    let dots = |part: &str| [".", ".."].contains(&part.split(';').next().unwrap_or_default());
    !segments.starts_with('/')
        && !segments.contains("//")
        && !segments.split('/').any(|segment| segment.split("%2F").any(dots))
}

fn is_marked(name: &str) -> bool {
    let known = ["proxy", "connection", "keep-alive", "forwarded", "x-real-ip", "x-scheme", "x-request-id"];
    let forwarded = ["for", "host", "port", "proto", "scheme"].map(|what| format!("x-forwarded-{what}"));
    let original = ["for", "host"].map(|what| format!("x-original-forwarded-{what}"));
    known.contains(&name)
        || name.starts_with("proxy-")
        || name.contains('_')
        || forwarded.iter().chain(&original).any(|known| known == name)
}

fn is_host(host: &str) -> bool {
    // "http://host/" is a URI only with a proper host, but what the parser makes of it is all its own.
    let (name, port) = match host.rfind(':').filter(|_| !host.ends_with(']')) {
        Some(colon) => (&host[..colon], &host[colon + 1..]),
        None => (host, "80"),
    };
    let port_is_plain = (1..=5).contains(&port.len())
        && port.chars().all(|c| c.is_ascii_digit())
        && port.parse::<u16>().is_ok();
    let name_is_plain = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => matches!(address.parse(), Ok(IpAddr::V6(_))),
        None => {
            name.len() <= 253
                && name.split('.').all(|label| {
                    !label.is_empty()
                        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
                })
        }
    };
    port_is_plain && name_is_plain
}

/// What the client must get, and how the body ends.
pub(super) struct Response {
    pub(super) len: usize,
    pub(super) status: u16,
    /// "none", "chunked", "close" or a number.
    pub(super) framing: String,
    pub(super) close: bool,
    /// The head for the client.
    pub(super) rebuilt: Vec<u8>,
}

/// The response at the front of `data`, if it is whole and may be passed on.
pub(super) fn response(data: &[u8], to_head: bool) -> Option<Response> {
    let head = Head::read(data)?;
    let len = head.len;
    // Reasons may hold obs-text, so the bytes count.
    let first_line = &data[..data.windows(2).position(|two| two == b"\r\n")?];
    let (version, rest) = first_line.split_at_checked(9)?;
    let (digits, reason) = rest.split_at_checked(3)?;
    let status =
        std::str::from_utf8(digits).ok().filter(|digits| digits.chars().all(|c| c.is_ascii_digit()))?;
    let status: u16 = status.parse().ok()?;
    let old = match version {
        b"HTTP/1.1 " => false,
        b"HTTP/1.0 " => true,
        _ => return None,
    };
    if status < 100 || status == 101 || !(reason.is_empty() || reason[0] == b' ') || !is_text(reason) {
        return None;
    }
    let options = head.all("connection").join(",").to_lowercase();
    let options: Vec<_> = options.split(',').map(|option| option.trim_matches([' ', '\t'])).collect();
    let options: Vec<_> = options.into_iter().filter(|option| !option.is_empty()).collect();
    let named = options.iter().filter(|option| !["close", "keep-alive"].contains(*option)).count();
    let framing_fields = ["content-length", "transfer-encoding"];
    if named > 16 || options.iter().any(|o| !is_token(o.as_bytes()) || framing_fields.contains(o)) {
        return None;
    }
    let lengths = head.all("content-length");
    let number = |length: &String| {
        Some(length).filter(|l| l.len() < 19 && l.chars().all(|c| c.is_ascii_digit()))?.parse().ok()
    };
    let numbers: Vec<u64> = lengths.iter().map(number).collect::<Option<_>>()?;
    let codings = head.all("transfer-encoding");
    let chunked = match &codings[..] {
        [] => false,
        [one] if one.eq_ignore_ascii_case("chunked") && numbers.is_empty() && !old => true,
        _ => return None,
    };
    if numbers.iter().any(|number| *number != numbers[0]) || head.fields.len() > 128 {
        return None;
    }
    let framing = match numbers.first() {
        _ if to_head || status < 200 || status == 204 || status == 304 => "none".to_string(),
        _ if chunked => "chunked".to_string(),
        Some(number) => number.to_string(),
        None => "close".to_string(),
    };
    let close = options.contains(&"close") || framing == "close" || (old && !options.contains(&"keep-alive"));

    let mut rebuilt = [b"HTTP/1.1 ", digits, reason, b"\r\n"].concat();
    let mut seen_length = status < 200 || status == 204;
    let (mut cuts, mut cut_before) = (0, false);
    for (name, _, line) in &head.fields {
        let name = &name[..];
        let cut = ["connection", "keep-alive", "proxy-connection", "te", "upgrade"].contains(&name)
            || options.contains(&name)
            || (name == "content-length" && std::mem::replace(&mut seen_length, true))
            || (name == "transfer-encoding" && (status < 200 || status == 204));
        cuts += usize::from(cut && !cut_before);
        cut_before = cut;
        if !cut {
            rebuilt.extend_from_slice(line);
        }
    }
    rebuilt.extend_from_slice(b"\r\n");
    (cuts <= 32 && len <= 16384).then_some(Response { len, status, framing, close, rebuilt })
}

/// Where a chunked body ends (RFC 9112, section 7.1), if it is whole and sound.
pub(super) fn chunked_end(body: &[u8]) -> Option<usize> {
    let mut rest = body;
    loop {
        let line = take_line(&mut rest)?;
        let digits = line.iter().position(|byte| b"; \t".contains(byte)).unwrap_or(line.len());
        let extension = line.get(digits + 1..).unwrap_or_default();
        let size = std::str::from_utf8(&line[..digits]).ok()?;
        if !(1..=16).contains(&size.len()) || !size.chars().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        if !is_text(extension) || extension.len() > 256 {
            return None;
        }
        // Behind blanks an extension begins with its semicolon.
        let rest_of_line = line[digits..].trim_ascii_start();
        if !rest_of_line.is_empty() && rest_of_line[0] != b';' {
            return None;
        }
        let size = usize::from_str_radix(size, 16).ok().filter(|size| *size < 1 << 60)?;
        if size == 0 {
            break;
        }
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
    let mut trailers = 0;
    loop {
        let line = take_line(&mut rest)?;
        if line.is_empty() {
            return Some(body.len() - rest.len());
        }
        trailers += line.len();
        let colon = line.iter().position(|&byte| byte == b':')?;
        if trailers > 8192 || !is_token(&line[..colon]) || !is_text(&line[colon + 1..]) {
            return None;
        }
    }
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    Some(line)
}

fn is_token(text: &[u8]) -> bool {
    let delimiters = b"\"(),/:;<=>?@[\\]{}";
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && !delimiters.contains(byte))
}

fn is_text(text: &[u8]) -> bool {
    text.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control())
}
