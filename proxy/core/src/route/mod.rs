//! Host and path to location.
//!
//! The most specific host that is configured takes the request: the name itself, then a wildcard for its first label,
//! then the routes for every host. No other host is asked after that. Among the paths of the host an exact one comes
//! first, then the longest prefix by segments; where the host is in regex mode, the longest pattern that matches. The
//! host's fallback comes last.

mod pattern;
mod prefixes;

pub use pattern::{Pattern, PatternError};
pub use prefixes::Prefixes;

use std::collections::HashMap;
use std::fmt;

/// A host as routes name it: canonical, see [`crate::canonical::host`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host.
    Name(Box<str>),
    /// Every host that is one label in front of this name: `*.example.com` holds `example.com`.
    Wildcard(Box<str>),
    /// Every host.
    Every,
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Wildcard(name) => write!(f, "*.{name}"),
            Self::Every => f.write_str("*"),
        }
    }
}

/// How a path is compared; the texts are canonical, see [`crate::canonical::path`].
#[derive(Debug)]
pub enum PathMatcher {
    /// The whole path.
    Exact(Box<str>),
    /// By segments, without a slash at the end: empty for `/`.
    Prefix(Box<str>),
    /// A regular expression; only on hosts in regex mode, and there every path is one.
    Pattern(Pattern),
}

/// Routes by host and path.
#[derive(Debug)]
pub struct Routes<T> {
    names: HashMap<Box<str>, HostRoutes<T>>,
    /// By the name without `*.`.
    wildcards: HashMap<Box<str>, HostRoutes<T>>,
    every: HostRoutes<T>,
}

impl<T> Routes<T> {
    /// What takes a request for a canonical host and path.
    #[inline]
    pub fn find(&self, host: &str, path: &str) -> Option<&T> {
        self.host(host).find(path)
    }

    /// All routes, in no order: host, path or pattern as it is compared (`None` for the host's fallback), value.
    pub fn all(&self) -> impl Iterator<Item = (HostPattern, Option<&str>, &T)> {
        let names = self.names.iter().map(|(name, host)| (HostPattern::Name(name.clone()), host));
        let wildcards = self.wildcards.iter().map(|(name, host)| (HostPattern::Wildcard(name.clone()), host));
        let hosts = names.chain(wildcards).chain([(HostPattern::Every, &self.every)]);
        hosts.flat_map(|(host, routes)| routes.all().map(move |(path, value)| (host.clone(), path, value)))
    }

    fn host(&self, host: &str) -> &HostRoutes<T> {
        let wildcard = || match host.split_once('.') {
            Some((label, rest)) if !label.is_empty() && !self.wildcards.is_empty() => {
                self.wildcards.get(rest)
            }
            _ => None,
        };
        self.names.get(host).or_else(wildcard).unwrap_or(&self.every)
    }
}

/// The paths of one host.
#[derive(Debug)]
struct HostRoutes<T> {
    exact: Vec<(Box<str>, T)>,
    prefixes: Prefixes<T>,
    /// Longest pattern first. Not empty only in regex mode, where the two fields above are.
    patterns: Vec<(Pattern, T)>,
    /// Places in `patterns`, ascending, by the text that every match begins with.
    by_literal: Prefixes<Vec<u32>>,
    fallback: Option<T>,
}

impl<T> HostRoutes<T> {
    fn find(&self, path: &str) -> Option<&T> {
        self.exact(path)
            .or_else(|| self.prefixes.longest_by_segment(path.as_bytes()))
            .or_else(|| self.pattern(path))
            .or(self.fallback.as_ref())
    }

    fn all(&self) -> impl Iterator<Item = (Option<&str>, &T)> {
        let exact = self.exact.iter().map(|(path, value)| (Some(&**path), value));
        let prefixes = self.prefixes.iter().map(|(path, value)| (std::str::from_utf8(path).ok(), value));
        let patterns = self.patterns.iter().map(|(pattern, value)| (Some(pattern.as_str()), value));
        let fallback = self.fallback.iter().map(|value| (None, value));
        exact.chain(prefixes).chain(patterns).chain(fallback)
    }

    fn exact(&self, path: &str) -> Option<&T> {
        let at = self.exact.binary_search_by(|(key, _)| (**key).cmp(path)).ok()?;
        self.exact.get(at).map(|(_, value)| value)
    }

    fn pattern(&self, path: &str) -> Option<&T> {
        if self.patterns.is_empty() {
            return None;
        }
        let folded = pattern::fold(path);
        let mut best: Option<(u32, &T)> = None;
        for places in self.by_literal.all_by_byte(folded.as_bytes()) {
            for &place in places {
                if best.is_some_and(|(before, _)| before < place) {
                    break;
                }
                let candidate = usize::try_from(place).ok().and_then(|place| self.patterns.get(place));
                if let Some((pattern, value)) = candidate
                    && pattern.is_match(path)
                {
                    best = Some((place, value));
                    break;
                }
            }
        }
        best.map(|(_, value)| value)
    }
}

