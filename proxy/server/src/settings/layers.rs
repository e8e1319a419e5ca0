//! Flags, environment and file laid over each other.

use super::foreign::{self, Effect};
use super::table::{Arity, GROUPS, Row, rows};
use super::{Admin, Mistake, Read, Settings, Source, value};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use weir_core::policy::row::nearest;

/// Environment variables, by name.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process. Variables that are no UTF-8 are none of ours.
    pub fn of_process() -> Self {
        let pairs = std::env::vars_os();
        Self(
            pairs
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// Reads settings from the arguments behind `weir serve`, from the environment, and from the file that one of them names
/// (`--config`), which `open` reads.
///
/// # Errors
/// All mistakes at once.
pub fn read(
    arguments: &[String],
    environment: &Environment,
    open: impl Fn(&Path) -> io::Result<String>,
) -> Result<Read, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let flags = lex(arguments, &mut mistakes);
    let file = file(&flags, environment, open, &mut mistakes);
    let mut settings = Settings::default();
    let mut given = BTreeMap::new();
    for row in rows() {
        let values = of_flags(row, &flags).or_else(|| of_environment(row, environment));
        let Some(values) = values.or_else(|| file.get(row.name).cloned()) else { continue };
        let place = values.first().map_or_else(|| format!("--{}", row.name), |given| given.place.clone());
        given.insert(row.name, place);
        if let Arity::Many(clear) = row.arity {
            clear(&mut settings);
        }
        // An empty list takes the default away, which is right for all but what cannot be done without.
        if values.is_empty() && matches!(row.name, "http" | "upstream") {
            let expected = "expected one address at least".to_owned();
            mistakes.push(Mistake { place: format!("--{}", row.name), value: None, expected });
        }
        for Given { place, value } in values {
            if let Err(expected) = (row.set)(&mut settings, &value) {
                mistakes.push(Mistake { place, value: Some(value), expected });
            }
        }
        if row.name == "source" {
            // What comes after it wins over the defaults that come with it.
            settings.fit();
        }
    }
    let mut warnings = apply_foreign(&flags, &given, &mut settings, &mut mistakes);
    warnings.extend(without_effect(&given, settings.source.as_ref()));
    let mut missing = |name: &str, expected: &str| {
        let expected = format!("is missing: {expected}");
        mistakes.push(Mistake { place: format!("--{name}"), value: None, expected });
    };
    if !given.contains_key("source") {
        missing("source", value::SOURCE);
    }
    if matches!(settings.source, Some(Source::PodInfo(_))) && !given.contains_key("upstream") {
        missing("upstream", "expected the address of the other container, such as 127.0.0.1:8080");
    }
    mistakes.extend(circles(&settings));
    if let Some(selector) = &settings.objects.watch_namespace_selector {
        let expected = match (&settings.source, &settings.objects.watch_namespace) {
            (Some(Source::Manifests(_) | Source::PodInfo(_)), _) => {
                Some("expected --source kubernetes with it")
            }
            (_, Some(_)) => Some("expected it or --watch-namespace, not both"),
            (_, None) => None,
        };
        mistakes.extend(expected.map(|expected| Mistake {
            place: "--watch-namespace-selector".to_owned(),
            value: Some(selector.clone()),
            expected: expected.to_owned(),
        }));
    }
    if mistakes.is_empty() { Ok(Read { settings, warnings }) } else { Err(mistakes) }
}

/// A value and where it was found.
#[derive(Clone, Debug, PartialEq)]
struct Given {
    place: String,
    value: String,
}

/// Values of flags by name, in the order of the arguments.
type Flags = BTreeMap<&'static str, Vec<Given>>;

/// A command line parser of our own, because those that exist stop at the first mistake.
fn lex(arguments: &[String], mistakes: &mut Vec<Mistake>) -> Flags {
    let mut flags = Flags::new();
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        let flag = argument
            .strip_prefix("--")
            .or_else(|| argument.strip_prefix('-').filter(|name| name.starts_with('v')));
        let Some(flag) = flag.filter(|flag| !flag.is_empty()) else {
            let expected = "expected a flag".to_owned();
            mistakes.push(Mistake {
                place: "weir serve".to_owned(),
                value: Some(argument.clone()),
                expected,
            });
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        let place = format!("--{name}");
        let (name, form) = match known(name) {
            Ok(known) => known,
            Err(expected) => {
                // Most flags have a value: it is not a mistake of its own.
                if value.is_none() {
                    rest.next_if(|next| !next.starts_with('-'));
                }
                mistakes.push(Mistake { place, value: None, expected });
                continue;
            }
        };
        let value = value.or_else(|| match form {
            Form::Switch => Some("true".to_owned()),
            Form::Value => rest.next_if(|next| !next.starts_with("--")).cloned(),
        });
        match value {
            Some(value) => flags.entry(name).or_default().push(Given { place, value }),
            None => mistakes.push(Mistake { place, value: None, expected: "needs a value".to_owned() }),
        }
    }
    flags
}

enum Form {
    Switch,
    Value,
}

/// The flag that is called so and whether it takes a value, or what to say.
fn known(name: &str) -> Result<(&'static str, Form), String> {
    if name == CONFIG {
        return Ok((CONFIG, Form::Value));
    }
    if let Some(row) = rows().find(|row| row.name == name) {
        let form = if matches!(row.arity, Arity::Switch) { Form::Switch } else { Form::Value };
        return Ok((row.name, form));
    }
    if let Some(flag) = foreign::find(name) {
        let form = if matches!(flag.effect, Effect::IgnoreSwitch) { Form::Switch } else { Form::Value };
        return Ok((flag.name, form));
    }
    Err(unknown("flag", "--", name))
}

fn unknown(what: &str, mark: &str, name: &str) -> String {
    match nearest(name, rows().map(|row| row.name).chain([CONFIG])) {
        Some(near) => format!("unknown {what}; did you mean {mark}{near}?"),
        None => format!("unknown {what}"),
    }
}

fn of_flags(row: &Row, flags: &Flags) -> Option<Vec<Given>> {
    let given = flags.get(row.name)?;
    match row.arity {
        Arity::Many(_) => Some(given.clone()),
        Arity::One | Arity::Switch => Some(given.last().into_iter().cloned().collect()),
    }
}

fn of_environment(row: &Row, environment: &Environment) -> Option<Vec<Given>> {
    let place = row.variable();
    let value = environment.0.get(&place)?;
    let values = match row.arity {
        Arity::Many(_) => value.split(',').map(str::trim).filter(|value| !value.is_empty()).collect(),
        Arity::One | Arity::Switch => vec![value.as_str()],
    };
    Some(values.into_iter().map(|value| Given { place: place.clone(), value: value.to_owned() }).collect())
}

/// Values of the file by name.
fn file(
    flags: &Flags,
    environment: &Environment,
    open: impl Fn(&Path) -> io::Result<String>,
    mistakes: &mut Vec<Mistake>,
) -> BTreeMap<String, Vec<Given>> {
    let by_flag = flags.get(CONFIG).and_then(|given| given.last()).cloned();
    let by_variable = || {
        let value = environment.0.get(CONFIG_VARIABLE)?;
        Some(Given { place: CONFIG_VARIABLE.to_owned(), value: value.clone() })
    };
    let Some(Given { place, value: path }) = by_flag.or_else(by_variable) else { return BTreeMap::new() };
    let text = match open(Path::new(&path)) {
        Ok(text) => text,
        Err(error) => {
            let expected = format!("cannot read the file: {error}");
            mistakes.push(Mistake { place, value: Some(path), expected });
            return BTreeMap::new();
        }
    };
    // An empty file is an empty map.
    let parsed: Result<Option<BTreeMap<String, serde_json::Value>>, _> = serde_saphyr::from_str(&text);
    match parsed {
        Ok(keys) => of_keys(&path, keys.unwrap_or_default(), mistakes),
        Err(error) => {
            // The first line says what and where; the others draw a picture of it.
            let error = error.to_string();
            let error = error.lines().next().unwrap_or_default().trim_start_matches("error: ");
            let expected = format!("expected a YAML map of settings: {error}");
            mistakes.push(Mistake { place: path, value: None, expected });
            BTreeMap::new()
        }
    }
}

fn of_keys(
    path: &str,
    keys: BTreeMap<String, serde_json::Value>,
    mistakes: &mut Vec<Mistake>,
) -> BTreeMap<String, Vec<Given>> {
    let mut found = BTreeMap::new();
    for (key, value) in keys {
        let place = format!("{path}: {key}");
        let mut mistake = |expected| mistakes.push(Mistake { place: place.clone(), value: None, expected });
        let Some(row) = rows().find(|row| row.name == key) else {
            mistake(unknown("setting", "", &key));
            continue;
        };
        let values = match (value, row.arity) {
            (serde_json::Value::Null, _) => continue,
            (serde_json::Value::Array(list), Arity::Many(_)) => list,
            (single, _) => vec![single],
        };
        match values.into_iter().map(scalar).collect::<Option<Vec<_>>>() {
            Some(values) => {
                let given = |value| Given { place: place.clone(), value };
                found.insert(key, values.into_iter().map(given).collect());
            }
            None if matches!(row.arity, Arity::Many(_)) => {
                mistake("expected one value or a list of them".to_owned());
            }
            None => mistake("expected one value".to_owned()),
        }
    }
    found
}

fn scalar(value: serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(switch) => Some(switch.to_string()),
        _ => None,
    }
}

