//! The configurations in `loadtest/peers/`, filled in: the same limits and routes for every proxy.

use super::Failure;
use super::case::Setup;
use super::process::Place;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What one start of a proxy is told.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where files and the process go.
    pub(crate) place: Place,
    pub(crate) ports: Ports,
    pub(crate) origin: u16,
    /// Connections that it must be able to hold.
    pub(crate) connections: usize,
    pub(crate) log: AccessLog,
    /// Level of nginx's error log.
    pub(crate) nginx_error_log: String,
    /// More arguments for weir.
    pub(crate) weir_arguments: Vec<String>,
    pub(crate) setup: Setup,
}

/// Ports of a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    /// The route that refuses; mostly the same port.
    pub(crate) refused: u16,
    pub(crate) https: Option<u16>,
    /// HTTP/2 without TLS.
    pub(crate) h2c: Option<u16>,
}

/// Whether every proxy writes a line for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Nobody does.
    Off,
    /// All do, each to a file.
    File,
}

/// A proxy that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Proxy {
    /// The subject.
    Weir,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Envoy.
    Envoy,
}

impl Proxy {
    /// All, in the order of the tables.
    pub const ALL: [Self; 4] = [Self::Weir, Self::Nginx, Self::Haproxy, Self::Envoy];

    /// As programs and options are named.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weir => "weir",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    /// What it does less than, or unlike, the others; for the report.
    pub(crate) fn notes(self) -> &'static [&'static str] {
        match self {
            Self::Weir => &[
                "sets aside the memory of its table of clients when it starts; the others take it as clients come",
            ],
            Self::Nginx => &[
                "keeps large answers in memory and moves them in pieces of 64 KiB; by default it would write them to a file",
                "speaks HTTP/2 without TLS on a port of its own",
            ],
            Self::Haproxy => &[
                "counts refused requests too, so under pressure it lets nobody through; the others let the rate through",
                "splices large answers inside the kernel",
            ],
            Self::Envoy => &[
                "has no limit of requests at once for each client, so none is set: it does less than the others for each request",
                "keeps a token bucket for each client address (local_ratelimit), and forgets the one used least recently when its table is full",
            ],
        }
    }

    /// The question for its version.
    pub(crate) fn asks_version(self) -> &'static str {
        if matches!(self, Self::Nginx | Self::Haproxy) { "-v" } else { "--version" }
    }

    /// Writes its configuration; the program with its arguments.
    pub(crate) fn configure(self, program: &Path, plan: &Plan) -> Result<Vec<OsString>, Failure> {
        let mut arguments: Vec<OsString> = vec![program.into()];
        match self {
            Self::Weir => arguments.extend(weir(plan)?),
            Self::Nginx => {
                let log = format!("{} json buffer=64k flush=1s", plan.file("nginx-access.log").display());
                let trust = "set_real_ip_from 127.0.0.0/8; real_ip_header X-Forwarded-For;";
                let path = plan.write(
                    NGINX,
                    "nginx.conf",
                    &[
                        ("NGINX_ACCESS_LOG", plan.if_logged(&log, "off").to_owned()),
                        ("NGINX_ERROR_LOG", plan.nginx_error_log.clone()),
                        ("TRUST", plan.if_trusted(trust).to_owned()),
                        ("ROUTES", plan.routes(NGINX_ROUTES)?),
                    ],
                )?;
                arguments.extend(nginx_arguments(plan, "nginx", &path)?);
            }
            Self::Haproxy => {
                plan.write("@ROUTES@", "routes.map", &[("ROUTES", plan.routes(HAPROXY_MAP)?)])?;
                let many = matches!(plan.setup, Setup::Routes { .. });
                // In the foreground its standard output is a file here, so this is an access log in a file.
                let path = plan.write(
                    HAPROXY,
                    "haproxy.cfg",
                    &[
                        ("HAPROXY_LOG", plan.if_logged("log stdout format raw local0", "").to_owned()),
                        (
                            "HAPROXY_LOG_DEFAULTS",
                            plan.if_logged("log global\n    option httplog", "").to_owned(),
                        ),
                        ("TRUST", plan.if_trusted("http-request set-src hdr_ip(x-forwarded-for)").to_owned()),
                        (
                            "ROUTES",
                            if many { plan.fill(HAPROXY_ROUTES, &[])? } else { HAPROXY_NO_ROUTES.to_owned() },
                        ),
                    ],
                )?;
                arguments.extend(["-db".into(), "-f".into(), path.into()]);
            }
            Self::Envoy => {
                let log = plan.fill(ENVOY_LOG, &[])?;
                let path = plan.write(
                    ENVOY,
                    "envoy.yaml",
                    &[
                        ("ENVOY_LOG", plan.if_logged(log.trim_end(), "[]").to_owned()),
                        ("ROUTES", plan.routes(ENVOY_ROUTES)?),
                    ],
                )?;
                let fixed = ["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error", "-c"];
                arguments.extend(fixed.map(OsString::from));
                arguments.push(path.into());
            }
        }
        Ok(arguments)
    }
}

