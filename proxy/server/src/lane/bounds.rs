//! How large a request head may be: its first line, each field, all fields, and how many there are.
//!
//! What is too much is refused as soon as that is known, so that no more of it is held than is allowed.

use super::grammar::Malformed;
use weir_core::policy::HeadBounds;

/// Looks for the end of a head of HTTP/1.1 in what has come so far, without looking at anything twice.
#[derive(Debug)]
pub struct Scan {
    bounds: HeadBounds,
    /// Where the line begins that has not ended yet.
    line: usize,
    /// Up to where there is no end of it.
    seen: usize,
}

impl Scan {
    /// Nothing looked at.
    pub fn new(bounds: HeadBounds) -> Self {
        Self { bounds, line: 0, seen: 0 }
    }

    /// The bytes of the head at the front of `data`, with its empty line; `None` if it has not ended yet. `data` begins
    /// with what it was last time. A bare LF counts as a line end: what is wrong must be found to be refused.
    ///
    /// # Errors
    /// [`Malformed::RequestLine`], [`Malformed::FieldLine`] or [`Malformed::HeadLength`], by what is too long.
    pub fn look(&mut self, data: &[u8]) -> Result<Option<usize>, Malformed> {
        while let Some(end) = data.get(self.seen..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let end = self.seen.saturating_add(end).saturating_add(1);
            let line = data.get(self.line..end).unwrap_or_default();
            self.check(line.len(), end)?;
            if self.line > 0 && matches!(line, b"\n" | b"\r\n") {
                return Ok(Some(end));
            }
            (self.line, self.seen) = (end, end);
        }
        self.seen = data.len();
        // There is a line end to come, at least.
        let end = data.len().saturating_add(1);
        self.check(end.saturating_sub(self.line), end).map(|()| None)
    }

    /// A line of so many bytes that ends there.
    fn check(&self, line: usize, end: usize) -> Result<(), Malformed> {
        if line > self.bounds.max_line_bytes() {
            return Err(if self.line == 0 { Malformed::RequestLine } else { Malformed::FieldLine });
        }
        if end > self.bounds.max_bytes() { Err(Malformed::HeadLength) } else { Ok(()) }
    }
}

/// Checks a head of `len` bytes and so many fields that was read already, at the front of `data`.
///
/// # Errors
/// As [`Scan::look`], or [`Malformed::FieldCount`].
#[inline]
pub fn check(data: &[u8], len: usize, fields: usize, bounds: HeadBounds) -> Result<(), Malformed> {
    if fields > bounds.max_fields() {
        return Err(Malformed::FieldCount);
    }
    // What fits a line as a whole has no line that does not.
    if len <= bounds.max_line_bytes() {
        return Ok(());
    }
    Scan::new(bounds).look(data).map(|_| ())
}

/// As many slots for fields as the bounds have room for.
pub fn slots<'s, 'd>(
    slots: &'s mut [httparse::Header<'d>; MAX_FIELDS],
    bounds: HeadBounds,
) -> &'s mut [httparse::Header<'d>] {
    slots.get_mut(..bounds.max_fields().min(MAX_FIELDS)).unwrap_or_default()
}

/// Most header fields of a request, whatever the settings say: as many as pingora reads.
pub const MAX_FIELDS: usize = HeadBounds::MOST_FIELDS as usize;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds(count: u32, size: u32) -> HeadBounds {
        HeadBounds { first: 1, count, size, ..HeadBounds::default() }
    }

    fn look(data: &[u8], bounds: HeadBounds) -> Result<Option<usize>, Malformed> {
        Scan::new(bounds).look(data)
    }

    #[test]
    fn the_end_is_behind_the_empty_line() {
        let wide = HeadBounds::default();
        assert_eq!(look(b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody\r\n\r\n", wide), Ok(Some(24)));
        assert_eq!(look(b"GET / HTTP/1.1\n\n\n", wide), Ok(Some(16)));
        for part in [&b""[..], b"GET", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nA: b\r\n\r", b"\nA"] {
            assert_eq!(look(part, wide), Ok(None));
        }
    }

    /// Exactly as long as allowed, and a byte longer; whole, and without the end that would come.
    #[test]
    fn each_bound_is_exact() {
        let line = |len: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(len - 16));
        let field = |len: usize| format!("A: {}\r\n", "b".repeat(len - 5));
        let bounds = bounds(2, 64);
        let check = |head: &str, expect: Result<(), Malformed>| {
            let whole = look(format!("{head}\r\n").as_bytes(), bounds);
            assert_eq!(whole, expect.map(|()| Some(head.len() + 2)), "{head}");
            assert_eq!(look(head.as_bytes(), bounds), expect.map(|()| None), "{head}");
        };
        check(&line(64), Ok(()));
        check(&line(65), Err(Malformed::RequestLine));
        check(&(line(20) + &field(64)), Ok(()));
        check(&(line(20) + &field(65)), Err(Malformed::FieldLine));
        check(&(line(62) + &field(64)), Ok(()));
        let long = line(63) + &field(64) + "\r\n";
        assert_eq!(look(long.as_bytes(), bounds), Err(Malformed::HeadLength));
        // Before a line end has come, it is known that the line will be too long.
        assert_eq!(look(&[b'a'; 63], bounds), Ok(None));
        assert_eq!(look(&[b'a'; 64], bounds), Err(Malformed::RequestLine));
        let part = line(20) + &"a".repeat(64);
        assert_eq!(look(part.as_bytes(), bounds), Err(Malformed::FieldLine));
        assert_eq!(super::check(long.as_bytes(), 129, 1, bounds), Err(Malformed::HeadLength));
        assert_eq!(super::check(long.as_bytes(), 64, 128, bounds), Ok(()), "nothing to look at");
        assert_eq!(super::check(long.as_bytes(), 64, 129, bounds), Err(Malformed::FieldCount));
    }

    /// What fits the first buffer passes, and no setting allows more than there is room for.
    #[test]
    fn bounds_have_bounds() {
        let first = HeadBounds { first: 2000, count: 1, size: 300, ..HeadBounds::default() };
        assert_eq!((first.max_bytes(), first.max_line_bytes()), (2000, 2000));
        let wide = HeadBounds { first: 1, count: u32::MAX, size: u32::MAX, ..HeadBounds::default() };
        let most = HeadBounds::MOST_BYTES as usize;
        assert_eq!((wide.max_bytes(), wide.max_line_bytes()), (most, most));
        assert_eq!(slots(&mut [httparse::EMPTY_HEADER; MAX_FIELDS], first).len(), 128);
    }

    proptest! {
        /// In pieces it is the same as at once; but it is not waited for a line to end in a head that is too long.
        #[test]
        fn pieces_make_no_difference(
            lines in prop::collection::vec("[ab]{0,12}\r?\n", 0..8),
            cuts in prop::collection::vec(0_usize..40, 0..6),
            count in 1_u32..4,
            size in 4_u32..20,
        ) {
            let data = lines.concat().into_bytes();
            let bounds = bounds(count, size);
            let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(data.len())).collect();
            ends.push(data.len());
            ends.sort_unstable();
            let mut scan = Scan::new(bounds);
            let pieces = ends.iter().map(|end| scan.look(&data[..*end])).find(|found| *found != Ok(None));
            let alike = |found: Result<Option<usize>, Malformed>| {
                found.map_err(|fault| if fault == Malformed::FieldLine { Malformed::HeadLength } else { fault })
            };
            prop_assert_eq!(alike(pieces.unwrap_or(Ok(None))), alike(look(&data, bounds)));
        }
    }
}
