//! From fields to a header block: RFC 7541, section 6.

use super::{integer, table};

/// Writes the header blocks of one direction of a connection, in their order.
///
/// It adds nothing to the peer's dynamic table, and writes strings as they are: a name of the static table is one octet
/// or two, a value costs a copy.
pub struct Encoder {
    begun: bool,
}

impl Encoder {
    /// An encoder before the first block.
    #[must_use]
    pub const fn new() -> Self {
        Self { begun: false }
    }

    /// Begins a header block at the end of `out`.
    ///
    /// The first one says that the dynamic table has no room. No SETTINGS_HEADER_TABLE_SIZE that the peer sends then or
    /// later is less than that, so nothing has ever to be said again (RFC 7541, section 4.2).
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            out.push(NO_TABLE);
        }
    }

    /// Appends `:status`, which is the first field of a response; `status` is from 100 to 999.
    pub fn status(&self, out: &mut Vec<u8>, status: u16) {
        let index = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let digit = |unit: u16| b'0' + (status / unit % 10) as u8;
                return out.extend_from_slice(&[STATUS, 3, digit(100), digit(10), digit(1)]);
            }
        };
        out.push(INDEXED | index);
    }

    /// Appends a field whose `name`, in any case, is written in lower case.
    ///
    /// Fields with secrets are marked never to be indexed, so that no one who passes them on puts them into a table
    /// where they could be guessed (RFC 7541, section 7.1.3).
    pub fn field(&self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        out.reserve(name.len() + value.len() + LENGTHS_MAX);
        if let Some(index) = table::index_of_name(name) {
            let pattern = if SECRET_INDEXES.contains(&index) { NEVER_INDEXED } else { NOT_INDEXED };
            integer::write(out, pattern, 4, index.into());
        } else {
            let secret = SECRET_NAMES.iter().any(|secret| secret.eq_ignore_ascii_case(name));
            out.push(if secret { NEVER_INDEXED } else { NOT_INDEXED });
            integer::write(out, PLAIN, 7, name.len());
            out.extend(name.iter().map(u8::to_ascii_lowercase));
        }
        integer::write(out, PLAIN, 7, value.len());
        out.extend_from_slice(value);
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// An indexed field: index in 7 bits.
const INDEXED: u8 = 0x80;
/// A literal that no one adds to a table: index of its name in 4 bits.
const NOT_INDEXED: u8 = 0;
/// A literal that no one adds to a table who passes it on either: index of its name in 4 bits.
const NEVER_INDEXED: u8 = 0x10;
/// A literal `:status`.
const STATUS: u8 = NOT_INDEXED | 8;
/// A string that is not in the Huffman code: length in 7 bits.
const PLAIN: u8 = 0;
/// A table size update to zero.
const NO_TABLE: u8 = 0x20;
/// More octets than the first one and the lengths of a field's strings have, as long as these are of any use.
const LENGTHS_MAX: usize = 12;
/// Static names whose values are secrets or made from them: authorization, cookie, proxy-authenticate,
/// proxy-authorization, set-cookie, www-authenticate.
const SECRET_INDEXES: [u8; 6] = [23, 32, 48, 49, 55, 61];
/// The same of other names.
const SECRET_NAMES: [&[u8]; 4] =
    [b"authentication-info", b"proxy-authentication-info", b"x-api-key", b"x-auth-token"];
