/// A range of bytes within a head, as offsets from its first byte.
///
/// Heads are at most [`CAP`](super::CAP) bytes, so 16 bits are enough. A span stays meaningful only as long as
/// the bytes it was made from have not been edited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// The range from `start` (included) to `end` (excluded); an `end` before `start` makes it empty.
    pub fn new(start: u16, end: u16) -> Self {
        Self { start, end: end.max(start) }
    }

    /// Offset of the first byte.
    pub fn start(self) -> usize {
        usize::from(self.start)
    }

    /// Offset behind the last byte.
    pub fn end(self) -> usize {
        usize::from(self.end)
    }

    /// Number of bytes.
    pub fn len(self) -> usize {
        usize::from(self.end.saturating_sub(self.start))
    }

    /// True for a range of no bytes.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// The bytes of this range in `data`; empty if `data` is shorter than the head the span came from.
    pub fn of(self, data: &[u8]) -> &[u8] {
        data.get(self.start()..self.end()).unwrap_or_default()
    }

    /// The text of this range in `data`; empty if it is not UTF-8.
    pub fn text(self, data: &[u8]) -> &str {
        std::str::from_utf8(self.of(data)).unwrap_or_default()
    }

    /// From the start of this range to the end of `later`.
    pub(super) fn to(self, later: Self) -> Self {
        Self::new(self.start, later.end)
    }

    /// The first `n` bytes of this range, and the others.
    pub(super) fn split(self, n: usize) -> (Self, Self) {
        let middle = self.start.saturating_add(n.try_into().unwrap_or(u16::MAX)).min(self.end);
        (Self::new(self.start, middle), Self::new(middle, self.end))
    }

    /// This range without its first `n` bytes.
    pub(super) fn skip(self, n: usize) -> Self {
        self.split(n).1
    }

    /// Where `part`, a slice taken from `data`, lies in it. `None` if it is not within the first 64 KiB of it.
    pub(super) fn locate(data: &[u8], part: &[u8]) -> Option<Self> {
        let start = (part.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        let end = start.checked_add(part.len())?;
        if end > data.len() {
            return None;
        }
        Some(Self { start: start.try_into().ok()?, end: end.try_into().ok()? })
    }
}
