//! The types of a scenario. What the fields mean, their forms and bounds stand in the table of this module's neighbour
//! `table`, out of which the published schema is made.
#![allow(missing_docs, reason = "the table documents each field, and the schema repeats it")]

use super::value::{Network, Several, Share, Size, Span, StatusOf};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Who asks for what, when, and what must come of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    #[serde(default)]
    pub about: String,
    #[serde(default = "one")]
    pub seed: u64,
    pub target: Option<String>,
    #[serde(default)]
    pub spawn: Option<Spawn>,
    #[serde(default)]
    pub oracle: Oracle,
    pub classes: Vec<Class>,
    pub phases: Vec<Phase>,
    pub expect: Vec<Expectation>,
    #[serde(default)]
    pub generator: Generator,
}

impl Scenario {
    /// From the first planned request to the end of the last phase.
    pub fn duration(&self) -> Duration {
        self.phases.iter().map(|phase| phase.duration.0).sum()
    }
}

/// What `--spawn` starts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Spawn {
    pub manifests: String,
    #[serde(default)]
    pub arguments: Vec<String>,
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    #[serde(default = "backend")]
    pub backend: String,
    #[serde(default = "one")]
    pub replicas: u64,
    #[serde(default)]
    pub origin: OriginBehaviour,
}

/// How the origin of ours answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OriginBehaviour {
    pub delay: Option<Span>,
    pub size: Option<Size>,
    #[serde(default)]
    pub fault: Fault,
    pub faulty: Option<Share>,
}

/// How the origin fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    #[default]
    None,
    Drop,
    Delay,
    Status,
    EarlyClose,
    Stall,
    Reset,
    Duplicate,
    Malformed,
    Refuse,
}

/// What predicts how many requests are admitted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Oracle {
    #[default]
    None,
    Weir,
    TokenBucket {
        rate: f64,
        burst: u64,
        #[serde(default)]
        per: Per,
    },
    FixedWindow {
        limit: u64,
        window: Span,
        #[serde(default)]
        per: Per,
    },
    NginxLeakyBucket {
        rate: f64,
        burst: u64,
        #[serde(default)]
        per: Per,
    },
}

/// What a limit of others counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    #[default]
    Client,
    Everything,
}

/// A class of clients.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Class {
    pub name: String,
    #[serde(default = "one")]
    pub clients: u64,
    #[serde(default)]
    pub identity: Identity,
    pub arrivals: Option<Arrivals>,
    #[serde(default)]
    pub request: Request,
    #[serde(default)]
    pub behaviour: Behaviour,
}

/// How clients differ.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Identity {
    #[default]
    Shared,
    Source {
        network: Network,
    },
    ForwardedFor {
        network: Network,
    },
    ProxyHeader {
        network: Network,
    },
    ApiKey {
        header: String,
        prefix: String,
    },
}

impl Identity {
    /// Name of the field in which clients say who they are, and what its values begin with.
    pub fn field(&self) -> Option<(&str, &str)> {
        match self {
            Self::Shared | Self::Source { .. } | Self::ProxyHeader { .. } => None,
            Self::ForwardedFor { .. } => Some(("X-Forwarded-For", "")),
            Self::ApiKey { header, prefix } => Some((header, prefix)),
        }
    }
}

/// When requests come; rates are requests per second of the class as a whole.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Arrivals {
    None,
    Constant { rate: f64 },
    Poisson { rate: f64 },
    Burst { size: u64, every: Span },
    Ramp { from: f64, to: f64 },
    Step { rates: Vec<f64> },
}

/// What is asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Request {
    pub method: String,
    pub host: Several,
    pub path: Several,
    pub headers: BTreeMap<String, String>,
    pub body: Body,
    pub protocol: Protocol,
    pub transport: Transport,
    pub connection: Connection,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            host: Several::one("app.example"),
            path: Several::one("/"),
            headers: BTreeMap::new(),
            body: Body::None,
            protocol: Protocol::Http1,
            transport: Transport::Plain,
            connection: Connection::KeepAlive,
        }
    }
}

