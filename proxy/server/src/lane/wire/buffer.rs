/// Free bytes kept in front of what is read, so that a head can grow without its body moving.
pub const ROOM: usize = 1024;

/// Bytes that can be read: the largest head, and the largest head and body together, that the lane takes.
pub const CAP: usize = 16 * 1024;

/// A read buffer of fixed size: one allocation of [`ROOM`] + [`CAP`] bytes that never grows.
///
/// Bytes are received into [`spare`](Self::spare) and acknowledged with [`advance`](Self::advance); they are
/// looked at through [`data`](Self::data) and dropped from the front with [`consume`](Self::consume).
/// Every method is total: counts that are too large are cut down to what is there.
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize, // start <= end <= bytes.len(), always
    end: usize,
}

impl Buffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self { bytes: vec![0; ROOM + CAP].into_boxed_slice(), start: ROOM, end: ROOM }
    }

    /// What was received and not yet consumed.
    pub fn data(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// The free bytes at the back, to be received into. Empty when the buffer is full.
    pub fn spare(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Takes note that `n` bytes of [`spare`](Self::spare) now hold data.
    pub fn advance(&mut self, n: usize) {
        self.end = self.end.saturating_add(n).min(self.bytes.len());
    }

    /// Drops the first `n` bytes of [`data`](Self::data). When none are left the whole space is free again.
    pub fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
        if self.is_empty() {
            self.reset();
        }
    }

    /// Moves the data so that [`ROOM`] bytes are free in front of it and all other free bytes are behind it.
    ///
    /// Needed when the start of a pipelined request, left over behind its predecessor, is to be completed.
    /// Data that an edit has grown into the room stays where it is.
    pub fn compact(&mut self) {
        if self.start > ROOM {
            let len = self.end - self.start;
            self.bytes.copy_within(self.start..self.end, ROOM);
            self.start = ROOM;
            self.end = ROOM + len;
        }
    }

    /// Drops everything.
    pub fn reset(&mut self) {
        self.start = ROOM;
        self.end = ROOM;
    }

    /// True when there is no data.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Free bytes in front of the data.
    pub fn room(&self) -> usize {
        self.start
    }

    /// The whole allocation and the offset of the first data byte, for edits in place.
    pub(super) fn parts(&mut self) -> (&mut [u8], usize, usize) {
        (&mut self.bytes, self.start, self.end)
    }

    /// Sets where the data starts, after bytes in front of its end were rearranged.
    pub(super) fn set_start(&mut self, start: usize) {
        self.start = start.min(self.end);
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Buffer {
    /// Shows sizes only: the bytes may hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("start", &self.start).field("len", &self.data().len()).finish()
    }
}
