//! A request head as HTTP/2 says it: pseudo-header fields apart, the others in their order.

/// The head of a request, well-formed after RFC 9113 sections 8.2 and 8.3.
#[derive(Clone, Debug, Default)]
pub struct Head {
    text: Vec<u8>,
    fields: Vec<Field>,
    method: Option<Span>,
    scheme: Option<Span>,
    authority: Option<Span>,
    path: Option<Span>,
    cut: bool,
}

/// A head that RFC 9113 section 8.1.1 calls malformed: its stream has an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Head {
    /// The head that `fields` say, which begin with the pseudo-header fields.
    ///
    /// # Errors
    /// When they are malformed.
    pub fn from_fields<'f>(
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    ) -> Result<Self, Malformed> {
        let mut draft = Draft::new(u32::MAX);
        fields.into_iter().for_each(|(name, value)| draft.push(name, value));
        draft.finish()
    }

    /// `:method`
    pub fn method(&self) -> &[u8] {
        self.text(self.method).unwrap_or_default()
    }

    /// `:scheme`; `None` for `CONNECT`.
    pub fn scheme(&self) -> Option<&[u8]> {
        self.text(self.scheme)
    }

    /// `:authority`
    pub fn authority(&self) -> Option<&[u8]> {
        self.text(self.authority)
    }

    /// `:path`; `None` for `CONNECT`.
    pub fn path(&self) -> Option<&[u8]> {
        self.text(self.path)
    }

    /// The other fields, in their order; names are tokens in lower case, values hold no control characters but tabs.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let text = |span| self.text(Some(span)).unwrap_or_default();
        self.fields.iter().map(move |field| (text(field.name), text(field.value)))
    }

    /// Whether fields were left out, because there is more than [`Options::head_bytes`](crate::Options::head_bytes).
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The length of the body by `content-length`, where that says one.
    pub(crate) fn content_length(&self) -> Option<u64> {
        let mut lengths = self.fields().filter(|(name, _)| *name == b"content-length");
        let (Some((_, length)), None) = (lengths.next(), lengths.next()) else { return None };
        let is_plain = length.iter().all(u8::is_ascii_digit);
        is_plain.then(|| std::str::from_utf8(length).ok()?.parse().ok()).flatten()
    }

    fn text(&self, span: Option<Span>) -> Option<&[u8]> {
        let Span { from, to } = span?;
        self.text.get(from as usize..to as usize)
    }

    fn keep(&mut self, text: &[u8]) -> Span {
        let from = self.text.len() as u32;
        self.text.extend_from_slice(text);
        Span { from, to: self.text.len() as u32 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Span {
    from: u32,
    to: u32,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    name: Span,
    value: Span,
}

/// A head of which fields are still to come.
#[derive(Debug)]
pub(crate) struct Draft {
    head: Head,
    left: u32,
    verdict: Result<(), Malformed>,
}

impl Draft {
    /// At most `head_bytes` are kept, as `SETTINGS_MAX_HEADER_LIST_SIZE` counts them.
    pub(crate) fn new(head_bytes: u32) -> Self {
        let text = Vec::with_capacity(COMMON_BYTES.min(head_bytes as usize));
        let head = Head { text, fields: Vec::with_capacity(COMMON_FIELDS), ..Head::default() };
        Self { head, left: head_bytes, verdict: Ok(()) }
    }

    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len().saturating_add(value.len()).saturating_add(FIELD);
        let Some(left) = u32::try_from(size).ok().and_then(|size| self.left.checked_sub(size)) else {
            (self.left, self.head.cut) = (0, true);
            return;
        };
        self.left = left;
        if self.verdict.is_ok() {
            self.verdict = self.add(name, value);
        }
    }

    /// The head.
    ///
    /// # Errors
    /// When it is malformed. One that was cut is only as well-formed as far as it goes.
    pub(crate) fn finish(self) -> Result<Head, Malformed> {
        let Self { head, verdict, .. } = self;
        verdict?;
        let is_whole = match head.method() {
            b"" => false,
            b"CONNECT" => head.scheme.is_none() && head.path.is_none() && head.authority.is_some(),
            _ => head.scheme.is_some() && head.path().is_some_and(|path| !path.is_empty()),
        };
        if is_whole || head.cut { Ok(head) } else { Err(Malformed) }
    }

    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let head = &mut self.head;
        if name.first() != Some(&b':') {
            if !is_field(name, value) {
                return Err(Malformed);
            }
            let field = Field { name: head.keep(name), value: head.keep(value) };
            head.fields.push(field);
            return Ok(());
        }
        if !value.iter().copied().all(is_in_value) {
            return Err(Malformed);
        }
        if !head.fields.is_empty() {
            return Err(Malformed);
        }
        let span = Some(head.keep(value));
        let place = match name {
            b":method" => &mut head.method,
            b":scheme" => &mut head.scheme,
            b":authority" => &mut head.authority,
            b":path" => &mut head.path,
            _ => return Err(Malformed),
        };
        match place {
            None => *place = span,
            Some(_) => return Err(Malformed),
        }
        Ok(())
    }
}

/// Whether this may be a field of a request, and no pseudo-header field.
pub(crate) fn is_field(name: &[u8], value: &[u8]) -> bool {
    // Nothing that says how one connection is used, which here frames do (RFC 9113 section 8.2.2).
    let is_of_one_hop = ONE_HOP.contains(&name) || name == b"te" && !value.eq_ignore_ascii_case(b"trailers");
    let is_well_formed = name.iter().copied().all(is_in_name) && value.iter().copied().all(is_in_value);
    !name.is_empty() && !is_of_one_hop && is_well_formed
}

/// Whether a byte may stand in the name of a field: a token (RFC 9110 section 5.6.2) without capitals.
fn is_in_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.'
        | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Whether a byte may stand in the value of a field (RFC 9110 section 5.5).
fn is_in_value(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// What most heads have at most, so that they are allocated at once.
const COMMON_BYTES: usize = 1024;
const COMMON_FIELDS: usize = 16;
/// What a field counts beyond its bytes (RFC 9113 section 6.5.2).
const FIELD: usize = 32;
const ONE_HOP: [&[u8]; 5] =
    [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"];