impl Request {
    /// How many pairs of host and path there are.
    pub fn asks(&self) -> usize {
        self.host.0.len() * self.path.0.len()
    }

    /// The first pair with the same host.
    pub fn host_of(&self, number: u16) -> u16 {
        number - number % self.path.0.len().clamp(1, usize::from(u16::MAX)) as u16
    }

    /// Host and path of a pair, by its number.
    pub fn ask(&self, number: u16) -> (&str, &str) {
        let (number, paths) = (usize::from(number), self.path.0.len().max(1));
        (self.host.get(number / paths), self.path.get(number % paths))
    }
}

/// The body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Body {
    None,
    Sized { size: Size },
    Chunked { size: Size },
}

impl Body {
    /// Bytes of it.
    pub fn bytes(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Sized { size } | Self::Chunked { size } => size.0,
        }
    }
}

/// Version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    Http1,
    Http2,
}

/// What carries the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    Plain,
    Tls,
}

/// What becomes of a connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    KeepAlive,
    Close,
}

/// What an arrival is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Behaviour {
    #[default]
    Request,
    SlowHead {
        every: Span,
        lasts: Span,
    },
    SlowBody {
        every: Span,
        lasts: Span,
    },
    SlowRead {
        every: Span,
        lasts: Span,
    },
    ConnectionFlood {
        lasts: Span,
    },
    HandshakeFlood {
        lasts: Span,
    },
    RapidReset {
        streams: u64,
        lasts: Span,
    },
    HugeHead {
        size: Size,
        lasts: Span,
    },
    ChunkedOverSize {
        size: Size,
        lasts: Span,
    },
}

impl Behaviour {
    /// Whether an oracle can say which arrivals the target takes: requests, and connections that ask for nothing and
    /// are taken if they last until their client gives up.
    pub fn is_predictable(&self) -> bool {
        matches!(self, Self::Request | Self::ConnectionFlood { .. } | Self::HandshakeFlood { .. })
    }
}

/// A part of a run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Phase {
    pub name: String,
    pub duration: Span,
    #[serde(default)]
    pub arrivals: BTreeMap<String, Arrivals>,
    pub manifests: Option<String>,
    pub origin: Option<OriginBehaviour>,
    pub restart: Option<u64>,
}

/// What must come of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expectation {
    Admitted {
        class: String,
        within: Share,
        #[serde(default)]
        slack: u64,
    },
    #[serde(rename_all = "kebab-case")]
    Status { class: String, status: StatusOf, at_least: Option<Share>, at_most: Option<Share> },
    #[serde(rename_all = "kebab-case")]
    Latency { class: String, percentile: f64, at_most: Span },
    #[serde(rename_all = "kebab-case")]
    Errors {
        class: String,
        #[serde(default)]
        at_most: u64,
    },
    #[serde(rename_all = "kebab-case")]
    Retried {
        #[serde(default)]
        at_most: u64,
    },
    #[serde(rename_all = "kebab-case")]
    Ended { class: String, how: Ending, at_least: Share },
    #[serde(rename_all = "kebab-case")]
    Memory { at_most: Size },
    #[serde(rename_all = "kebab-case")]
    Cpu { at_most: Share },
    #[serde(rename_all = "kebab-case")]
    Metric { series: String, at_least: Option<f64>, at_most: Option<f64> },
}

/// How a hostile connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    Closed,
    Refused,
    Answered,
    Endured,
}

/// The generator's own bounds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Generator {
    pub threads: u64,
    pub connections: u64,
    pub timeout: Span,
    pub lag: Option<Span>,
}

impl Default for Generator {
    fn default() -> Self {
        Self { threads: 1, connections: 1000, timeout: Span(Duration::from_secs(10)), lag: None }
    }
}

fn one() -> u64 {
    1
}

fn backend() -> String {
    "default/app:80".to_owned()
}
