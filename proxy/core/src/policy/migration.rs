//! The lists of `docs/migrate-from-ingress-nginx.md`: what of ingress-nginx works, what does not yet, and what never will.

use super::annotations::ANNOTATIONS;
use super::configmap::{self, is_class_default};
use super::row::Heritage;
use super::unsupported::{self, Consequence, Unsupported};

/// Annotations, between the headings of the page.
#[must_use]
pub fn annotations() -> String {
    let rows = ANNOTATIONS.iter().filter(|row| row.heritage == Heritage::IngressNginx);
    let works = rows.flat_map(|row| {
        let aliases = row.aliases.iter().map(|alias| format!("`{alias}`"));
        std::iter::once(format!("[`{0}`](annotations.md#{0})", row.name)).chain(aliases)
    });
    block("annotation", "the object", &works.collect::<Vec<_>>(), unsupported::ANNOTATIONS)
}

/// Keys of the ConfigMap, between the headings of the page.
#[must_use]
pub fn keys() -> String {
    let classes =
        ANNOTATIONS.iter().filter(|row| is_class_default(row) && row.heritage == Heritage::IngressNginx);
    let classes = classes.flat_map(|row| row.names().map(|name| format!("`{name}`")));
    let keys = configmap::KEYS.iter().filter(|row| row.heritage == Heritage::IngressNginx);
    let keys = keys.flat_map(|row| {
        let aliases = row.aliases.iter().map(|alias| format!("`{alias}`"));
        std::iter::once(format!("[`{0}`](configmap.md#{0})", row.name)).chain(aliases)
    });
    let mut works: Vec<String> = classes.chain(keys).collect();
    works.sort_by_key(|name| name.trim_start_matches('[').to_owned());
    block("key", "every request", &works, unsupported::KEYS)
}

/// `refused` is what answers 503 where a check is asked for that nobody can make.
fn block(what: &str, refused: &str, works: &[String], entries: &[Unsupported]) -> String {
    let mut block = format!("Works today: {}.\n", works.join(", "));
    // A hint says what to do in its place for good; without one it is only that nobody has built it.
    let (never, yet): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| !entry.hint.is_empty() && is_not_awaited(entry.consequence));
    block.push_str(&format!("\n| not yet: {what} | until then |\n| --- | --- |\n"));
    for entry in yet {
        let until = match entry.consequence {
            Consequence::Ignore => "it has no effect; a warning".to_owned(),
            Consequence::Miss => "what it asks for is not in force; an error".to_owned(),
            Consequence::Refuse => format!("{refused} answers 503; an error"),
            Consequence::Canary => {
                "the object is left out, the main one gets all requests; a warning".to_owned()
            }
            Consequence::Regex => "paths are regular expressions, nothing is rewritten; an error".to_owned(),
        };
        block.push_str(&format!("| `{}` | {until} |\n", entry.name));
    }
    block.push_str(&format!("\n| not coming: {what} | instead |\n| --- | --- |\n"));
    for entry in never {
        block.push_str(&format!("| `{}` | {} |\n", entry.name, entry.hint));
    }
    block
}

/// Whether a hint about it is an alternative. What is refused will be there one day, and its hint says what is missing.
fn is_not_awaited(consequence: Consequence) -> bool {
    matches!(consequence, Consequence::Ignore | Consequence::Miss)
}
