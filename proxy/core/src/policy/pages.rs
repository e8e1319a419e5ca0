//! The tables as text: `docs/annotations.md`, `docs/configmap.md` and what `weir annotations` prints.

use super::annotations::ANNOTATIONS;
use super::configmap::{self, is_class_default};
use super::read::{INGRESS_NGINX_PREFIX, OWN_PREFIX};
use super::row::{ClassDefault, Group, Heritage, Row};
use super::unsupported::{self, Consequence, Unsupported};
use super::{Policy, Settings};

/// The page `docs/annotations.md`.
#[must_use]
pub fn annotations() -> String {
    let defaults = Policy::default();
    let mut page = format!(
        "# Annotations\n\n{GENERATED}\n\n\
         weir reads these annotations of an Ingress, or of a pod in sidecar mode.\n\
         Every name is read under `{OWN_PREFIX}`.\n\
         Those that ingress-nginx has are read under `{INGRESS_NGINX_PREFIX}/` too (the prefix is configurable), \
         with the same grammar; the column *prefix* says so.\n\
         If a name is set under both, `{OWN_PREFIX}` wins and a finding says so.\n\
         Values are strings, so numbers and booleans need quotes in YAML. An empty value sets nothing.\n\n\
         A mistake never switches a protection off: each section says what is in force instead, and a finding names \
         the field, the value and the expected form. All mistakes of an object are reported at once.\n"
    );
    for group in Group::ALL {
        let rows = ANNOTATIONS.iter().filter(|row| row.group == group);
        let lines: Vec<[String; 4]> = rows
            .clone()
            .map(|row| {
                let prefix = match row.heritage {
                    Heritage::IngressNginx => "both",
                    Heritage::Weir => "`weir.dev/`",
                };
                [link(row.name), default(row, &defaults), prefix.to_owned(), row.summary.to_owned()]
            })
            .collect();
        section(&mut page, group, ["annotation", "default", "prefix", "meaning"], &lines);
        for row in rows {
            entry(&mut page, row, &defaults);
        }
    }
    page.push_str(
        "\n## Annotations of ingress-nginx that weir does not act on\n\n\
         A finding names each of them that an object has, unless its value asks for nothing (such as `false`).\n\
         A `*` stands for the rest of a name.\n",
    );
    unsupported_table(&mut page, "annotation", unsupported::ANNOTATIONS, "the object");
    page
}

/// The page `docs/configmap.md`.
#[must_use]
pub fn configmap() -> String {
    let defaults = Settings::default();
    let mut page = format!(
        "# ConfigMap\n\n{GENERATED}\n\n\
         One ConfigMap holds what is true for the whole proxy, under the keys of ingress-nginx and some of weir's own.\n\
         Values are strings. An empty value sets nothing; an unknown key is reported.\n\n\
         ## Class defaults\n\n\
         These annotations are keys too: a value here holds for every object that does not say it itself.\n\
         An invalid value of a key that protects something is not ignored: every object without a valid value of its own \
         answers 503 until it is mended. The others keep the built-in default.\n\n"
    );
    let rows = ANNOTATIONS.iter().filter(|row| is_class_default(row));
    let lines: Vec<[String; 3]> = rows
        .map(|row| {
            let names: Vec<String> = row.names().map(|name| format!("`{name}`")).collect();
            let names = names.join(" or ");
            let page = format!("[{}](annotations.md#{})", row.summary, row.name);
            [names, default(row, &defaults.defaults), page]
        })
        .collect();
    table(&mut page, ["key", "default", "meaning"], &lines);
    for group in Group::ALL {
        let rows = configmap::KEYS.iter().filter(|row| row.group == group);
        let line = |row: &Row<Settings>| [link(row.name), default(row, &defaults), row.summary.to_owned()];
        let lines: Vec<[String; 3]> = rows.clone().map(line).collect();
        if lines.is_empty() {
            continue;
        }
        section(&mut page, group, ["key", "default", "meaning"], &lines);
        for row in rows {
            entry(&mut page, row, &defaults);
        }
    }
    page.push_str(
        "\n## Keys of ingress-nginx that weir does not act on\n\n\
         They are accepted, and a finding names each of them, unless its value asks for nothing.\n\
         A `*` stands for the rest of a name.\n",
    );
    unsupported_table(&mut page, "key", unsupported::KEYS, "every request");
    page
}