/// Routes in the making. Who is added first wins.
#[derive(Debug)]
pub struct RoutesBuilder<T> {
    hosts: HashMap<HostPattern, Draft<T>>,
}

#[derive(Debug)]
struct Draft<T> {
    exact: HashMap<Box<str>, T>,
    prefixes: HashMap<Box<str>, T>,
    patterns: HashMap<Box<str>, (Pattern, T)>,
    fallback: Option<T>,
}

impl<T> RoutesBuilder<T> {
    /// No routes.
    pub fn new() -> Self {
        Self { hosts: HashMap::new() }
    }

    /// Makes a host known. It takes requests from then on, if only to find no path for them.
    pub fn host(&mut self, host: HostPattern) {
        self.draft(host);
    }

    /// Adds a path of a host.
    ///
    /// # Errors
    ///
    /// Whoever has the same path of the host already; they keep it.
    pub fn path(&mut self, host: HostPattern, matcher: PathMatcher, value: T) -> Result<(), &T> {
        let draft = self.draft(host);
        match matcher {
            PathMatcher::Exact(path) => insert(&mut draft.exact, path, value),
            PathMatcher::Prefix(path) => insert(&mut draft.prefixes, path, value),
            PathMatcher::Pattern(pattern) => {
                let text = pattern.as_str().into();
                insert(&mut draft.patterns, text, (pattern, value)).map_err(|(_, holder)| holder)
            }
        }
    }

    /// Adds what takes requests for a host that no path of it takes.
    ///
    /// # Errors
    ///
    /// Whoever is that already; they stay.
    pub fn fallback(&mut self, host: HostPattern, value: T) -> Result<(), &T> {
        let fallback = &mut self.draft(host).fallback;
        if fallback.is_none() {
            *fallback = Some(value);
            return Ok(());
        }
        fallback.as_ref().map_or(Ok(()), Err)
    }

    /// The routes.
    pub fn build(mut self) -> Routes<T> {
        let every = self.hosts.remove(&HostPattern::Every).unwrap_or_else(Draft::new);
        let mut routes = Routes {
            names: HashMap::with_capacity(self.hosts.len()),
            wildcards: HashMap::new(),
            every: every.build(),
        };
        for (host, draft) in self.hosts {
            match host {
                HostPattern::Name(name) => drop(routes.names.insert(name, draft.build())),
                HostPattern::Wildcard(name) => drop(routes.wildcards.insert(name, draft.build())),
                HostPattern::Every => {}
            }
        }
        routes
    }

    fn draft(&mut self, host: HostPattern) -> &mut Draft<T> {
        self.hosts.entry(host).or_insert_with(Draft::new)
    }
}

impl<T> Default for RoutesBuilder<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Draft<T> {
    fn new() -> Self {
        Self { exact: HashMap::new(), prefixes: HashMap::new(), patterns: HashMap::new(), fallback: None }
    }

    fn build(self) -> HostRoutes<T> {
        let mut exact: Vec<_> = self.exact.into_iter().collect();
        exact.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut patterns: Vec<_> = self.patterns.into_values().collect();
        // As ingress-nginx writes its locations: by length, then by text, both descending.
        patterns.sort_unstable_by(|(a, _), (b, _)| {
            (b.as_str().len(), b.as_str()).cmp(&(a.as_str().len(), a.as_str()))
        });
        let mut by_literal: HashMap<Box<[u8]>, Vec<u32>> = HashMap::new();
        for (place, (pattern, _)) in (0..).zip(&patterns) {
            by_literal.entry(pattern.literal().as_bytes().into()).or_default().push(place);
        }
        let segments =
            |(path, value): (Box<str>, T)| ([path.as_bytes(), b"/"].concat().into_boxed_slice(), value);
        HostRoutes {
            exact,
            prefixes: Prefixes::new(self.prefixes.into_iter().map(segments).collect()),
            patterns,
            by_literal: Prefixes::new(by_literal.into_iter().collect()),
            fallback: self.fallback,
        }
    }
}

fn insert<T>(map: &mut HashMap<Box<str>, T>, key: Box<str>, value: T) -> Result<(), &T> {
    use std::collections::hash_map::Entry;
    match map.entry(key) {
        Entry::Vacant(place) => {
            place.insert(value);
            Ok(())
        }
        Entry::Occupied(holder) => Err(holder.into_mut()),
    }
}

#[cfg(test)]
mod tests;
