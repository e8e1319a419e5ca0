//! The table: every setting once, with its name, form, text, reader and printer.

mod cluster;
mod objects;
mod pod;
mod telling;

use super::value::{self, Expected};
use super::{Admin, LogFormat, Settings, Source};
use crate::access_log;
use crate::shared::Lanes;
use weir_core::policy::Profile;

/// One setting.
pub struct Row {
    /// Name of the flag without `--`, and of the key in the file. The variable is `WEIR_` and the name in capitals,
    /// with `_` for `-`.
    pub name: &'static str,
    /// Stands for the value in usage texts; empty for a switch.
    pub placeholder: &'static str,
    /// What it does: one sentence, or a few.
    pub summary: &'static str,
    /// A value that can be read, for the page and the tests.
    pub good: &'static str,
    /// A value that cannot be read; empty where there is none.
    pub bad: &'static str,
    /// How often it may be given.
    pub arity: Arity,
    /// Reads one value.
    pub(super) set: fn(&mut Settings, &str) -> Result<(), Expected>,
    /// The value in force, for the page's column of defaults; empty when there is none.
    pub(super) print: fn(&Settings) -> String,
}

/// How often a setting may be given.
#[derive(Clone, Copy)]
pub enum Arity {
    /// Once; of several the last counts. Several values may be given where it says `Many`.
    One,
    /// A flag that needs no value.
    Switch,
    /// As often as one likes; in the environment separated by commas. The function takes the default away.
    Many(fn(&mut Settings)),
}

impl Row {
    /// Name of the environment variable.
    pub fn variable(&self) -> String {
        format!("WEIR_{}", self.name.replace('-', "_").to_ascii_uppercase())
    }
}

/// Settings that act with the same sources.
pub(super) struct Group {
    /// What they are about: a heading of the page.
    pub(super) title: &'static str,
    /// With which sources; others are warned of.
    pub(super) with: With,
    /// The settings.
    pub(super) rows: &'static [Row],
}

/// With which sources a setting acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// With all of them.
    Every,
    /// With those that have objects.
    Objects,
    /// With a cluster alone.
    Cluster,
    /// With a pod alone.
    Pod,
}

impl With {
    /// Whether a setting acts with this source.
    pub(super) fn acts_with(self, source: &Source) -> bool {
        match (self, source) {
            (Self::Every, _)
            | (Self::Objects, Source::Kubernetes | Source::Manifests(_))
            | (Self::Cluster, Source::Kubernetes)
            | (Self::Pod, Source::PodInfo(_)) => true,
            (Self::Objects | Self::Cluster | Self::Pod, _) => false,
        }
    }

    /// The sources, for people.
    pub(super) fn sources(self) -> &'static str {
        match self {
            Self::Every => "any source",
            Self::Objects => "kubernetes and manifests",
            Self::Cluster => "kubernetes",
            Self::Pod => "podinfo",
        }
    }
}

/// All settings, in the order of the page.
pub(super) static GROUPS: &[Group] = &[
    Group { title: "Sources and listeners", with: With::Every, rows: FIRST },
    Group { title: "A pod", with: With::Pod, rows: pod::ROWS },
    Group { title: "Objects", with: With::Objects, rows: objects::ROWS },
    Group { title: "A cluster", with: With::Cluster, rows: cluster::ROWS },
    Group { title: "Resources, times and logs", with: With::Every, rows: REST },
    Group { title: "How much is told", with: With::Every, rows: telling::ROWS },
];

/// All settings, in the order of the page.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|group| group.rows)
}