/// What `weir annotations` prints: one line for each annotation, in columns.
#[must_use]
pub fn text() -> String {
    let defaults = Policy::default();
    let lines = ANNOTATIONS.iter().map(|row| {
        let default = row.print(&defaults).unwrap_or_else(|| "-".to_owned());
        let prefix = match row.heritage {
            Heritage::IngressNginx => "both",
            Heritage::Weir => "weir",
        };
        [row.name.to_owned(), prefix.to_owned(), default, row.good.to_owned(), row.summary.to_owned()]
    });
    let head = ["ANNOTATION", "PREFIX", "DEFAULT", "EXAMPLE", "MEANING"].map(str::to_owned);
    let lines: Vec<[String; 5]> = std::iter::once(head).chain(lines).collect();
    let width =
        |column: usize| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0);
    let widths: [usize; 4] = [width(0), width(1), width(2), width(3)];
    let mut text = String::new();
    for [name, prefix, default, example, summary] in &lines {
        let [w0, w1, w2, w3] = widths;
        let line = format!("{name:w0$}  {prefix:w1$}  {default:w2$}  {example:w3$}  {summary}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(&format!(
        "\nPREFIX both: {OWN_PREFIX} and {INGRESS_NGINX_PREFIX}/ (or the configured one); weir: {OWN_PREFIX} alone.\n"
    ));
    text
}

/// A heading and an overview of its rows.
fn section<const N: usize>(page: &mut String, group: Group, head: [&str; N], lines: &[[String; N]]) {
    page.push_str(&format!("\n## {}\n\n", group.title()));
    table(page, head, lines);
}

/// One row in full.
fn entry<T>(page: &mut String, row: &Row<T>, defaults: &T) {
    page.push_str(&format!("\n### {}\n\n{}\n", row.name, row.summary));
    if !row.details.is_empty() {
        page.push_str(&format!("{}\n", row.details));
    }
    page.push_str(&format!("\n- Value: {}\n- Default: {}\n", row.form(), default(row, defaults)));
    page.push_str(&format!("- Example: `{}`\n- If invalid: {}\n", row.good, row.on_invalid.describe()));
    if !row.aliases.is_empty() {
        page.push_str(&format!("- Alias: `{}`, read only without the name\n", row.aliases.join("`, `")));
    }
    if row.class == ClassDefault::None {
        page.push_str("- No class default: not a key of the ConfigMap\n");
    }
    page.push_str(&format!("- Since: {}\n", row.since));
}

fn unsupported_table(page: &mut String, what: &str, entries: &[Unsupported], refused: &str) {
    page.push('\n');
    let line = |entry: &Unsupported| {
        let consequence = match entry.consequence {
            Consequence::Ignore => "warning: no effect".to_owned(),
            Consequence::Miss => "error: what it asks for is not in force".to_owned(),
            Consequence::Refuse => format!("error: {refused} answers 503"),
            Consequence::Canary => "warning: the object is left out".to_owned(),
            Consequence::Regex => "error: paths are regular expressions, nothing is rewritten".to_owned(),
        };
        let idle: Vec<String> = entry.idle.iter().map(|value| format!("`{value}`")).collect();
        [format!("`{}`", entry.name), consequence, idle.join(", "), entry.hint.to_owned()]
    };
    let lines: Vec<[String; 4]> = entries.iter().map(line).collect();
    table(page, [what, "finding", "unless", "hint"], &lines);
}

fn table<const N: usize>(page: &mut String, head: [&str; N], lines: &[[String; N]]) {
    let mut line = |cells: &[String]| page.push_str(&format!("| {} |\n", cells.join(" | ")));
    line(&head.map(str::to_owned));
    line(&head.map(|_| "---".to_owned()));
    for cells in lines {
        line(&cells.clone().map(|cell| cell.replace('|', "\\|")));
    }
}

fn link(name: &str) -> String {
    format!("[`{name}`](#{name})")
}

fn default<T>(row: &Row<T>, defaults: &T) -> String {
    row.print(defaults).map_or_else(|| "none".to_owned(), |value| format!("`{value}`"))
}

const GENERATED: &str = "<!-- Generated from the tables in proxy/core/src/policy; do not edit. -->";
