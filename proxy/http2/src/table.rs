//! The streams of a connection.

use crate::error::Gone;
use bytes::BytesMut;
use std::collections::VecDeque;
use std::task::{Context, Waker};

/// One stream, as long as it is open or its [`Stream`](crate::Stream) exists.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u32,
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
    pub(crate) gone: Option<Gone>,
    /// What came of the body and was not read.
    pub(crate) body: BytesMut,
    /// Bytes of the body that came and were not released.
    pub(crate) held: u32,
    /// Bytes of the body that were released since the peer was told of it.
    pub(crate) released: u32,
    /// Bytes that the peer may send.
    pub(crate) window_in: i64,
    /// Bytes that we may send; below 0 after the peer has made it smaller.
    pub(crate) window_out: i64,
    /// Bytes of the body to come, where its length was said.
    pub(crate) declared: Option<u64>,
    /// The rest of the response, where nobody waits for it to be sent.
    pub(crate) last: Vec<u8>,
    pub(crate) owner: Owner,
    pub(crate) waiting: bool,
    pub(crate) waker: Option<Waker>,
}

/// How far what the peer sends is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Open,
    Ended,
}

/// How far what we send is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// The head was not sent.
    Due,
    Begun,
    Ended,
}

/// Who looks after a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A [`Stream`](crate::Stream), now or once it is taken up.
    Handle,
    /// Nobody: it ends with its last byte.
    Nobody,
}

impl Entry {
    pub(crate) fn new(id: u32, ended: bool, declared: Option<u64>, windows: (u32, i64)) -> Self {
        Self {
            id,
            incoming: if ended { Incoming::Ended } else { Incoming::Open },
            outgoing: Outgoing::Due,
            gone: None,
            body: BytesMut::new(),
            held: 0,
            released: 0,
            window_in: windows.0.into(),
            window_out: windows.1,
            declared,
            last: Vec::new(),
            owner: Owner::Handle,
            waiting: false,
            waker: None,
        }
    }

    /// Whether it counts as one of the streams that a peer may have at once (RFC 9113 section 5.1.2).
    pub(crate) fn is_open(&self) -> bool {
        self.gone.is_none() && (self.incoming, self.outgoing) != (Incoming::Ended, Outgoing::Ended)
    }

    /// Remembers whom to wake; there is one task for a stream.
    pub(crate) fn watch(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    pub(crate) fn wake(&mut self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    pub(crate) fn go(&mut self, gone: Gone) {
        if self.gone.is_none() {
            self.gone = Some(gone);
            self.body = BytesMut::new();
            self.last = Vec::new();
        }
        self.wake();
    }
}

/// All streams of a connection, by their numbers, which only grow.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Entry>,
    last: u32,
    /// How many numbers were used up to that.
    used: u32,
    /// Streams that we have reset and whose late frames are put up with.
    reset: VecDeque<u32>,
}

/// What a number of a stream stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was never used.
    Idle,
    Here,
    /// We have reset it; the peer may not know yet.
    Reset,
    Closed,
    /// It was used and is over, or it never was and never will be, as a higher one was (RFC 9113 section 5.1.1).
    Passed,
}

impl Table {
    pub(crate) fn known(&self, id: u32) -> Known {
        if id > self.last || id.is_multiple_of(2) {
            Known::Idle
        } else if self.place(id).is_ok() {
            Known::Here
        } else if self.reset.contains(&id) {
            Known::Reset
        } else if self.used > self.last / 2 {
            Known::Closed
        } else {
            Known::Passed
        }
    }

    /// The highest number in use.
    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    pub(crate) fn open_count(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_open()).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    /// Uses a number that is higher than all before.
    pub(crate) fn use_up(&mut self, id: u32) {
        if id > self.last {
            self.last = id;
            self.used = self.used.saturating_add(1);
        }
    }

    pub(crate) fn add(&mut self, entry: Entry) {
        self.use_up(entry.id);
        self.entries.push(entry);
    }

    pub(crate) fn get(&mut self, id: u32) -> Option<&mut Entry> {
        let place = self.place(id).ok()?;
        self.entries.get_mut(place)
    }

    pub(crate) fn peek(&self, id: u32) -> Option<&Entry> {
        self.entries.get(self.place(id).ok()?)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<Entry> {
        let place = self.place(id).ok()?;
        let entry = self.entries.remove(place);
        if self.entries.is_empty() {
            self.entries = Vec::new();
        }
        Some(entry)
    }

    /// Late frames of this stream are put up with.
    pub(crate) fn excuse(&mut self, id: u32) {
        if self.reset.len() >= RESETS_REMEMBERED {
            self.reset.pop_front();
        }
        self.reset.push_back(id);
    }

    fn place(&self, id: u32) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.id)
    }
}

/// Streams that we have reset and whose late frames are still put up with.
const RESETS_REMEMBERED: usize = 256;
