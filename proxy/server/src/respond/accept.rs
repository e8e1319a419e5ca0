//! Which kind of body a client prefers.

use weir_core::facts::Headers;

/// The kind of body of an answer of our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// `text/plain`: for everybody who asks for nothing in particular.
    #[default]
    Text,
    /// `application/problem+json` (RFC 9457).
    Json,
    /// `text/html`.
    Html,
    /// None: a call of gRPC, whose client looks at fields only.
    Grpc,
}

impl Accept {
    /// All that are a body.
    pub const ALL: [Self; 3] = [Self::Text, Self::Json, Self::Html];

    /// Reads the `Accept` fields of a request (RFC 9110 section 12.5.1): of the kinds that we can make, the one with
    /// the highest weight, and of several the first. Looks at 32 elements at most, so that a long list costs nothing.
    pub fn of(headers: &dyn Headers) -> Self {
        let mut best = (0, Self::default());
        let mut left = MAX_ELEMENTS;
        headers.visit("accept", &mut |value| {
            for element in value.split(|byte| *byte == b',') {
                if left == 0 {
                    return;
                }
                left -= 1;
                if let Some((weight, kind)) = element_of(element)
                    && weight > best.0
                {
                    best = (weight, kind);
                }
            }
        });
        best.1
    }

    /// As [`of`](Self::of), for a request over HTTP/2, which may be a call of gRPC (its `Content-Type` says so).
    pub fn of_h2(headers: &dyn Headers) -> Self {
        if is_grpc(headers) { Self::Grpc } else { Self::of(headers) }
    }

    /// Value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/problem+json",
            Self::Html => "text/html; charset=utf-8",
            Self::Grpc => "application/grpc",
        }
    }
}

/// Whether a request is a call of gRPC: `application/grpc`, with a subtype or parameters behind it. What its variants
/// for browsers are called goes on with another byte.
pub fn is_grpc(headers: &dyn Headers) -> bool {
    let mut found = false;
    headers.visit("content-type", &mut |value| {
        let rest = value.get(..GRPC.len()).filter(|start| start.eq_ignore_ascii_case(GRPC.as_bytes()));
        let next = value.get(GRPC.len());
        found |= rest.is_some() && matches!(next, None | Some(b'+' | b';' | b' '));
    });
    found
}

/// The weight of one element in thousandths, and the kind it names; `None` for kinds that we do not make.
fn element_of(element: &[u8]) -> Option<(u16, Accept)> {
    let mut parts = element.split(|byte| *byte == b';');
    let media = parts.next()?.trim_ascii();
    let kind = KINDS.iter().find(|(name, _)| media.eq_ignore_ascii_case(name.as_bytes()))?.1;
    let weight = parts.map(<[u8]>::trim_ascii).find_map(|parameter| {
        let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))?;
        Some(weight_of(value))
    });
    Some((weight.unwrap_or(1000), kind))
}

/// A weight in thousandths; one that is not well-formed counts as 0.
fn weight_of(value: &[u8]) -> u16 {
    let (whole, fraction) = match value {
        [whole] => (*whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (*whole, fraction),
        _ => return 0,
    };
    let digit =
        |place: usize| fraction.get(place).map_or(0, |byte| u16::from(byte.wrapping_sub(b'0')).min(9));
    match whole {
        b'1' => 1000,
        b'0' => digit(0) * 100 + digit(1) * 10 + digit(2),
        _ => 0,
    }
}

const KINDS: [(&str, Accept); 6] = [
    ("application/json", Accept::Json),
    ("application/problem+json", Accept::Json),
    ("application/*", Accept::Json),
    ("text/html", Accept::Html),
    ("application/xhtml+xml", Accept::Html),
    ("text/plain", Accept::Text),
];
const MAX_ELEMENTS: u32 = 32;
const GRPC: &str = "application/grpc";

#[cfg(test)]
mod tests {
    use super::*;

    struct Sent<'a>(&'a str);

    impl Headers for Sent<'_> {
        fn visit(&self, _: &str, visit: &mut dyn FnMut(&[u8])) {
            visit(self.0.as_bytes());
        }
    }

    fn accept(value: &str) -> Accept {
        Accept::of(&Sent(value))
    }

    #[test]
    fn the_heaviest_kind_wins_and_then_the_first() {
        for (value, expected) in [
            ("", Accept::Text),
            ("*/*", Accept::Text),
            ("application/json", Accept::Json),
            ("application/problem+json;q=0.2", Accept::Json),
            ("application/json, text/plain, */*", Accept::Json),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Accept::Html),
            ("text/html;q=0.5, application/json;q=0.51", Accept::Json),
            ("text/html;q=0, TEXT/PLAIN", Accept::Text),
            ("application/json;q=0", Accept::Text),
            ("text/html;q=2, text/plain;q=0.001", Accept::Text),
            ("text/html;q=0.zzz", Accept::Html),
            (";;;,,,q=", Accept::Text),
        ] {
            assert_eq!(accept(value), expected, "{value:?}");
        }
    }

    #[test]
    fn calls_of_grpc_are_known_by_their_content_type() {
        for value in ["application/grpc", "Application/gRPC+proto", "application/grpc;charset=x"] {
            assert_eq!(Accept::of_h2(&Sent(value)), Accept::Grpc, "{value:?}");
        }
        for value in ["application/grpc-web", "application/grpcx", "application/gr", "text/plain", ""] {
            assert_eq!(Accept::of_h2(&Sent(value)), Accept::Text, "{value:?}");
        }
    }

    #[test]
    fn a_long_list_is_not_read_to_its_end() {
        let mut list = "a/b,".repeat(31);
        assert_eq!(accept(&format!("{list}text/html")), Accept::Html);
        list.push_str("a/b,");
        assert_eq!(accept(&format!("{list}text/html")), Accept::Text);
    }
}