/// Applies the flags of ingress-nginx in the order of their list. Returns what to warn of.
fn apply_foreign(
    flags: &Flags,
    given: &BTreeMap<&str, String>,
    settings: &mut Settings,
    mistakes: &mut Vec<Mistake>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for flag in foreign::FLAGS {
        let Some(Given { place, value }) = flags.get(flag.name).and_then(|given| given.last()) else {
            continue;
        };
        match flag.effect {
            Effect::Set(row, _) if given.contains_key(row) => {
                warnings.push(format!("{place} is accepted and has no effect beside --{row}"));
            }
            Effect::Set(_, set) => {
                if let Err(expected) = set(settings, value) {
                    mistakes.push(Mistake { place: place.clone(), value: Some(value.clone()), expected });
                }
            }
            Effect::Ignore | Effect::IgnoreSwitch => {
                warnings.push(format!("{place} is accepted and has no effect"));
            }
        }
    }
    warnings
}

/// Upstreams that are ourselves.
fn circles(settings: &Settings) -> impl Iterator<Item = Mistake> {
    let admin = match settings.admin {
        Admin::On(address) => Some(address),
        Admin::Off => None,
    };
    let ours = move || settings.http.iter().chain(&settings.https).copied().chain(admin);
    settings.pod.upstreams.iter().filter_map(move |upstream| {
        let is_it =
            |at: &SocketAddr| at.port() == upstream.port() && (at.ip().is_unspecified() || at == upstream);
        let ours = ours().find(is_it)?;
        let expected = format!("expected the other container's address and not our own ({ours})");
        Some(Mistake { place: "--upstream".to_owned(), value: Some(upstream.to_string()), expected })
    })
}

/// What to say of settings that do not act with the source.
fn without_effect(given: &BTreeMap<&str, String>, source: Option<&Source>) -> Vec<String> {
    let Some(source) = source else { return Vec::new() };
    let others = GROUPS.iter().filter(|group| !group.with.acts_with(source));
    let others = others.flat_map(|group| group.rows.iter().map(|row| (group.with, row)));
    let told = others.filter_map(|(with, row)| {
        let place = given.get(row.name)?;
        Some(format!("{place} has no effect with --source {source}: it is for {}", with.sources()))
    });
    told.collect()
}

/// Names the file; the one setting that cannot be in it.
pub(super) const CONFIG: &str = "config";
const CONFIG_VARIABLE: &str = "WEIR_CONFIG";