fn weir(plan: &Plan) -> Result<Vec<OsString>, Failure> {
    let trust = "enable-real-ip: \"true\"\n  proxy-real-ip-cidr: \"127.0.0.0/8\"";
    let manifests = plan.write(
        WEIR,
        "manifests/bench.yaml",
        &[("TRUST", plan.if_trusted(trust).to_owned()), ("ROUTES", plan.routes(WEIR_ROUTES)?)],
    )?;
    let folder = manifests.parent().unwrap_or_else(|| Path::new("."));
    let listen = |port: u16| format!("127.0.0.1:{port}");
    let mut arguments: Vec<OsString> = ["serve", "--workers", "1", "--configmap", "bench/settings", "--h2c"]
        .into_iter()
        .map(OsString::from)
        .collect();
    arguments.extend(["--clients".into(), plan.table().to_string().into()]);
    arguments.push("--source".into());
    arguments.push(format!("manifests={}", folder.display()).into());
    arguments.extend(["--backend".into(), format!("bench/origin:80=127.0.0.1:{}", plan.origin).into()]);
    arguments.extend(["--http".into(), listen(plan.ports.http).into()]);
    arguments.extend(plan.ports.https.into_iter().flat_map(|port| ["--https".into(), listen(port).into()]));
    arguments.extend(["--admin".into(), listen(0).into(), "--log-level".into(), "error".into()]);
    let log = plan.file("weir-access.log");
    arguments.extend(["--access-log".into(), plan.if_logged(&log.to_string_lossy(), "off").into()]);
    if plan.log == AccessLog::File {
        // As the others: each request has its line.
        let bounds = ["--access-log-lines-per-second", "0", "--access-log-refusals-per-second", "0"];
        arguments.extend(bounds.into_iter().map(OsString::from));
    }
    arguments.extend(plan.weir_arguments.iter().map(OsString::from));
    Ok(arguments)
}

/// Arguments of nginx, which is also the origin.
pub(crate) fn nginx_arguments(plan: &Plan, name: &str, path: &Path) -> Result<Vec<OsString>, Failure> {
    let temporary = plan.file(&format!("{name}-temp"));
    std::fs::create_dir_all(&temporary)
        .map_err(|error| Failure::Tool(format!("{}: {error}", temporary.display())))?;
    let errors = plan.file(&format!("{name}-error.log"));
    let folder = plan.place.folder.clone();
    Ok(vec!["-p".into(), folder.into(), "-e".into(), errors.into(), "-c".into(), path.into()])
}

impl Plan {
    /// Writes a template with its values to a file of the folder.
    pub(crate) fn write(
        &self,
        template: &str,
        name: &str,
        more: &[(&'static str, String)],
    ) -> Result<PathBuf, Failure> {
        let path = self.file(name);
        let text = self.fill(template, more)?;
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written = folder.and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| Failure::Tool(format!("{}: {error}", path.display())))?;
        Ok(path)
    }

    /// A file of the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.place.folder.join(name)
    }

