//! What can be told of a request whose head has no reading, or never came to its end.

use super::Protocol;

/// What a head seems to ask for. Nothing but the log may rely on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sketch<'a> {
    /// The first word.
    pub method: &'a [u8],
    /// Value of the first line that looks like a `Host`, without a user.
    pub host: &'a [u8],
    /// The second word from its path on, without the query, which may hold secrets, and without a user.
    pub path: &'a [u8],
    /// The version, if it is one that there is.
    pub protocol: Option<Protocol>,
}

impl<'a> Sketch<'a> {
    /// Looks at the beginning of `received`, at most [`MOST`] bytes of it.
    pub fn of(received: &'a [u8]) -> Self {
        let mut lines = received.get(..MOST).unwrap_or(received).split(|&byte| byte == b'\n');
        let mut words = lines.next().unwrap_or_default().trim_ascii_end().split(|&byte| byte == b' ');
        Self {
            method: words.next().unwrap_or_default(),
            path: path(words.next().unwrap_or_default()),
            protocol: words.next_back().and_then(Protocol::from_name),
            host: lines.find_map(host).unwrap_or_default(),
        }
    }
}

fn path(target: &[u8]) -> &[u8] {
    let target = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    if target.starts_with(b"/") || target == b"*" {
        return target;
    }
    // Whatever stands before the path may be a user with a password.
    let authority = target.windows(3).position(|three| three == b"://").map_or(0, |at| at + 3);
    let behind = target.get(authority..).unwrap_or_default();
    let start = behind.iter().position(|&byte| byte == b'/').unwrap_or(behind.len());
    behind.get(start..).unwrap_or_default()
}

fn host(line: &[u8]) -> Option<&[u8]> {
    let (name, value) = line.split_at_checked(line.iter().position(|&byte| byte == b':')?)?;
    let value = value.get(1..)?.trim_ascii();
    name.trim_ascii().eq_ignore_ascii_case(b"host").then(|| value.rsplit(|&byte| byte == b'@').next())?
}

/// Bytes that are looked at.
pub const MOST: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(head: &str) -> (String, String, String, Option<Protocol>) {
        let Sketch { method, host, path, protocol } = Sketch::of(head.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(method), text(host), text(path), protocol)
    }

    #[test]
    fn tells_what_can_be_told() {
        let is = |head, (method, host, path, protocol): (&str, &str, &str, _)| {
            assert_eq!(sketch(head), (method.into(), host.into(), path.into(), protocol), "{head:?}");
        };
        is("", ("", "", "", None));
        is("GE", ("GE", "", "", None));
        is("GET /a?secret HTTP/1.0\r\nX: y\r\nhost : a\r\n\r\n", ("GET", "a", "/a", Some(Protocol::Http10)));
        is("GET http://me:secret@a/b?c HTTP/1.1\r\n", ("GET", "", "/b", Some(Protocol::Http11)));
        is("CONNECT me:secret@a:1 HTTP/1.1\r\n", ("CONNECT", "", "", Some(Protocol::Http11)));
        is("GET /a\nHost: me:secret@b\n\n", ("GET", "b", "/a", None));
        is("PRI * HTTP/2.0\r\n\r\n", ("PRI", "", "*", Some(Protocol::Http2)));
        is(&format!("GET /{}", "a".repeat(9000)), ("GET", "", &format!("/{}", "a".repeat(MOST - 5)), None));
    }

    proptest::proptest! {
        #[test]
        fn looks_at_anything(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = Sketch::of(&bytes);
        }
    }
}
