//! How the values of settings are read and printed. Each reader says what it expected when it fails.

use super::{Admin, LogFormat, Source};
use crate::access_log;
use crate::ration::Share;
use crate::shared::Lanes;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;
use weir_core::policy::Profile;
use weir_kubernetes::translate::ObjectName;

/// What was expected.
pub(super) type Expected = String;

pub(super) fn address(text: &str) -> Result<SocketAddr, Expected> {
    let every = text.strip_prefix(':').and_then(|port| port.parse().ok());
    let every = every.map(|port: u16| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    every.or_else(|| text.parse().ok()).ok_or_else(|| ADDRESS.to_owned())
}

pub(super) fn ip(text: &str) -> Result<IpAddr, Expected> {
    text.parse().map_err(|_| "expected an IP address such as 127.0.0.1".to_owned())
}

pub(super) fn port(text: &str) -> Result<u16, Expected> {
    text.parse().map_err(|_| "expected a port from 0 to 65535".to_owned())
}

pub(super) fn admin(text: &str) -> Result<Admin, Expected> {
    match text {
        "off" => Ok(Admin::Off),
        _ => address(text).map(Admin::On).map_err(|expected| format!("{expected}, or off")),
    }
}

pub(super) fn source(text: &str) -> Result<Source, Expected> {
    match text.split_once('=') {
        Some(("manifests", folder)) if !folder.is_empty() => Ok(Source::Manifests(folder.into())),
        Some(("podinfo", file)) if !file.is_empty() => Ok(Source::PodInfo(file.into())),
        None if text == "kubernetes" => Ok(Source::Kubernetes),
        _ => Err(SOURCE.to_owned()),
    }
}

pub(super) fn count(text: &str, most: usize) -> Result<NonZeroUsize, Expected> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= most);
    number.ok_or_else(|| format!("expected a whole number from 1 to {most}"))
}

pub(super) fn count_or_zero(text: &str, most: usize) -> Result<usize, Expected> {
    let number = text.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| format!("expected a whole number from 0 to {most}"))
}

/// Most events a second; 0 is as many as there are.
pub(super) fn rate(text: &str) -> Result<Option<NonZeroU32>, Expected> {
    let number: Result<u32, _> = text.parse();
    number.map(NonZeroU32::new).map_err(|_| format!("expected a whole number from 0 to {}", u32::MAX))
}

/// A share, from 0 to 1.
pub(super) fn share(text: &str) -> Result<Share, Expected> {
    text.parse()
        .ok()
        .and_then(Share::new)
        .ok_or_else(|| "expected a number from 0 to 1, such as 0.01".to_owned())
}

/// A whole number with a unit, `ms`, `s`, `m` or `h`; without one it is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, Expected> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let millis: Option<u64> = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let duration = millis.and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit));
    let duration = duration.map(Duration::from_millis).filter(|duration| *duration <= LONGEST);
    duration.ok_or_else(|| "expected a duration such as 30s, 500ms or 2m, at most 24h".to_owned())
}

pub(super) fn print_duration(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

pub(super) fn lanes(text: &str) -> Result<Lanes, Expected> {
    choice(text, &[("auto", Lanes::Auto), ("pingora", Lanes::Pingora)])
}

pub(super) fn profile(text: &str) -> Result<Profile, Expected> {
    choice(text, &[("weir", Profile::Weir), ("ingress-nginx", Profile::IngressNginx)])
}

pub(super) fn access_log(text: &str) -> Result<access_log::Target, Expected> {
    match text {
        "off" => Ok(access_log::Target::Off),
        "-" | "stdout" => Ok(access_log::Target::Stdout),
        "" => Err("expected off, - or a file".to_owned()),
        file => Ok(access_log::Target::File(file.into())),
    }
}

pub(super) fn access_log_format(text: &str) -> Result<access_log::Format, Expected> {
    choice(text, &[("json", access_log::Format::Json), ("text", access_log::Format::Text)])
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, Expected> {
    choice(text, &[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)])
}

pub(super) fn log_level(text: &str) -> Result<String, Expected> {
    let known = !text.is_empty() && text.parse::<tracing_subscriber::EnvFilter>().is_ok();
    known.then(|| text.to_owned()).ok_or_else(|| {
        "expected error, warn, info, debug, trace, off, or directives such as info,weir=debug".to_owned()
    })
}

/// A flag's own switch value, as Go's flags have it.
pub(super) fn switch(text: &str) -> Result<bool, Expected> {
    choice(text, &[("true", true), ("false", false)])
}

/// Names of classes, controllers, namespaces and prefixes: printable, and not empty.
pub(super) fn name(text: &str) -> Result<String, Expected> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then(|| text.to_owned()).ok_or_else(|| "expected a name".to_owned())
}

pub(super) fn file(text: &str) -> Result<PathBuf, Expected> {
    (!text.is_empty()).then(|| text.into()).ok_or_else(|| "expected a file".to_owned())
}

pub(super) fn folder(text: &str) -> Result<PathBuf, Expected> {
    (!text.is_empty()).then(|| text.into()).ok_or_else(|| "expected a folder".to_owned())
}

/// A Secret and where it is mounted.
pub(super) fn secret_folder(text: &str) -> Result<(ObjectName, PathBuf), Expected> {
    let parse = || {
        let (name, folder) = text.split_once('=')?;
        Some((name.parse().ok()?, folder.into()))
    };
    let found = parse().filter(|(_, folder): &(ObjectName, PathBuf)| !folder.as_os_str().is_empty());
    found.ok_or_else(|| "expected NAMESPACE/NAME=DIR such as shop/clients-ca=/etc/weir/clients-ca".to_owned())
}

/// An address to connect to. Names are not looked up: what is beside us in a pod has the pod's addresses.
pub(super) fn upstream(text: &str) -> Result<SocketAddr, Expected> {
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let local = local.map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let address = local.or_else(|| text.parse().ok());
    let address = address.filter(|address| address.port() != 0 && !address.ip().is_unspecified());
    address.ok_or_else(|| UPSTREAM.to_owned())
}

/// A URL with a scheme and a host. An empty one is none: it is ingress-nginx's default.
pub(super) fn url(text: &str) -> Result<Option<String>, Expected> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match (text, host) {
        ("", _) => Ok(None),
        (_, Some(host)) if !host.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Some(text.to_owned()))
        }
        _ => Err("expected a URL such as https://192.0.2.1:6443".to_owned()),
    }
}

fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Expected> {
    let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    chosen.ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        format!("expected {}", names.join(" or "))
    })
}

const ADDRESS: &str = "expected an IP address and a port such as 0.0.0.0:8080, [::]:8080 or :8080";
pub(super) const SOURCE: &str = "expected kubernetes, manifests=DIR or podinfo=FILE";
const UPSTREAM: &str =
    "expected an IP address and a port such as 127.0.0.1:8080, [::1]:8080 or localhost:8080";
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
