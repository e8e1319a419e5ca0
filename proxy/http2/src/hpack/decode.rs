//! From a header block to fields: RFC 7541, sections 3.2 and 6.

use super::table::Table;
use super::{Broken, huffman, integer};

/// Reads the header blocks of one direction of a connection, in their order.
///
/// Between two blocks it holds the dynamic table and no more: nothing before the peer adds to it, at most about 5 KiB
/// when it is full.
pub struct Decoder {
    pub(super) table: Table,
}

impl Decoder {
    /// The largest dynamic table in octets as RFC 7541, section 4.1, reckons them: SETTINGS_HEADER_TABLE_SIZE at its
    /// default.
    pub const TABLE_MAX: usize = Table::SIZE_MAX;

    /// A decoder before the first block; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { table: Table::new() }
    }

    /// Reads a whole header block and gives each field in its order to `take(name, value)`.
    ///
    /// It always goes on to the end of the block, to keep the table in step; what to keep is for `take` to say. An
    /// octet of the block can stand for a field of [`TABLE_MAX`](Self::TABLE_MAX) octets, so `take` has to count.
    /// Names and values are any octets at all: which of them HTTP allows is not this layer's matter.
    ///
    /// # Errors
    ///
    /// Any of [`Broken`]. Fields before the fault have been given. The connection is to be closed: further blocks
    /// would be read with a table that is not the peer's.
    pub fn decode(&mut self, block: &[u8], mut take: impl FnMut(&[u8], &[u8])) -> Result<(), Broken> {
        let mut rest = self.resize(block)?;
        let mut scratch = Vec::new();
        while let Some((&first, behind)) = rest.split_first() {
            rest = behind;
            if first & INDEXED != 0 {
                let index = integer::read(first, 7, &mut rest)?;
                let (name, value) = self.table.get(index).ok_or(Broken::BadIndex)?;
                take(name, value);
            } else if first & ADDED != 0 {
                let (name, value) = self.literal(first, 6, &mut rest, &mut scratch)?.of(&scratch);
                take(name, value);
                self.table.add(name, value);
            } else if first & RESIZE != 0 {
                return Err(Broken::BadTableSize);
            } else {
                // Never indexed (0x10) or not indexed this time: for one that passes nothing on it is all the same.
                let (name, value) = self.literal(first, 4, &mut rest, &mut scratch)?.of(&scratch);
                take(name, value);
            }
        }
        Ok(())
    }

    /// Follows the table size updates that begin a block; gives what is behind them.
    fn resize<'a>(&mut self, block: &'a [u8]) -> Result<&'a [u8], Broken> {
        let mut rest = block;
        for _ in 0..RESIZES_MAX {
            match rest.split_first() {
                Some((&first, behind)) if first & !RESIZE_SIZE == RESIZE => {
                    rest = behind;
                    let size = integer::read(first, 5, &mut rest)?;
                    self.table.set_limit(size).map_err(|_| Broken::BadTableSize)?;
                }
                _ => break,
            }
        }
        Ok(rest)
    }

    /// Reads a field that is not indexed, of which only the name may be. `scratch` takes what does not lie in the
    /// block as it is meant.
    #[inline]
    fn literal<'a>(
        &self,
        first: u8,
        prefix: u32,
        rest: &mut &'a [u8],
        scratch: &mut Vec<u8>,
    ) -> Result<Literal<'a>, Broken> {
        scratch.clear();
        let name = match integer::read(first, prefix, rest)? {
            0 => string(rest, scratch)?,
            index => {
                let (name, _) = self.table.get(index).ok_or(Broken::BadIndex)?;
                // The entry may have to go for the new one that takes its name.
                scratch.extend_from_slice(name);
                None
            }
        };
        let name_end = scratch.len();
        let value = string(rest, scratch)?;
        Ok(Literal { name, value, name_end })
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The parts of a field that lie in the block; the others are in the scratch, the name up to `name_end`.
struct Literal<'a> {
    name: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    name_end: usize,
}

impl<'a> Literal<'a> {
    #[inline]
    fn of(&self, scratch: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let (name, value) = scratch.split_at_checked(self.name_end).unwrap_or_default();
        (self.name.unwrap_or(name), self.value.unwrap_or(value))
    }
}

/// The string at the front of `rest`, where it lies if it lies there as it is meant, else appended to `scratch`.
#[inline]
fn string<'a>(rest: &mut &'a [u8], scratch: &mut Vec<u8>) -> Result<Option<&'a [u8]>, Broken> {
    let (&first, behind) = rest.split_first().ok_or(Broken::Truncated)?;
    *rest = behind;
    let length = integer::read(first, 7, rest)?;
    let (octets, behind) = rest.split_at_checked(length).ok_or(Broken::Truncated)?;
    *rest = behind;
    if first & HUFFMAN == 0 {
        return Ok(Some(octets));
    }
    huffman::decode(octets, scratch)?;
    Ok(None)
}

/// An indexed field: index in 7 bits.
const INDEXED: u8 = 0x80;
/// A literal that is added to the table: index of its name in 6 bits.
const ADDED: u8 = 0x40;
/// A table size update: size in 5 bits.
const RESIZE: u8 = 0x20;
const RESIZE_SIZE: u8 = 0x1f;
/// In the first octet of a string: it is in the Huffman code.
const HUFFMAN: u8 = 0x80;
/// The most table size updates in one block: the least size there was, and the one that holds.
const RESIZES_MAX: usize = 2;
