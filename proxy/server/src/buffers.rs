//! Buffers that a worker lends to the requests it is busy with. An idle connection holds none.

use crate::lane::wire::Buffer;
use std::cell::RefCell;

/// An empty buffer.
pub fn take() -> Buffer {
    HEADS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives a buffer back; what it held is dropped.
pub fn give(mut buffer: Buffer) {
    buffer.reset();
    HEADS.with_borrow_mut(|free| keep(free, buffer));
}

/// A large block for bodies in transit; its contents are what an earlier user left.
pub fn take_block() -> Box<[u8]> {
    BLOCKS.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; BLOCK].into_boxed_slice())
}

/// Gives a block back.
pub fn give_block(block: Box<[u8]>) {
    BLOCKS.with_borrow_mut(|free| keep(free, block));
}

/// Lends a block to `borrower`, which waits for nothing.
pub fn with_block<T>(borrower: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut block = take_block();
    let returned = borrower(&mut block);
    give_block(block);
    returned
}

/// An empty scratch space for text.
pub fn take_text() -> Vec<u8> {
    TEXTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(TEXT))
}

/// Gives scratch space back.
pub fn give_text(mut text: Vec<u8>) {
    // One that has grown to hold something unusual is not worth keeping.
    if text.capacity() <= TEXT * 4 {
        text.clear();
        TEXTS.with_borrow_mut(|free| keep(free, text));
    }
}

fn keep<T>(free: &mut Vec<T>, item: T) {
    if free.len() < KEPT {
        free.push(item);
    }
}

/// Most free buffers of a kind that a worker keeps.
const KEPT: usize = 256;
/// Bytes of a block: large enough that a system call's price is spread thin, small enough for the cache.
const BLOCK: usize = 64 * 1024;
/// Bytes of a scratch space to begin with.
const TEXT: usize = 1024;

thread_local! {
    static HEADS: RefCell<Vec<Buffer>> = const { RefCell::new(Vec::new()) };
    static BLOCKS: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static TEXTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}