    /// A template with its values.
    pub(crate) fn fill(&self, template: &str, more: &[(&'static str, String)]) -> Result<String, Failure> {
        let mut values = self.values();
        values.extend_from_slice(more);
        fill(template, &values)
    }

    /// The part of a configuration that names many hosts, from the template of one.
    fn routes(&self, template: &str) -> Result<String, Failure> {
        let Setup::Routes { hosts } = self.setup else { return Ok(String::new()) };
        let common = self.values();
        let one = |number: usize| {
            let own = [("NAME", format!("h{number}")), ("HOST", format!("h{number}{ROUTES_DOMAIN}"))];
            fill(template, &[&own, common.as_slice()].concat())
        };
        (0..hosts).map(one).collect()
    }

    fn if_logged<'a>(&self, yes: &'a str, no: &'a str) -> &'a str {
        if self.log == AccessLog::File { yes } else { no }
    }

    fn if_trusted<'a>(&self, yes: &'a str) -> &'a str {
        if self.setup == Setup::Spray { yes } else { "" }
    }

    /// Clients that a table of clients has room for.
    fn table(&self) -> u32 {
        if self.setup == Setup::Spray { TABLE_OF_SPRAY } else { TABLE }
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        let port = |port: Option<u16>| port.unwrap_or_default().to_string();
        let hops = if self.setup == Setup::Spray { 1 } else { 0 };
        // Workers of nginx keep the caller's user, who owns the folder.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        vec![
            ("DIR", self.place.folder.display().to_string()),
            ("USER", user.to_owned()),
            ("PORT", self.ports.http.to_string()),
            ("TLS_PORT", port(self.ports.https)),
            ("H2C_PORT", port(self.ports.h2c)),
            ("ORIGIN_PORT", self.origin.to_string()),
            ("CONNECTIONS", self.connections.to_string()),
            ("UPSTREAM_KEEPALIVE", UPSTREAM_KEEPALIVE.to_string()),
            ("CONCURRENCY", CONCURRENCY.to_string()),
            ("HIGH_RATE", HIGH_RATE.to_string()),
            ("HIGH_BURST", (HIGH_RATE * BURST_MULTIPLIER).to_string()),
            ("SPRAY_RATE", SPRAY_RATE.to_string()),
            ("SPRAY_BURST", (SPRAY_RATE * BURST_MULTIPLIER).to_string()),
            ("TABLE", self.table().to_string()),
            ("TABLE_MIB", (self.table() / CLIENTS_IN_MIB).to_string()),
            ("TRUSTED_HOPS", hops.to_string()),
            ("ALLOWED_HOST", ALLOWED_HOST.to_owned()),
            ("REFUSED_HOST", REFUSED_HOST.to_owned()),
            ("SPRAY_HOST", SPRAY_HOST.to_owned()),
            ("ROUTES_DOMAIN", ROUTES_DOMAIN.to_owned()),
        ]
    }
}

