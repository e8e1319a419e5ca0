//! The longest of many prefixes.

use std::cmp::Ordering;
use std::iter;

/// Values by prefix, for finding the longest prefix of a text.
///
/// Sorted, each entry knowing the longest other entry that is a prefix of it. The greatest entry that is not greater
/// than a text begins with every entry that is a prefix of the text, so one binary search and a climb find them all,
/// whatever the entries are.
#[derive(Debug)]
pub struct Prefixes<T> {
    entries: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    key: Box<[u8]>,
    parent: Option<usize>,
    value: T,
}

impl<T> Prefixes<T> {
    /// Of equal prefixes the first is kept. Prefixes for [`longest_by_segment`](Self::longest_by_segment) end in `/`.
    pub fn new(mut values: Vec<(Box<[u8]>, T)>) -> Self {
        values.sort_by(|(a, _), (b, _)| a.cmp(b));
        values.dedup_by(|(a, _), (b, _)| a == b);
        let mut entries: Vec<Entry<T>> = Vec::with_capacity(values.len());
        for (key, value) in values {
            let mut parent = entries.len().checked_sub(1);
            while let Some(entry) = parent.and_then(|at| entries.get(at)) {
                if key.starts_with(&entry.key) {
                    break;
                }
                parent = entry.parent;
            }
            entries.push(Entry { key, parent, value });
        }
        Self { entries }
    }

    /// Prefixes by segment, written without the slash at the end (empty for `/`), in any order.
    pub fn by_segment(values: impl IntoIterator<Item = (impl AsRef<str>, T)>) -> Self {
        let key = |path: &str| [path.trim_end_matches('/').as_bytes(), b"/"].concat().into_boxed_slice();
        Self::new(values.into_iter().map(|(path, value)| (key(path.as_ref()), value)).collect())
    }

    /// The value of the longest prefix of a path, by segments: `/a/` is one of `/a` and `/a/b`, not of `/ab`.
    #[inline]
    pub fn longest_by_segment(&self, path: &[u8]) -> Option<&T> {
        let end = if path.ends_with(b"/") { End::Here } else { End::Slash };
        self.climb(path, end).next()
    }

    /// The values of all prefixes of a text, the longest first.
    pub fn all_by_byte(&self, text: &[u8]) -> impl Iterator<Item = &T> {
        self.climb(text, End::Here)
    }

    /// All prefixes and their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &T)> {
        self.entries.iter().map(|entry| (&*entry.key, &entry.value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn climb(&self, text: &[u8], end: End) -> impl Iterator<Item = &T> {
        let after = self.entries.partition_point(|entry| end.compare(&entry.key, text) != Ordering::Greater);
        let mut at = after.checked_sub(1);
        let common = at.and_then(|at| self.entries.get(at)).map_or(0, |entry| end.common(&entry.key, text));
        iter::from_fn(move || {
            loop {
                let entry = self.entries.get(at?)?;
                at = entry.parent;
                if entry.key.len() <= common {
                    return Some(&entry.value);
                }
            }
        })
    }
}

/// What stands behind the text that is looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing.
    Here,
    /// One more slash, which need not be copied to it.
    Slash,
}

impl End {
    fn compare(self, key: &[u8], text: &[u8]) -> Ordering {
        match (self, key.split_at_checked(text.len())) {
            (Self::Slash, Some((head, tail))) => head.cmp(text).then_with(|| tail.cmp(b"/".as_slice())),
            _ => key.cmp(text),
        }
    }

    /// How many bytes the two begin with alike.
    fn common(self, key: &[u8], text: &[u8]) -> usize {
        let common = key.iter().zip(text).take_while(|(a, b)| a == b).count();
        if self == Self::Slash && common == text.len() && key.get(common) == Some(&b'/') {
            return common + 1;
        }
        common
    }
}
