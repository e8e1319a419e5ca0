//! What fields are numbered by: the static table (RFC 7541, appendix A) and a dynamic one (section 2.3.2).

use std::collections::VecDeque;

/// A name and its value.
pub(super) type Field<'a> = (&'a [u8], &'a [u8]);

/// The first index of [`STATIC`] that has this name, written in any case.
pub(super) fn index_of_name(name: &[u8]) -> Option<u8> {
    let slot = slot_of(name)?;
    let &index = NAMES.get(usize::from(slot))?;
    let (found, _) = STATIC.get(usize::from(index).checked_sub(1)?)?;
    found.eq_ignore_ascii_case(name).then_some(index)
}

/// The static table and the dynamic table behind it.
///
/// The octets of the entries lie in one buffer in the order in which they came, the oldest first; entries are dropped
/// from its front by leaving them there until the room is needed.
pub(super) struct Table {
    octets: Vec<u8>,
    /// Where entries are in `octets`, the newest first as their indexes count.
    entries: VecDeque<Entry>,
    /// The size of all entries as RFC 7541, section 4.1, reckons it.
    size: usize,
    /// What `size` may be by the peer's own word: at most [`SIZE_MAX`](Self::SIZE_MAX).
    limit: usize,
}

impl Table {
    /// The largest table, which is the one that every connection begins with (RFC 9113, section 6.5.2).
    pub(super) const SIZE_MAX: usize = 4096;

    /// A table without dynamic entries; allocates nothing.
    pub(super) const fn new() -> Self {
        Self { octets: Vec::new(), entries: VecDeque::new(), size: 0, limit: Self::SIZE_MAX }
    }

    /// The entry of this index, if there is one; the static ones are 1 to 61.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<Field<'_>> {
        let index = index.checked_sub(1)?;
        match index.checked_sub(STATIC.len()) {
            None => STATIC.get(index).copied(),
            Some(dynamic) => {
                let entry = self.entries.get(dynamic)?;
                let (name, octets) =
                    self.octets.get(usize::from(entry.at)..)?.split_at_checked(entry.name.into())?;
                Some((name, octets.get(..entry.value.into())?))
            }
        }
    }

    /// Makes a new first entry, for which others are dropped; one larger than the table leaves it empty, which is no
    /// error (RFC 7541, section 4.4).
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        let octets = name.len() + value.len();
        let size = octets + OVERHEAD;
        if size > self.limit {
            return self.shrink_to(0);
        }
        self.shrink_to(self.limit - size);
        self.make_room(octets);
        // Both fit, for what is not more than `SIZE_MAX` fits.
        let (Ok(at), Ok(name_length), Ok(value_length)) =
            (self.octets.len().try_into(), name.len().try_into(), value.len().try_into())
        else {
            return;
        };
        self.entries.push_front(Entry { at, name: name_length, value: value_length });
        self.octets.extend_from_slice(name);
        self.octets.extend_from_slice(value);
        self.size += size;
    }

    /// Sets the size that the table may have from now on.
    ///
    /// # Errors
    ///
    /// If it is above [`SIZE_MAX`](Self::SIZE_MAX).
    pub(super) fn set_limit(&mut self, limit: usize) -> Result<(), TooLarge> {
        if limit > Self::SIZE_MAX {
            return Err(TooLarge);
        }
        self.limit = limit;
        self.shrink_to(limit);
        Ok(())
    }

    /// Drops the oldest entries until the rest is at most `size`.
    fn shrink_to(&mut self, size: usize) {
        while self.size > size
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= oldest.size();
        }
    }

    /// Sees to it that `octets` more can be appended to the buffer, which never becomes larger than `SIZE_MAX`.
    fn make_room(&mut self, octets: usize) {
        if self.octets.capacity() - self.octets.len() >= octets {
            return;
        }
        let dropped = self.entries.back().map_or(self.octets.len(), |oldest| oldest.at.into());
        self.octets.drain(..dropped);
        for entry in &mut self.entries {
            entry.at -= dropped as u16;
        }
        let needed = self.octets.len() + octets;
        if needed > self.octets.capacity() {
            let capacity = needed.next_power_of_two().max(CAPACITY_FIRST);
            self.octets.reserve_exact(capacity - self.octets.len());
        }
    }

    /// The size of all dynamic entries, their number, and the bytes of memory held for them.
    #[cfg(test)]
    pub(super) fn measures(&self) -> (usize, usize, usize) {
        let held = self.octets.capacity() + self.entries.capacity() * size_of::<Entry>();
        (self.size, self.entries.len(), held)
    }
}

/// A size above [`Table::SIZE_MAX`].
#[derive(Debug)]
pub(super) struct TooLarge;

/// Where an entry begins in the buffer, and the lengths of its name and of its value behind it.
struct Entry {
    at: u16,
    name: u16,
    value: u16,
}

impl Entry {
    fn size(&self) -> usize {
        usize::from(self.name) + usize::from(self.value) + OVERHEAD
    }
}

/// Where a name is in [`NAMES`] if it is anywhere: no two of the static names share a slot.
const fn slot_of(name: &[u8]) -> Option<u8> {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return None };
    let letters = (first | CASE).wrapping_mul(10).wrapping_add((last | CASE).wrapping_mul(4));
    Some(letters.wrapping_add(name.len() as u8))
}

const fn names() -> [u8; 256] {
    let mut names = [0; 256];
    // From the end, so that the first of several entries with one name stays.
    let mut index = STATIC.len();
    while index > 0 {
        if let Some(slot) = slot_of(STATIC[index - 1].0) {
            names[slot as usize] = index as u8;
        }
        index -= 1;
    }
    names
}

/// What an entry counts for beyond its octets (RFC 7541, section 4.1).
const OVERHEAD: usize = 32;
/// The buffer's first capacity; most connections stay within four times as much.
const CAPACITY_FIRST: usize = 256;
/// The bit that a small letter has and a capital has not.
const CASE: u8 = 0x20;

/// The index of a static name by its slot; 0 where there is none.
static NAMES: [u8; 256] = names();

/// The static table: index 1 is its first row.
pub(super) const STATIC: [Field<'static>; 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];