/// Replaces each `@NAME@` by its value. A name without a value is a mistake of ours.
fn fill(template: &str, values: &[(&'static str, String)]) -> Result<String, Failure> {
    let mut filled = String::with_capacity(template.len());
    // Between two `@` there is a name, for no template has an `@` of its own but Envoy's "@type".
    let mut parts = template.split('@');
    filled.push_str(parts.next().unwrap_or_default());
    let mut named = true;
    for part in parts {
        let is_name = !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        if named && is_name {
            let value = values.iter().find(|(name, _)| *name == part);
            let (_, value) =
                value.ok_or_else(|| Failure::Tool(format!("a template has no value for {part}")))?;
            filled.push_str(value);
            // What follows the second `@` is text.
            named = false;
            continue;
        }
        if named {
            filled.push('@');
        }
        filled.push_str(part);
        named = true;
    }
    Ok(filled)
}

/// Host of the route that lets everybody through.
pub(crate) const ALLOWED_HOST: &str = "allowed.bench.example";
/// Host of the route that lets one request a second through.
pub(crate) const REFUSED_HOST: &str = "refused.bench.example";
/// Host of the route with a limit that a single request of a client does not reach.
pub(crate) const SPRAY_HOST: &str = "spray.bench.example";
/// What the names of many hosts end with.
pub(crate) const ROUTES_DOMAIN: &str = ".routes.bench.example";
pub(crate) const KIBIBYTE: usize = 1024;
pub(crate) const MEBIBYTE: usize = 1024 * 1024;
/// The answers of the origin, and who asks: see `peers/origin.conf`.
pub(crate) const ORIGIN: &str = include_str!("../../peers/origin.conf");
/// The script of wrk that prints the summary of a round.
pub(crate) const WRK_REPORT: &str = include_str!("../../peers/report.lua");
/// The script of wrk that spreads requests over routes.
pub(crate) const WRK_ROUTES: &str = include_str!("../../peers/routes/requests.lua");
const WEIR: &str = include_str!("../../peers/weir.yaml");
const WEIR_ROUTES: &str = include_str!("../../peers/routes/weir.yaml");
const NGINX: &str = include_str!("../../peers/nginx.conf");
const NGINX_ROUTES: &str = include_str!("../../peers/routes/nginx.conf");
const HAPROXY: &str = include_str!("../../peers/haproxy.cfg");
const HAPROXY_ROUTES: &str = include_str!("../../peers/routes/haproxy.cfg");
const HAPROXY_NO_ROUTES: &str = "    acl route always_false\n";
const HAPROXY_MAP: &str = include_str!("../../peers/routes/haproxy.map");
const ENVOY: &str = include_str!("../../peers/envoy.yaml");
const ENVOY_ROUTES: &str = include_str!("../../peers/routes/envoy.yaml");
const ENVOY_LOG: &str = include_str!("../../peers/envoy-log.yaml");
/// No proxy answers a million requests a second on one core, so a client under this rate is never refused.
const HIGH_RATE: u32 = 1_000_000;
/// Requests a second of one client in a spray.
const SPRAY_RATE: u32 = 10;
/// Of `limit-burst-multiplier`.
const BURST_MULTIPLIER: u32 = 5;
/// More than there are clients, so the limit of requests at once is looked at and never reached.
const CONCURRENCY: u32 = 1000;
/// At least as many as there are clients: a smaller pool costs reconnects, which is another comparison.
const UPSTREAM_KEEPALIVE: u32 = 256;
/// Clients of a table.
const TABLE: u32 = 131_072;
const TABLE_OF_SPRAY: u32 = 1_048_576;
/// Clients that nginx puts into a MiB of a table.
const CLIENTS_IN_MIB: u32 = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_between_at_signs_are_filled_in_and_others_stay() {
        let values = [("A", "1".to_owned()), ("B_C", "2".to_owned())];
        assert_eq!(fill("x@A@y@B_C@@A@ \"@type\": a@b", &values).unwrap(), "x1y21 \"@type\": a@b");
        assert!(fill("@D@", &values).unwrap_err().to_string().contains("no value for D"));
    }

    /// Each configuration in each setup, with and without logs.
    #[test]
    fn every_name_in_a_template_gets_its_value() {
        for log in [AccessLog::Off, AccessLog::File] {
            for setup in [Setup::Standard, Setup::Spray, Setup::Routes { hosts: 3 }] {
                let folder = tempfile::tempdir().unwrap();
                let place =
                    Place { launcher: "launcher".into(), folder: folder.path().into(), cpus: vec![0] };
                let ports = Ports { http: 1002, refused: 1002, https: Some(1003), h2c: Some(1004) };
                let plan = Plan {
                    place,
                    ports,
                    origin: 1001,
                    connections: 6000,
                    log,
                    nginx_error_log: "error".to_owned(),
                    weir_arguments: vec!["--more".to_owned()],
                    setup,
                };
                for (proxy, file) in Proxy::ALL.into_iter().zip([
                    "manifests/bench.yaml",
                    "nginx.conf",
                    "haproxy.cfg",
                    "envoy.yaml",
                ]) {
                    let arguments = proxy.configure(Path::new("program"), &plan).unwrap();
                    assert_eq!(arguments[0], "program");
                    let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
                    assert!(!text.replace("\"@type\"", "").contains('@'), "{file}: {text}");
                    for wanted in [ALLOWED_HOST, REFUSED_HOST, SPRAY_HOST, "1000000"] {
                        assert!(text.contains(wanted), "{file} has no {wanted}");
                    }
                    let all = format!("{arguments:?} {text}");
                    assert!(all.contains("1001") && all.contains("1002") && all.contains("1003"), "{file}");
                    let logs = all.contains("access.log") || all.contains("log stdout");
                    assert_eq!(logs, log == AccessLog::File, "{file}");
                    let map = std::fs::read_to_string(folder.path().join("routes.map")).unwrap_or_default();
                    let many = matches!(setup, Setup::Routes { .. });
                    assert_eq!(format!("{text}{map}").contains("h2.routes.bench.example"), many, "{file}");
                }
            }
        }
    }
}
