//! What waits to be written to the peer.

use std::cell::RefCell;

/// Bytes in the order in which they are to be written. While there are none it holds no memory.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    written: usize,
}

impl Output {
    /// The end, to append whole frames.
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(FIRST));
        }
        &mut self.bytes
    }

    /// What was not written yet.
    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Another `count` bytes of [`rest`](Self::rest) were written.
    pub(crate) fn wrote(&mut self, count: usize) {
        self.written = self.written.saturating_add(count);
        if self.written >= self.bytes.len() {
            let mut bytes = std::mem::take(&mut self.bytes);
            self.written = 0;
            bytes.clear();
            give_back(bytes);
        } else if self.written >= SHIFT {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}

/// What is of common size goes to the next connection of this thread that has something to say.
fn give_back(bytes: Vec<u8>) {
    if (FIRST..=SPARE_BYTES).contains(&bytes.capacity()) {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < SPARES {
                spare.push(bytes);
            }
        });
    }
}

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes to begin with.
const FIRST: usize = 4 * 1024;
/// Buffers that a thread keeps, and the largest of them.
const SPARES: usize = 16;
const SPARE_BYTES: usize = 128 * 1024;
/// Written bytes that are worth moving the rest for.
const SHIFT: usize = 64 * 1024;