/// Where objects come from, where clients come to, and which defaults hold.
static FIRST: &[Row] = &[
    Row {
        name: "source",
        placeholder: "SOURCE",
        summary: "Where objects come from: `kubernetes` watches the API server of a cluster; `manifests=DIR` reads a folder; \
                  `podinfo=FILE` reads the annotations of our own pod in a downward API volume. Changes are followed.",
        good: "manifests=/etc/weir/manifests",
        bad: "manifests",
        arity: Arity::One,
        set: |settings, text| value::source(text).map(|source| settings.source = Some(source)),
        print: |settings| match &settings.source {
            Some(source) => source.to_string(),
            None => String::new(),
        },
    },
    Row {
        name: "http",
        placeholder: "ADDR",
        summary: "Address for plain HTTP. Port 0 lets the system choose; the bound address is printed. With podinfo the default is \
                  0.0.0.0:8081.",
        good: "0.0.0.0:8080",
        bad: "localhost",
        arity: Arity::Many(|settings| settings.http.clear()),
        set: |settings, text| value::address(text).map(|address| settings.http.push(address)),
        print: |settings| join(&settings.http),
    },
    Row {
        name: "https",
        placeholder: "ADDR",
        summary: "Address for HTTP over TLS, as `http`. By default there is none.",
        good: "0.0.0.0:8443",
        bad: "localhost",
        arity: Arity::Many(|settings| settings.https.clear()),
        set: |settings, text| value::address(text).map(|address| settings.https.push(address)),
        print: |settings| join(&settings.https),
    },
    Row {
        name: "h2c",
        placeholder: "",
        summary: "Serve HTTP/2 on the addresses for plain HTTP to clients that begin with it (\"prior knowledge\").",
        good: "true",
        bad: "on",
        arity: Arity::Switch,
        set: |settings, text| value::switch(text).map(|on| settings.h2c = on),
        print: |settings| settings.h2c.to_string(),
    },
    Row {
        name: "admin",
        placeholder: "ADDR",
        summary: "Address of `/metrics`, `/healthz`, `/readyz`, `/api/*` and the status page, or `off`. Whoever reaches \
                  it can read the configuration; nobody can change anything there.",
        good: "127.0.0.1:10254",
        bad: "10254",
        arity: Arity::One,
        set: |settings, text| value::admin(text).map(|admin| settings.admin = admin),
        print: |settings| match settings.admin {
            Admin::Off => "off".to_owned(),
            Admin::On(address) => address.to_string(),
        },
    },
    Row {
        name: "profile",
        placeholder: "PROFILE",
        summary: "Set of defaults: `weir` is the safe one, `ingress-nginx` is exact parity.",
        good: "ingress-nginx",
        bad: "nginx",
        arity: Arity::One,
        set: |settings, text| value::profile(text).map(|profile| settings.profile = profile),
        print: |settings| match settings.profile {
            Profile::Weir => "weir".to_owned(),
            Profile::IngressNginx => "ingress-nginx".to_owned(),
        },
    },
];

