use super::{Buffer, Span};

/// Ranges to cut out of a head, kept in the order of the head, and what else changes in it.
///
/// Made by [`RequestHead::edits`](super::RequestHead::edits) and
/// [`ResponseHead::edits`](super::ResponseHead::edits), which know the head; [`apply`](Self::apply) carries
/// them out in the buffer that holds this head at the front of its data.
#[derive(Clone, Copy, Debug)]
pub struct Edits {
    first_line: Span, // with its CRLF; starts at 0
    head: usize,      // length of the head with the empty line
    count: u8,
    version: Version,
    cuts: [Span; MAX_CUTS],
}

/// Why edits could not be made. The buffer is then as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EditError {
    /// More than 32 separate ranges.
    #[error("too many ranges to cut")]
    TooMany,
    /// A range in front of an earlier one, or outside the header fields.
    #[error("ranges overlap or leave the header fields")]
    Range,
    /// What is inserted is larger than what is cut and the room in front of the data together.
    #[error("no room for the inserted bytes")]
    NoRoom,
    /// The buffer holds less than the head that the edits were made for.
    #[error("the buffer does not hold the head")]
    NoHead,
}

impl Edits {
    /// No edits yet, for a head of `head` bytes that begins with `first_line`.
    pub(super) fn new(first_line: Span, head: usize) -> Self {
        Self { first_line, head, count: 0, version: Version::Keep, cuts: [Span::default(); MAX_CUTS] }
    }

    /// Cuts `range`. Ranges are given in ascending order; neighbours melt into one.
    pub fn cut(&mut self, range: Span) -> Result<(), EditError> {
        if range.is_empty() {
            return Ok(());
        }
        let count = usize::from(self.count);
        let mut last = count.checked_sub(1).and_then(|i| self.cuts.get_mut(i));
        let earliest = last.as_deref().unwrap_or(&self.first_line).end();
        // The empty line that ends the head cannot be cut.
        if range.start() < earliest || range.end() + 2 > self.head {
            return Err(EditError::Range);
        }
        match &mut last {
            Some(last) if last.end() == range.start() => **last = last.to(range),
            _ => {
                *self.cuts.get_mut(count).ok_or(EditError::TooMany)? = range;
                self.count += 1;
            }
        }
        Ok(())
    }

    /// Writes `HTTP/1.1` into a status line that says `HTTP/1.0`: an intermediary sends its own version
    /// (RFC 9110, section 2.5).
    pub(super) fn send_as_http11(&mut self) {
        self.version = Version::Http11;
    }

    /// Length of the first line with its CRLF.
    pub fn first_line(&self) -> usize {
        self.first_line.end()
    }

    /// Length of the head after these edits and with `inserted` more bytes.
    pub fn head_after(&self, inserted: usize) -> usize {
        self.head.saturating_sub(self.cut_bytes()).saturating_add(inserted)
    }

    /// Cuts the ranges and inserts the pieces of `insert`, in their order, behind the first line.
    ///
    /// Only bytes in front of the last edit move, each once; the body stays where it is. Returns the new length
    /// of the head. Everything is checked first: after an error the buffer is unchanged. Spans into the old
    /// head are void afterwards.
    pub fn apply(&self, buffer: &mut Buffer, insert: &[&[u8]]) -> Result<usize, EditError> {
        let inserted = insert.iter().fold(0usize, |sum, piece| sum.saturating_add(piece.len()));
        let (bytes, start, end) = buffer.parts();
        if end - start < self.head {
            return Err(EditError::NoHead);
        }
        let new_start = (start + self.cut_bytes()).checked_sub(inserted).ok_or(EditError::NoRoom)?;

        if self.version == Version::Http11
            && let Some(minor) = bytes.get_mut(start + MINOR_VERSION)
        {
            *minor = b'1';
        }
        // From the back: what stands between two cuts moves up to the end of the later one.
        let cuts = self.cuts.get(..usize::from(self.count)).unwrap_or_default();
        let mut to = start + cuts.last().unwrap_or(&self.first_line).end();
        for (i, cut) in cuts.iter().enumerate().rev() {
            let from = i.checked_sub(1).and_then(|i| cuts.get(i)).unwrap_or(&self.first_line).end();
            let kept = cut.start() - from;
            bytes.copy_within(start + from..start + cut.start(), to - kept);
            to -= kept;
        }
        // The first line goes before the inserted bytes are written: they may come to lie where it was.
        bytes.copy_within(start..start + self.first_line(), new_start);
        let gap = bytes.get_mut(new_start + self.first_line()..to).unwrap_or_default();
        fill(gap, insert);
        buffer.set_start(new_start);
        Ok(self.head_after(inserted))
    }

    fn cut_bytes(&self) -> usize {
        self.cuts.iter().take(usize::from(self.count)).map(|cut| cut.len()).sum()
    }
}

/// Copies the pieces one behind the other; the gap was measured for them.
fn fill(mut gap: &mut [u8], pieces: &[&[u8]]) {
    for piece in pieces {
        let Some((here, rest)) = gap.split_at_mut_checked(piece.len()) else { return };
        here.copy_from_slice(piece);
        gap = rest;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    Keep,
    Http11,
}

/// Enough for every marked field of a request to stand alone, with some to spare.
const MAX_CUTS: usize = 32;

/// Offset of the minor version digit in a status line.
const MINOR_VERSION: usize = "HTTP/1.".len();
