//! Runs an example: its manifests through `translate`, its requests through an engine, in virtual time.

use crate::page::{Block, Example, Kind};
use crate::script::{self, Body, Line, Request, Then};
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use weir_core::account::{Account, Outcome};
use weir_core::engine::EngineConfig;
use weir_core::facts::Scheme;
use weir_core::policy::{Mode, Profile};
use weir_core::ticket::Ticket;
use weir_core::verdict::{RateLimitFields, Refusal};
use weir_core::{Engine, Facts, Verdict};
use weir_kubernetes::{Options, manifests, translate};
use weir_limits::{Instant, Seed};

/// A line of a page that is not true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Runs an example. `shop` are the objects of examples that bring none of their own.
pub(crate) fn run(example: &Example, shop: &str) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut lines = Vec::new();
    for block in &example.blocks {
        let read = block.lines().map(|(number, text)| match script::read(text) {
            _ if block.kind != Kind::Requests => None,
            Ok(line) => line.map(|line| (number, line)),
            Err(message) => {
                failures.push(Failure { line: number, message });
                None
            }
        });
        lines.push(read.collect::<Vec<_>>().into_iter().flatten().collect::<Vec<_>>());
    }
    if !failures.is_empty() {
        return failures;
    }
    let first = example.blocks.first().map(|block| block.line);
    let mut stage = Stage::new(lines.iter().flatten().map(|(_, line)| line), shop, first);
    for (block, lines) in example.blocks.iter().zip(&lines) {
        match block.kind {
            Kind::Requests => {
                stage.configure();
                lines.iter().for_each(|(number, line)| stage.play(*number, line));
            }
            Kind::Manifest | Kind::Annotations | Kind::Settings => stage.write(block),
        }
    }
    stage.configure();
    stage.no_findings_left();
    stage.failures
}

struct Stage {
    engine: Engine,
    options: Options,
    manifest: String,
    annotations: String,
    settings: String,
    now: Duration,
    held: VecDeque<Ticket>,
    /// Fields of the last answer.
    fields: Vec<(&'static str, String)>,
    /// What the last configuration was answered with and no line has named yet.
    findings: Vec<String>,
    /// The line of that configuration, until all its findings must have been named.
    configured: Option<usize>,
    /// The line of the first block that is not in force yet.
    written: Option<usize>,
    failures: Vec<Failure>,
}

impl Stage {
    fn new<'a>(lines: impl Iterator<Item = &'a Line>, shop: &str, first: Option<usize>) -> Self {
        let mut options = Options::manifests();
        options.config_map = "weir/settings".parse().ok();
        let mut config = EngineConfig { clients: 10_000, in_flight: 10_000, seed: Seed::from_u128(SEED) };
        for line in lines {
            match line {
                Line::Profile(name) => options.profile = profile(name),
                Line::Clients(clients) => config.clients = *clients,
                _ => {}
            }
        }
        Self {
            engine: Engine::new(config),
            options,
            manifest: shop.to_owned(),
            annotations: String::new(),
            settings: String::new(),
            now: Duration::ZERO,
            held: VecDeque::new(),
            fields: Vec::new(),
            findings: Vec::new(),
            configured: None,
            written: first,
            failures: Vec::new(),
        }
    }

    fn fail(&mut self, line: usize, message: impl Into<String>) {
        self.failures.push(Failure { line, message: message.into() });
    }

    /// Writes a block over the one of its kind before. Blocks without requests between them are one change.
    fn write(&mut self, block: &Block) {
        self.no_findings_left();
        match block.kind {
            Kind::Manifest => self.manifest.clone_from(&block.text),
            Kind::Annotations => self.annotations.clone_from(&block.text),
            Kind::Settings => self.settings.clone_from(&block.text),
            Kind::Requests => {}
        }
        self.written.get_or_insert(block.line);
    }

