//! The id that ties a request's traces together: ours, the origin's and the client's.

use std::fmt;

/// A request id: 1 to 128 bytes of `[A-Za-z0-9-_.:+=/]`, so it can stand in headers, JSON and logs as it is.
#[derive(Clone, Copy)]
pub struct RequestId {
    len: u8,
    bytes: [u8; MAX_LEN],
}

impl RequestId {
    /// Takes a client's id, when it is sane.
    pub fn read(value: &[u8]) -> Option<Self> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+=/".contains(byte);
        if value.is_empty() || !value.iter().all(plain) {
            return None;
        }
        let mut bytes = [0; MAX_LEN];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self { len: u8::try_from(value.len()).ok()?, bytes })
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes request ids: 32 hexadecimal digits. One per worker. They are unique, not secret.
#[derive(Debug)]
pub struct RequestIds(fastrand::Rng);

impl RequestIds {
    /// Ids from a seed that differs from worker to worker and from process to process.
    pub fn new() -> Self {
        Self(fastrand::Rng::new())
    }

    /// Another id.
    pub fn make(&mut self) -> RequestId {
        let mut bytes = [0; MAX_LEN];
        let random = self.0.u128(..).to_le_bytes();
        for (pair, byte) in bytes.chunks_exact_mut(2).zip(random) {
            let hex = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            pair.copy_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
        }
        RequestId { len: MADE_LEN, bytes }
    }

    /// The client's id when it sent a sane one, and else another.
    pub fn keep_or_make(&mut self, sent: Option<&[u8]>) -> RequestId {
        sent.and_then(RequestId::read).unwrap_or_else(|| self.make())
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

const MAX_LEN: usize = 128;
const MADE_LEN: u8 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sane_ids_are_kept_and_others_replaced() {
        let mut ids = RequestIds::new();
        assert_eq!(ids.keep_or_make(Some(b"a-Z_0.9:+=/")).as_bytes(), b"a-Z_0.9:+=/");
        let longest = [b'x'; 128];
        assert_eq!(ids.keep_or_make(Some(&longest)).as_bytes(), longest);
        for bad in [&b""[..], b"a b", b"a\r\nX: y", b"\"", b"a,b", &[b'x'; 129], "\u{e9}".as_bytes()] {
            let made = ids.keep_or_make(Some(bad));
            assert_eq!(made.as_bytes().len(), 32, "{bad:?}");
            assert!(made.as_bytes().iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{made:?}");
        }
    }

    #[test]
    fn made_ids_differ() {
        let (mut one, mut other) = (RequestIds::new(), RequestIds::new());
        let mut made: Vec<_> =
            (0..1000).flat_map(|_| [one.make(), other.make()]).map(|id| id.as_str().to_owned()).collect();
        made.sort();
        made.dedup();
        assert_eq!(made.len(), 2000);
    }
}