/// Those that come last.
static REST: &[Row] = &[
    Row {
        name: "annotations-prefix",
        placeholder: "PREFIX",
        summary: "Prefix under which annotations are read beside `weir.dev`.",
        good: "nginx.ingress.kubernetes.io",
        bad: "",
        arity: Arity::One,
        set: |settings, text| value::name(text).map(|name| settings.objects.annotations_prefix = Some(name)),
        print: |_| weir_kubernetes::Options::manifests().annotation_prefix,
    },
    Row {
        name: "workers",
        placeholder: "N",
        summary: "Threads that serve; by default one for each core that the process may use, and with podinfo two at most.",
        good: "4",
        bad: "0",
        arity: Arity::One,
        set: |settings, text| value::count(text, 1024).map(|workers| settings.workers = workers),
        print: |_| "cores".to_owned(),
    },
    Row {
        name: "connections",
        placeholder: "N",
        summary: "Most client connections at once; more are closed on arrival. 0 is half the descriptors that the \
                  process may have.",
        good: "10000",
        bad: "many",
        arity: Arity::One,
        set: |settings, text| value::count_or_zero(text, MOST).map(|most| settings.connections = most),
        print: |settings| settings.connections.to_string(),
    },
    Row {
        name: "clients",
        placeholder: "N",
        summary: "Clients times rules whose rates are counted at once. Memory is bounded by it. With podinfo the default is \
                  50000.",
        good: "1000000",
        bad: "0",
        arity: Arity::One,
        set: |settings, text| value::count(text, MOST).map(|clients| settings.clients = clients),
        print: |settings| settings.clients.to_string(),
    },
    Row {
        name: "in-flight",
        placeholder: "N",
        summary: "Clients times rules with requests in flight at once (`limit-connections`). With podinfo the default is 10000.",
        good: "100000",
        bad: "0",
        arity: Arity::One,
        set: |settings, text| value::count(text, MOST).map(|clients| settings.in_flight = clients),
        print: |settings| settings.in_flight.to_string(),
    },
    Row {
        name: "idle-timeout",
        placeholder: "DURATION",
        summary: "How long a connection may be idle, before its first request and between requests; wins over the key `keep-alive` of the \
                  ConfigMap.",
        good: "75s",
        bad: "soon",
        arity: Arity::One,
        set: |settings, text| value::duration(text).map(|time| settings.timeouts.idle = Some(time)),
        print: |settings| settings.timeouts.idle.map_or_else(String::new, value::print_duration),
    },
    Row {
        name: "handshake-timeout",
        placeholder: "DURATION",
        summary: "How long a TLS handshake may take, from the first byte of the connection to its end; wins over the key `client-handshake-timeout` of the \
                  ConfigMap.",
        good: "10s",
        bad: "ten",
        arity: Arity::One,
        set: |settings, text| value::duration(text).map(|time| settings.timeouts.handshake = Some(time)),
        print: |settings| settings.timeouts.handshake.map_or_else(String::new, value::print_duration),
    },
    Row {
        name: "head-timeout",
        placeholder: "DURATION",
        summary: "How long a request head may take, from its first byte to its last; wins over the key `client-header-timeout` of the \
                  ConfigMap.",
        good: "10s",
        bad: "10 s",
        arity: Arity::One,
        set: |settings, text| value::duration(text).map(|time| settings.timeouts.head = Some(time)),
        print: |settings| settings.timeouts.head.map_or_else(String::new, value::print_duration),
    },
    Row {
        name: "body-timeout",
        placeholder: "DURATION",
        summary: "How long may pass between two reads of a request body; wins over the key `client-body-timeout` of the \
                  ConfigMap.",
        good: "60s",
        bad: "1d",
        arity: Arity::One,
        set: |settings, text| value::duration(text).map(|time| settings.timeouts.body = Some(time)),
        print: |settings| settings.timeouts.body.map_or_else(String::new, value::print_duration),
    },
    Row {
        name: "write-timeout",
        placeholder: "DURATION",
        summary: "How long may pass between two writes to a client that does not read; wins over the key `client-send-timeout` of the \
                  ConfigMap.",
        good: "60s",
        bad: "-1s",
        arity: Arity::One,
        set: |settings, text| value::duration(text).map(|time| settings.timeouts.write = Some(time)),
        print: |settings| settings.timeouts.write.map_or_else(String::new, value::print_duration),
    },
    Row {
        name: "shutdown-delay",
        placeholder: "DURATION",
        summary: "How long weir goes on accepting after SIGTERM, while `/readyz` says that it is about to end. In \
                  Kubernetes it takes some seconds until nobody sends new connections; set 5s or more there.",
        good: "5s",
        bad: "later",
        arity: Arity::One,
        set: |settings, text| value::duration(text).map(|time| settings.timeouts.shutdown_delay = time),
        print: |settings| value::print_duration(settings.timeouts.shutdown_delay),
    },
    Row {
        name: "shutdown-timeout",
        placeholder: "DURATION",
        summary: "How long requests in flight may take once accepting has ended.",
        good: "30s",
        bad: "",
        arity: Arity::One,
        set: |settings, text| value::duration(text).map(|time| settings.timeouts.shutdown = time),
        print: |settings| value::print_duration(settings.timeouts.shutdown),
    },
    Row {
        name: "access-log",
        placeholder: "TARGET",
        summary: "Where a line per request goes: `off`, `-` or `stdout`, or a file.",
        good: "/var/log/weir/access.log",
        bad: "",
        arity: Arity::One,
        set: |settings, text| value::access_log(text).map(|target| settings.access_log = target),
        print: |settings| match &settings.access_log {
            access_log::Target::Off => "off".to_owned(),
            access_log::Target::Stdout => "-".to_owned(),
            access_log::Target::File(file) => file.display().to_string(),
        },
    },
    Row {
        name: "access-log-format",
        placeholder: "FORMAT",
        summary: "How these lines look: `json` or `text`.",
        good: "text",
        bad: "xml",
        arity: Arity::One,
        set: |settings, text| value::access_log_format(text).map(|form| settings.access_log_format = form),
        print: |settings| match settings.access_log_format {
            access_log::Format::Json => "json".to_owned(),
            access_log::Format::Text => "text".to_owned(),
        },
    },
    Row {
        name: "log-level",
        placeholder: "LEVEL",
        summary: "Which messages go to the standard error: `error`, `warn`, `info`, `debug`, `trace` or `off`.",
        good: "info,weir=debug",
        bad: "weir=loud",
        arity: Arity::One,
        set: |settings, text| value::log_level(text).map(|level| settings.log_level = level),
        print: |settings| settings.log_level.clone(),
    },
    Row {
        name: "log-format",
        placeholder: "FORMAT",
        summary: "How messages look: `text`, `json`, or `auto` for text on a terminal and JSON elsewhere.",
        good: "json",
        bad: "pretty",
        arity: Arity::One,
        set: |settings, text| value::log_format(text).map(|form| settings.log_format = form),
        print: |settings| match settings.log_format {
            LogFormat::Auto => "auto".to_owned(),
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        },
    },
    Row {
        name: "lane",
        placeholder: "LANE",
        summary: "`pingora` sends every request through pingora's lane, so that tests can compare the two.",
        good: "pingora",
        bad: "express",
        arity: Arity::One,
        set: |settings, text| value::lanes(text).map(|lanes| settings.lanes = lanes),
        print: |settings| match settings.lanes {
            Lanes::Auto => "auto".to_owned(),
            Lanes::Pingora => "pingora".to_owned(),
        },
    },
];

fn join(addresses: &[std::net::SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn object(text: &str) -> Result<weir_kubernetes::translate::ObjectName, Expected> {
    text.parse().map_err(|_| "expected NAMESPACE/NAME".to_owned())
}

/// More of anything is a mistake somewhere.
const MOST: usize = 100_000_000;