    /// Puts what was written in force.
    fn configure(&mut self) {
        let Some(line) = self.written.take() else { return };
        self.configured = Some(line);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("all.yaml"), self.objects()).unwrap();
        let loaded = manifests::load(folder.path()).unwrap();
        let (declaration, translated) = translate(&loaded.objects, &self.options);
        let read = loaded.problems.into_iter().map(weir_core::Finding::from).chain(translated);
        let snapshot = self.engine.replace(declaration);
        let all = read.chain(snapshot.findings.iter().cloned());
        self.findings =
            all.map(|found| format!("{} {} {}", found.severity.as_str(), found.code, found.field)).collect();
    }

    /// The manifest, with the annotations in their place, and the ConfigMap.
    fn objects(&self) -> String {
        let mut objects = String::new();
        for line in self.manifest.lines() {
            match line.strip_suffix(NO_ANNOTATIONS).filter(|_| !self.annotations.is_empty()) {
                Some(indent) => {
                    objects.push_str(&format!("{indent}annotations:\n"));
                    self.annotations
                        .lines()
                        .for_each(|line| objects.push_str(&format!("{indent}  {line}\n")));
                }
                None => objects.push_str(&format!("{line}\n")),
            }
        }
        objects.push_str("---\napiVersion: v1\nkind: ConfigMap\n");
        objects.push_str("metadata: {namespace: weir, name: settings}\ndata:\n");
        self.settings.lines().for_each(|line| objects.push_str(&format!("  {line}\n")));
        objects
    }

    fn play(&mut self, number: usize, line: &Line) {
        if let Line::Finding(expected) = line {
            match self.findings.iter().position(|found| found == expected) {
                Some(at) => drop(self.findings.remove(at)),
                None => self.fail(number, format!("no such finding; there are: {:?}", self.findings)),
            }
            return;
        }
        self.no_findings_left();
        match line {
            Line::Profile(_) | Line::Clients(_) | Line::Finding(_) => {}
            Line::At(time) if *time < self.now => self.fail(number, "time goes backwards"),
            Line::At(time) => self.now = *time,
            Line::Request(request) => self.ask(number, request),
            Line::Release(count) if *count > self.held.len() => {
                self.fail(number, format!("only {} are held", self.held.len()));
            }
            Line::Release(count) => {
                let ended: Vec<_> = self.held.drain(..count).collect();
                ended.into_iter().for_each(|ticket| self.finish(ticket));
            }
            Line::Field(name, value) => {
                let found =
                    self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
                if found != *value {
                    self.fail(number, format!("{name} is {found:?}"));
                }
            }
        }
    }

    fn ask(&mut self, number: usize, request: &Request) {
        let addresses: Vec<IpAddr> = match request.from.hosts() {
            _ if request.from.prefix_len() == request.from.max_prefix_len() => {
                vec![request.from.addr(); request.times]
            }
            hosts => hosts.take(request.times).collect(),
        };
        assert_eq!(addresses.len(), request.times, "line {number}: the network has fewer addresses");
        for (index, peer) in addresses.into_iter().enumerate() {
            let answer = self.admit(request, peer);
            let expected = &request.expected;
            let wrong = answer.verdict != expected.verdict
                || answer.observed != expected.observed
                || expected.client.is_some_and(|client| client != answer.client);
            self.fields = answer.fields;
            if wrong {
                let observed = answer.observed.map(|rule| format!(" observed {rule}")).unwrap_or_default();
                let (verdict, client) = (answer.verdict, answer.client);
                let nth = format!("request {} of {}", index + 1, request.times);
                return self.fail(number, format!("{nth}: {verdict}{observed} as {client}"));
            }
        }
    }

    fn admit(&mut self, request: &Request, peer: IpAddr) -> Answer {
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let facts = Facts {
            peer,
            port: 80,
            scheme: Scheme::Http,
            tls: None,
            method: &request.method,
            host: request.host.as_bytes(),
            path: request.path.as_bytes(),
            query: request.query.as_bytes(),
            content_length: match request.body {
                Body::Sized(bytes) => Some(bytes),
                Body::None | Body::Chunked(_) => None,
            },
            head_bytes: request.head,
            headers: &headers.as_slice(),
        };
        match self.engine.admit(self.instant(), &facts) {
            Verdict::Forward(ticket) => self.forward(ticket, request),
            Verdict::Refuse(refusal) => self.refuse(refusal),
        }
    }

    /// What the lanes do with a body whose size is known only when it was sent.
    fn forward(&mut self, mut ticket: Ticket, request: &Request) -> Answer {
        if let (Body::Chunked(bytes), (weir_core::policy::BodyLimit::Bytes(most), mode)) =
            (request.body, ticket.body_limit())
            && bytes > most
        {
            match mode {
                Mode::Enforce => return self.refuse(ticket.refuse_body()),
                Mode::Observe => ticket.observe_body(),
            }
        }
        let answer = Answer::new("pass".to_owned(), ticket.account(), fields(ticket.rate_limit()));
        match request.then {
            Then::Hold => self.held.push_back(ticket),
            Then::End => self.finish(ticket),
        }
        answer
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        let mut account = refusal.account;
        let cause = match account.hit {
            Some(hit) if hit.mode == Mode::Enforce => format!("by {}", hit.rule),
            _ => format!("for {}", refusal.reason.as_str()),
        };
        let mut fields = fields(refusal.rate_limit.as_ref());
        fields.extend(refusal.retry_after.map(|seconds| ("Retry-After", seconds.to_string())));
        fields.extend(refusal.allow.map(|methods| ("Allow", methods)));
        let answer = Answer::new(format!("{} {cause}", refusal.status), &account, fields);
        account.close(self.instant(), &Outcome { status: refusal.status, ..Outcome::default() });
        answer
    }

    fn finish(&self, ticket: Ticket) {
        let _account = ticket.finish(self.instant(), &Outcome { status: 200, ..Outcome::default() });
    }

    /// Later than the start of time, so that nothing hides behind it.
    fn instant(&self) -> Instant {
        Instant::from_elapsed(BEFORE + self.now)
    }

    fn no_findings_left(&mut self) {
        if let Some(line) = self.configured.take() {
            for finding in std::mem::take(&mut self.findings) {
                self.fail(line, format!("is answered with a finding: {finding}"));
            }
        }
    }
}

/// What became of a request.
struct Answer {
    verdict: String,
    observed: Option<String>,
    client: IpAddr,
    fields: Vec<(&'static str, String)>,
}

impl Answer {
    fn new(verdict: String, account: &Account, fields: Vec<(&'static str, String)>) -> Self {
        let observed = account.hit.filter(|hit| hit.mode == Mode::Observe).map(|hit| hit.rule.to_owned());
        Self { verdict, observed, client: account.client.address, fields }
    }
}

fn fields(rate_limit: Option<&RateLimitFields>) -> Vec<(&'static str, String)> {
    let Some(fields) = rate_limit else { return Vec::new() };
    vec![("RateLimit-Policy", fields.policy.to_string()), ("RateLimit", fields.state.clone())]
}

fn profile(name: &str) -> Profile {
    match name {
        "weir" => Profile::Weir,
        "ingress-nginx" => Profile::IngressNginx,
        _ => panic!("no profile {name:?}"),
    }
}

/// What stands in a manifest where the annotations of an example go.
const NO_ANNOTATIONS: &str = "annotations: {}";
/// How long the clock has run when an example begins.
const BEFORE: Duration = Duration::from_secs(1_000);
const SEED: u128 = 0x5eed;
