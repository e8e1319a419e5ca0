//! An ordered open-addressing map from keys to a few words, in one block of memory that never grows.
//!
//! Linear probing with the cells of each run kept in the order of their keys, the largest first. As the home of a key
//! is its share of the key range, from the other end, homes are in that order too. What this buys: a search ends at
//! the first smaller key, so a miss costs no more than a hit, and a free place, whose key is zero, ends it like any
//! other; nothing wraps around; removal moves the rest of the run back by one and leaves no tombstones, so there is
//! never anything to rebuild. The block comes zeroed and untouched from the allocator, and pages become resident only
//! as cells are used.

/// A key, never zero, and `N - 1` words. All zeros: free.
pub(crate) type Cell<const N: usize> = [u64; N];

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Insert {
    /// It took a free place.
    Add,
    /// It took the place of a cell that was no longer needed.
    Replace,
    /// There is no place for it.
    Reject,
}

/// Whether the hand leaves a cell where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweep {
    Keep,
    Remove,
}

/// Up to `capacity` cells of `N` words.
pub(crate) struct Slots<const N: usize> {
    cells: Box<[Cell<N>]>,
    /// The first so many places are homes; the rest is for the last run, and its last place stays free.
    homes: usize,
    held: usize,
    capacity: usize,
    /// Where the next sweep begins.
    hand: usize,
}

impl<const N: usize> Slots<N> {
    /// Room for `capacity` cells, at most 3/4 of the places that are homes.
    pub(crate) fn new(capacity: usize) -> Self {
        let homes = capacity.saturating_mul(4).div_ceil(3).max(1);
        let cells = vec![[0; N]; homes.saturating_add(TAIL)].into_boxed_slice();
        Self { cells, homes, held: 0, capacity, hand: 0 }
    }

    /// Where the key is, or where it would be.
    #[inline]
    pub(crate) fn find(&self, key: u64) -> Result<usize, usize> {
        let home = self.home(key);
        let run = self.cells.get(home..).unwrap_or_default();
        let steps = run.iter().take_while(|cell| cell[0] > key).count();
        match run.get(steps) {
            Some(cell) if cell[0] == key => Ok(home + steps),
            _ => Err(home + steps),
        }
    }

    /// The words behind the key, if it is among the first few places from its home, as nearly all are.
    ///
    /// These are counted, not searched, so that no branch depends on what is in them, and as little as can be has to
    /// wait for cells that are not in the cache: what waits keeps the next decision from beginning (BENCHES.md).
    #[inline(always)]
    pub(crate) fn find_near(&mut self, key: u64) -> Option<&mut Cell<N>> {
        let home = self.home(key);
        let near = self.cells.get_mut(home..)?.first_chunk_mut::<NEAR>()?;
        let steps: usize = near.iter().map(|cell| usize::from(cell[0] > key)).sum();
        near.get_mut(steps).filter(|cell| cell[0] == key)
    }

    /// The cell at a place that [`find`](Self::find) gave; valid until the next insertion or removal.
    #[inline]
    pub(crate) fn cell(&self, at: usize) -> &Cell<N> {
        &self.cells[at]
    }

    /// As [`cell`](Self::cell), to change the words behind the key.
    #[inline]
    pub(crate) fn cell_mut(&mut self, at: usize) -> &mut Cell<N> {
        &mut self.cells[at]
    }

    /// Inserts a cell whose key is not in the map, in place of one on its way that `is_spare` if there is one.
    ///
    /// Looks at the run that the key belongs to and no further.
    pub(crate) fn insert(&mut self, cell: Cell<N>, is_spare: impl Fn(&Cell<N>) -> bool) -> Insert {
        let home = self.home(cell[0]);
        let at = match self.find(cell[0]) {
            Ok(at) | Err(at) => at,
        };
        // A spare one before: those between move back by one, to no less than the home of the newcomer, which is no
        // less than theirs.
        let before = self.cells.get(home..at).unwrap_or_default();
        if let Some(steps) = before.iter().rposition(&is_spare) {
            self.cells.copy_within(home + steps + 1..at, home + steps);
            self.put(at - 1, cell);
            return Insert::Replace;
        }
        // A spare or free one from there on: those between make room.
        let after = self.cells.get(at..self.cells.len() - 1).unwrap_or_default();
        let Some(steps) = after.iter().position(|cell| cell[0] == 0 || is_spare(cell)) else {
            return Insert::Reject;
        };
        let end = at + steps;
        let free = self.cells.get(end).is_some_and(|cell| cell[0] == 0);
        if free && self.held >= self.capacity {
            return Insert::Reject;
        }
        self.cells.copy_within(at..end, at + 1);
        self.put(at, cell);
        if free {
            self.held += 1;
            Insert::Add
        } else {
            Insert::Replace
        }
    }

    /// Removes the cell at a place that [`find`](Self::find) gave.
    pub(crate) fn remove(&mut self, at: usize) {
        let after = self.cells.get(at + 1..).unwrap_or_default();
        // The run ends at a free cell, and before a cell that is at home.
        let ends = |(steps, cell): (usize, &Cell<N>)| cell[0] == 0 || self.home(cell[0]) == at + 1 + steps;
        let length = after.iter().enumerate().position(ends).unwrap_or(0);
        self.cells.copy_within(at + 1..at + 1 + length, at);
        self.put(at + length, [0; N]);
        self.held = self.held.saturating_sub(1);
    }

    /// Moves the hand over the next `steps` places, removing the cells that `judge` says; how many it removed.
    pub(crate) fn sweep(&mut self, steps: usize, mut judge: impl FnMut(&mut Cell<N>) -> Sweep) -> usize {
        let mut removed = 0;
        for _ in 0..steps {
            let Some(cell) = self.cells.get_mut(self.hand) else {
                self.hand = 0;
                continue;
            };
            if cell[0] != 0 && judge(cell) == Sweep::Remove {
                // The next one may have moved here, so the hand stays.
                self.remove(self.hand);
                removed += 1;
            } else {
                self.hand += 1;
            }
        }
        removed
    }

    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes of the block, resident or not.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.cells)
    }

    /// The key's share of the key range, from its end, in places: the larger the key, the earlier its home.
    #[inline]
    fn home(&self, key: u64) -> usize {
        ((u128::from(!key) * self.homes as u128) >> 64) as usize
    }

    fn put(&mut self, at: usize, cell: Cell<N>) {
        if let Some(place) = self.cells.get_mut(at) {
            *place = cell;
        }
    }
}

/// At a load of 3/4 nine in ten cells are among the first so many places from home.
const NEAR: usize = 4;

/// Places behind the last home. At a load of 3/4 a run reaches that far beyond its last home with a probability of
/// about e^-34; should it, the newcomer is rejected as if the map were full.
const TAIL: usize = 64;

#[cfg(test)]
mod tests;
