//! The table as a page, and as the help of `weir serve`.

use super::Settings;
use super::foreign::{Effect, FLAGS};
use super::layers::CONFIG;
use super::table::{Arity, GROUPS, Group, Row, With, rows};
use std::fmt::Write;

/// The text of `docs/settings.md`.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for Group { title, with, rows } in GROUPS {
        let _ = write!(page, "\n## {title}\n");
        if *with != With::Every {
            let _ = write!(
                page,
                "\nThese act with `source` {}; with another, each that is given is a warning in the log.\n",
                with.sources()
            );
        }
        write_rows(&mut page, rows);
    }
    page.push_str(FILE);
    page.push_str(FOREIGN);
    for flag in FLAGS {
        if let Effect::Set(row, _) = flag.effect {
            let _ = writeln!(page, "- `--{}` acts on `--{row}`, unless that is given.", flag.name);
        }
    }
    let ignored = FLAGS.iter().filter(|flag| !matches!(flag.effect, Effect::Set(..)));
    let ignored: Vec<_> = ignored.map(|flag| format!("`--{}`", flag.name)).collect();
    let _ = write!(page, "\nAccepted without effect: {}.\n", ignored.join(", "));
    page.push_str(ACCESS_LOG);
    for (name, meaning) in crate::access_log::FIELDS {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
    page
}

fn write_rows(page: &mut String, rows: &[Row]) {
    let defaults = Settings::default();
    for row in rows {
        let value = if row.placeholder.is_empty() { String::new() } else { format!(" {}", row.placeholder) };
        let default = match (row.print)(&defaults) {
            text if text.is_empty() => "none".to_owned(),
            text => format!("`{text}`"),
        };
        let many = match row.arity {
            Arity::Many(_) => {
                " May be given several times; a list in the file, separated by commas in the environment."
            }
            Arity::One | Arity::Switch => "",
        };
        let _ = write!(
            page,
            "\n### `--{name}{value}`\n\n{summary}{many}\n\n\
             Environment `{variable}`, key `{name}`; default {default}; example `{good}`.\n",
            name = row.name,
            summary = row.summary,
            variable = row.variable(),
            good = row.good,
        );
    }
}

/// The text of `weir serve --help`.
pub fn help() -> String {
    let defaults = Settings::default();
    let mut help =
        "Serve the objects of a source.\n\nUsage: weir serve --source SOURCE [FLAGS]\n\n".to_owned();
    for row in rows() {
        let value = if row.placeholder.is_empty() { String::new() } else { format!(" {}", row.placeholder) };
        let _ = write!(help, "  --{}{value}\n      {}", row.name, row.summary.replace('`', ""));
        match (row.print)(&defaults) {
            text if text.is_empty() => help.push('\n'),
            text => {
                let _ = writeln!(help, " [default: {text}]");
            }
        }
    }
    let _ = write!(
        help,
        "  --{CONFIG} FILE\n      YAML file with settings by their keys.\n\n\
         Each flag can be a variable too, such as WEIR_ACCESS_LOG, or a key of the file.\n\
         Flags of ingress-nginx are accepted.\n"
    );
    help
}

const HEAD: &str = "\
# Settings of `weir serve`

This page is made from the table in `proxy/server/src/settings/table.rs`; a test keeps it true.

A setting is looked for among the flags, then in the environment, then in the file. The first place that has it wins,
lists included: they are not joined. All mistakes are reported at once, and the exit code is then 2.
A start that fails, for a port that is taken or a folder that cannot be read, has exit code 1.

Durations are whole numbers with `ms`, `s`, `m` or `h`. Addresses are `IP:PORT`; `:8080` is port 8080 on every IPv4 address.

";

const FILE: &str = "
### `--config FILE`

YAML file with settings by their keys. Environment `WEIR_CONFIG`; default none.
";

const FOREIGN: &str = "
## Flags of ingress-nginx

Arguments of an existing installation start weir. Flags of the same name do the same; each flag without effect is a
warning in the log.

";

const ACCESS_LOG: &str = "
## Fields of the access log

Each request that ends has a line, as far as `access-log-sample-rate`, `access-log-lines-per-second` and
`access-log-refusals-per-second` allow; [operations.md](operations.md#logs) says what that comes to.
Fields stand in this order, and those that a line has nothing for are left out.
Bytes that are not printable ASCII are written as `\\u00NN`, each by itself.
When the writer cannot follow, lines are dropped and counted (`weir_access_log_lines_total`); traffic never waits.
Each worker writes its lines together, so those of different workers are not in the order of their times.

| field | meaning |
|---|---|
";
