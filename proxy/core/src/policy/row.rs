//! What a table of annotations or ConfigMap keys is made of.

use super::Profile;
use super::value::{self, Invalid, Lines, Note};

/// One name, and everything there is to say about it.
pub struct Row<T: 'static> {
    /// Name, without prefix.
    pub name: &'static str,
    /// Other names, read only if nothing is under the first.
    pub aliases: &'static [&'static str],
    /// Where it stands on the page.
    pub group: Group,
    /// Whether ingress-nginx has it too.
    pub heritage: Heritage,
    /// What is in force when its value is invalid.
    pub on_invalid: OnInvalid,
    /// Whether it is a ConfigMap key as well.
    pub class: ClassDefault,
    /// The version of weir that brought it.
    pub since: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// More, in Markdown; empty if the summary says all.
    pub details: &'static str,
    /// A value that is read without a finding.
    pub good: &'static str,
    /// A value that cannot be read.
    pub bad: &'static str,
    /// Where it goes, and how.
    pub field: Field<T>,
}

impl<T> Row<T> {
    /// Reads `text` into the field.
    ///
    /// # Errors
    ///
    /// If it cannot be read; `target` is unchanged then.
    pub fn read(&self, target: &mut T, text: &str) -> Result<Note, Invalid> {
        value::check(text, self.field.lines)?;
        (self.field.read)(target, text)
    }

    /// As [`read`](Self::read), under a profile: weir takes no negative number for "off" where a protection is meant.
    pub(super) fn read_under(&self, profile: Profile, target: &mut T, text: &str) -> Result<Note, Invalid> {
        let protects = self.on_invalid != OnInvalid::Default;
        // A list may begin with a dash too.
        let is_negative = value::whole(text).is_ok_and(|number| number < 0);
        if protects && profile == Profile::Weir && is_negative {
            return Err(Invalid::Range);
        }
        self.read(target, text)
    }

    /// The text of what is in force; `None` if nothing is.
    pub fn print(&self, target: &T) -> Option<String> {
        (self.field.print)(target)
    }

    /// The form of its values, as it ends the sentence "expected ...".
    pub fn form(&self) -> &'static str {
        self.field.form
    }

    /// Its name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<T> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// A place in `T` and the [`Kind`](value::Kind) of its values; made by `field!`.
pub struct Field<T: 'static> {
    pub(super) form: &'static str,
    pub(super) lines: Lines,
    pub(super) read: fn(&mut T, &str) -> Result<Note, Invalid>,
    pub(super) print: fn(&T) -> Option<String>,
}

/// The field at a path of names, read as a kind.
macro_rules! field {
    ($kind:ty => $($place:ident).+) => {
        $crate::policy::row::Field {
            form: <$kind as $crate::policy::value::Kind>::FORM,
            lines: <$kind as $crate::policy::value::Kind>::LINES,
            read: |target, text| <$kind as $crate::policy::value::Kind>::read(&mut target.$($place).+, text),
            print: |target| <$kind as $crate::policy::value::Kind>::print(&target.$($place).+),
        }
    };
}
pub(super) use field;

/// What a name is about; the order is that of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Rates and concurrency.
    Limits,
    /// What may pass at all.
    Access,
    /// Request bodies and heads.
    Sizes,
    /// The way to the origin.
    Origin,
    /// Which requests belong to the object.
    Routing,
    /// Where client addresses come from, and which headers pass.
    Addresses,
    /// TLS of clients, and redirects to it.
    Tls,
    /// Deadlines and caps of connections.
    Connections,
    /// What is told of requests.
    Logs,
}

impl Group {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::Limits,
        Self::Access,
        Self::Sizes,
        Self::Origin,
        Self::Routing,
        Self::Addresses,
        Self::Tls,
        Self::Connections,
        Self::Logs,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Limits => "Rates and concurrency",
            Self::Access => "Who and what may pass",
            Self::Sizes => "Bodies and heads",
            Self::Origin => "The way to the origin",
            Self::Routing => "Routing",
            Self::Addresses => "Client addresses and headers",
            Self::Tls => "TLS and redirects",
            Self::Connections => "Connections",
            Self::Logs => "Logs",
        }
    }
}

/// Whose name it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heritage {
    /// ingress-nginx has it, with this meaning; it is read under both prefixes.
    IngressNginx,
    /// Only weir has it; it is read under `weir.dev/` alone.
    Weir,
}

/// What is in force when a value is invalid. It is never weaker than what the author of the value can have meant to
/// be safe: no protection is ever off because of a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInvalid {
    /// The class default or the built-in one, which protects.
    Default,
    /// The class default; without one every path of the object answers 503.
    DefaultOrRefuse,
    /// Every path of the object answers 503: a default could let in whom this value shuts out.
    Refuse,
    /// Every path of the object's hosts answers 403: nobody passes by a check that cannot be made.
    Deny,
    /// No header of any peer is believed.
    TrustNobody,
}

impl OnInvalid {
    /// As the pages say it.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Default => "the default is in force",
            Self::DefaultOrRefuse => {
                "the class default is in force; without one every path of the object answers 503"
            }
            Self::Refuse => "every path of the object answers 503",
            Self::Deny => "every path of the object's hosts answers 403",
            Self::TrustNobody => "no header of any peer is believed",
        }
    }
}

/// Whether an annotation has a ConfigMap key of the same name, for the objects that do not say it themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassDefault {
    /// It has.
    Key,
    /// It has not: it only makes sense on an object.
    None,
}

/// The name in `names` that `name` was probably meant to be.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().take(MAX_COMPARED + 1).collect();
    if name.len() > MAX_COMPARED {
        return None;
    }
    let near = (name.len() / 3).clamp(1, MAX_DISTANCE);
    // Names of other lengths are farther away than that; most are.
    let names = names.filter(|known| known.len().abs_diff(name.len()) <= near);
    let distances = names.map(|known| (distance(&name, known), known));
    distances.filter(|(distance, _)| *distance <= near).min().map(|(_, known)| known)
}

/// Insertions, deletions, substitutions and swaps of neighbours between two names (optimal string alignment).
fn distance(name: &[char], known: &str) -> usize {
    let known: Vec<char> = known.chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=name.len()).collect()];
    let cell = |rows: &[Vec<usize>], i: usize, j: usize| {
        rows.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0)
    };
    for (i, letter) in known.iter().enumerate() {
        rows.push(vec![i + 1]);
        for (j, other) in name.iter().enumerate() {
            let substituted = cell(&rows, i, j) + usize::from(letter != other);
            let mut best = substituted.min(cell(&rows, i, j + 1) + 1).min(cell(&rows, i + 1, j) + 1);
            let swapped =
                i > 0 && j > 0 && known.get(i - 1) == Some(other) && name.get(j - 1) == Some(letter);
            if swapped {
                best = best.min(cell(&rows, i - 1, j - 1) + 1);
            }
            if let Some(row) = rows.last_mut() {
                row.push(best);
            }
        }
    }
    cell(&rows, known.len(), name.len())
}

/// Longer names are compared with none: nobody meant them.
const MAX_COMPARED: usize = 64;
/// More edits than this are another word.
const MAX_DISTANCE: usize = 4;
