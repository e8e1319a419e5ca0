//! Header compression: RFC 7541 (HPACK).
//!
//! A [`Decoder`] reads the header blocks of one direction of a connection in their order, an [`Encoder`] writes those
//! of the other. What the two remember differs on purpose: the decoder keeps the dynamic table that the peer fills, at
//! most [`Decoder::TABLE_MAX`] bytes of it; the encoder uses the static table alone and writes strings as they are, so
//! that it remembers nothing and spends the least time.
//!
//! ```
//! use weir_http2::hpack::{Decoder, Encoder};
//!
//! let mut block = Vec::new();
//! let mut encoder = Encoder::new();
//! encoder.begin(&mut block);
//! encoder.status(&mut block, 404);
//! encoder.field(&mut block, b"Content-Length", b"0");
//!
//! let mut fields = Vec::new();
//! Decoder::new().decode(&block, |name, value| fields.push((name.to_vec(), value.to_vec())))?;
//! assert_eq!(fields[0], (b":status".to_vec(), b"404".to_vec()));
//! assert_eq!(fields[1], (b"content-length".to_vec(), b"0".to_vec()));
//! # Ok::<(), weir_http2::hpack::Broken>(())
//! ```

mod decode;
mod encode;
mod huffman;
mod integer;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

pub use decode::Decoder;
pub use encode::Encoder;

/// Why a header block cannot be read: a COMPRESSION_ERROR of the whole connection (RFC 9113, section 4.3), because the
/// dynamic table is out of step from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// An index of zero, or one beyond both tables (RFC 7541, section 2.3.3).
    BadIndex,
    /// A number with more octets than any number of use has (RFC 7541, section 5.1).
    BadInteger,
    /// A string with EOS in it, or with padding that is longer than 7 bits or not all ones (RFC 7541, section 5.2).
    BadHuffman,
    /// A table size update behind a field, above the maximum, or the third in one block (RFC 7541, section 4.2).
    BadTableSize,
    /// The block ends within a field.
    Truncated,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadIndex => "header block: no field has this index",
            Self::BadInteger => "header block: number too long",
            Self::BadHuffman => "header block: string not coded as it must be",
            Self::BadTableSize => "header block: table size update not allowed here",
            Self::Truncated => "header block: ends within a field",
        })
    }
}

impl std::error::Error for Broken {}
