//! The table: every setting once, with its name, form, text, reader and printer.

use super::value::{self, Expected};
use super::{Admin, LogFormat, Settings, Source};
use crate::access_log;
use crate::shared::Lanes;
use std::time::Duration;
use weir_core::policy::Profile;
use weir_kubernetes::publish::{AtTheEnd, Events, NodeAddress};

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

/// All settings.
pub static ROWS: &[Row] = &[
    Row {
        name: "source",
        placeholder: "SOURCE",
        summary: "Where objects come from: `kubernetes` watches the API server of a cluster; `manifests=DIR` reads a folder \
                  and its subfolders, and follows changes.",
        good: "manifests=/etc/weir/manifests",
        bad: "manifests",
        arity: Arity::One,
        set: |settings, text| value::source(text).map(|source| settings.source = Some(source)),
        print: |settings| match &settings.source {
            Some(Source::Manifests(folder)) => format!("manifests={}", folder.display()),
            Some(Source::Kubernetes) => "kubernetes".to_owned(),
            None => String::new(),
        },
    },
    Row {
        name: "kubeconfig",
        placeholder: "FILE",
        summary: "Where the API server is, and who we are to it. Without it a pod's service account is used, or else \
                  `KUBECONFIG` or `~/.kube/config`.",
        good: "/etc/weir/kubeconfig",
        bad: "",
        arity: Arity::One,
        set: |settings, text| value::file(text).map(|file| settings.objects.kubeconfig = Some(file)),
        print: |_| String::new(),
    },
    Row {
        name: "http",
        placeholder: "ADDR",
        summary: "Address for plain HTTP. Port 0 lets the system choose; the bound address is printed.",
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
    Row {
        name: "backend",
        placeholder: "NAMESPACE/SERVICE:PORT=ADDR",
        summary: "An address of a backend, in place of what the objects say. Several for one backend are shared out.",
        good: "shop/cart:80=127.0.0.1:9000",
        bad: "cart=127.0.0.1:9000",
        arity: Arity::Many(|settings| settings.objects.backends.clear()),
        set: |settings, text| {
            let backend = text.parse().map_err(|_| {
                "expected NAMESPACE/SERVICE:PORT=ADDR with an address such as 127.0.0.1:9000".to_owned()
            });
            backend.map(|backend| settings.objects.backends.push(backend))
        },
        print: |_| String::new(),
    },
    Row {
        name: "configmap",
        placeholder: "NAMESPACE/NAME",
        summary: "ConfigMap with settings for all objects (`docs/configmap.md`).",
        good: "weir/settings",
        bad: "settings",
        arity: Arity::One,
        set: |settings, text| object(text).map(|name| settings.objects.configmap = Some(name)),
        print: |_| String::new(),
    },
    Row {
        name: "default-backend-service",
        placeholder: "NAMESPACE/NAME",
        summary: "Service for requests that no route takes; without one they get 404.",
        good: "weir/fallback",
        bad: "fallback",
        arity: Arity::One,
        set: |settings, text| object(text).map(|name| settings.objects.default_backend_service = Some(name)),
        print: |_| String::new(),
    },
    Row {
        name: "default-ssl-certificate",
        placeholder: "NAMESPACE/NAME",
        summary: "Secret with the certificate for hosts without their own. Without one a self-signed certificate is made \
                  at start.",
        good: "weir/certificate",
        bad: "certificate",
        arity: Arity::One,
        set: |settings, text| object(text).map(|name| settings.objects.default_certificate = Some(name)),
        print: |_| String::new(),
    },
    Row {
        name: "controller-class",
        placeholder: "NAME",
        summary: "`spec.controller` of IngressClasses that are ours; several may be given. By default \
                  `weir.dev/ingress-controller` and, with manifests, `k8s.io/ingress-nginx`. In a cluster, give the latter \
                  to take over from ingress-nginx.",
        good: "k8s.io/ingress-nginx",
        bad: "",
        arity: Arity::Many(|settings| settings.objects.controller_class.clear()),
        set: |settings, text| value::name(text).map(|name| settings.objects.controller_class.push(name)),
        print: |_| String::new(),
    },
    Row {
        name: "ingress-class",
        placeholder: "NAME",
        summary: "Class name that is ours in the annotation `kubernetes.io/ingress.class`. By default `weir` and, with \
                  manifests, `nginx`.",
        good: "nginx",
        bad: "",
        arity: Arity::One,
        set: |settings, text| value::name(text).map(|name| settings.objects.ingress_class = Some(name)),
        print: |_| String::new(),
    },
    Row {
        name: "ingress-class-by-name",
        placeholder: "",
        summary: "Take an IngressClass with our name whatever its controller says.",
        good: "true",
        bad: "yes",
        arity: Arity::Switch,
        set: |settings, text| value::switch(text).map(|on| settings.objects.ingress_class_by_name = on),
        print: |settings| settings.objects.ingress_class_by_name.to_string(),
    },
    Row {
        name: "watch-ingress-without-class",
        placeholder: "",
        summary: "Take Ingresses without a class. With manifests they are taken anyway where the folder has no \
                  IngressClass.",
        good: "true",
        bad: "1",
        arity: Arity::Switch,
        set: |settings, text| value::switch(text).map(|on| settings.objects.watch_ingress_without_class = on),
        print: |settings| settings.objects.watch_ingress_without_class.to_string(),
    },
    Row {
        name: "watch-namespace",
        placeholder: "NAMESPACE",
        summary: "Take only Ingresses of this namespace.",
        good: "shop",
        bad: "",
        arity: Arity::One,
        set: |settings, text| {
            // ingress-nginx's default is the empty string, and Helm values pass it on.
            settings.objects.watch_namespace = (!text.is_empty()).then(|| text.to_owned());
            Ok(())
        },
        print: |_| String::new(),
    },
    Row {
        name: "watch-namespace-selector",
        placeholder: "SELECTOR",
        summary: "Take only Ingresses of namespaces whose labels this selects, such as `team=shop,stage!=test`. With \
                  `source` kubernetes, and not together with `watch-namespace`.",
        good: "team=shop",
        bad: "",
        arity: Arity::One,
        set: |settings, text| {
            value::name(text).map(|name| settings.objects.watch_namespace_selector = Some(name))
        },
        print: |_| String::new(),
    },
    Row {
        name: "update-status",
        placeholder: "",
        summary: "Write to `.status.loadBalancer` of Ingresses under which addresses clients reach them. Of several \
                  replicas the leader does it.",
        good: "false",
        bad: "no",
        arity: Arity::Switch,
        set: |settings, text| value::switch(text).map(|on| settings.publish.status = on),
        print: |settings| settings.publish.status.to_string(),
    },
    Row {
        name: "publish-service",
        placeholder: "NAMESPACE/NAME",
        summary: "Service whose addresses Ingresses get in their status.",
        good: "weir/weir",
        bad: "weir",
        arity: Arity::One,
        set: |settings, text| {
            // ingress-nginx's default is the empty string.
            match text {
                "" => settings.publish.service = None,
                text => settings.publish.service = Some(object(text)?),
            }
            Ok(())
        },
        print: |_| String::new(),
    },
    Row {
        name: "publish-status-address",
        placeholder: "ADDRESS",
        summary: "Address or name that Ingresses get in their status, in place of a Service's; several are separated by \
                  commas. Without either they get the addresses of the nodes that weir's pods run on.",
        good: "192.0.2.1,lb.example.com",
        bad: "",
        arity: Arity::Many(|settings| settings.publish.addresses.clear()),
        set: |settings, text| {
            let parts = text.split(',').map(|part| value::name(part.trim()));
            settings.publish.addresses.extend(parts.collect::<Result<Vec<_>, _>>()?);
            Ok(())
        },
        print: |_| String::new(),
    },
    Row {
        name: "report-node-internal-ip-address",
        placeholder: "",
        summary: "Of a node, tell the internal address even if it has an external one.",
        good: "true",
        bad: "internal",
        arity: Arity::Switch,
        set: |settings, text| {
            value::switch(text).map(|on| {
                settings.publish.nodes = if on { NodeAddress::Internal } else { NodeAddress::External };
            })
        },
        print: |settings| (settings.publish.nodes == NodeAddress::Internal).to_string(),
    },
    Row {
        name: "status-update-interval",
        placeholder: "DURATION",
        summary: "How often the addresses are read again.",
        good: "60s",
        bad: "often",
        arity: Arity::One,
        set: |settings, text| value::duration(text).map(|time| settings.publish.interval = time),
        print: |settings| value::print_duration(settings.publish.interval),
    },
    Row {
        name: "update-status-on-shutdown",
        placeholder: "",
        summary: "Empty the status of Ingresses when the last replica ends.",
        good: "false",
        bad: "maybe",
        arity: Arity::Switch,
        set: |settings, text| {
            value::switch(text).map(|on| {
                settings.publish.at_the_end = if on { AtTheEnd::Clear } else { AtTheEnd::Keep };
            })
        },
        print: |settings| (settings.publish.at_the_end == AtTheEnd::Clear).to_string(),
    },
    Row {
        name: "disable-sync-events",
        placeholder: "",
        summary: "Write no Events about what is wrong with objects. The log and `/api/findings` have it all the same.",
        good: "true",
        bad: "none",
        arity: Arity::Switch,
        set: |settings, text| {
            value::switch(text)
                .map(|off| settings.publish.events = if off { Events::Never } else { Events::Write })
        },
        print: |settings| (settings.publish.events == Events::Never).to_string(),
    },
    Row {
        name: "election-id",
        placeholder: "NAME",
        summary: "Name of the Lease by which replicas agree on who writes back. Another than ingress-nginx's, so that both \
                  can run side by side.",
        good: "weir-leader",
        bad: "",
        arity: Arity::One,
        set: |settings, text| value::name(text).map(|name| settings.publish.election_id = name),
        print: |settings| settings.publish.election_id.clone(),
    },
    Row {
        name: "election-ttl",
        placeholder: "DURATION",
        summary: "How long that Lease holds, from 4s on.",
        good: "30s",
        bad: "1s",
        arity: Arity::One,
        set: |settings, text| {
            let time = value::duration(text)?;
            if time < Duration::from_secs(4) {
                return Err("expected a duration such as 30s, at least 4s".to_owned());
            }
            settings.publish.election_ttl = time;
            Ok(())
        },
        print: |settings| value::print_duration(settings.publish.election_ttl),
    },
    Row {
        name: "disable-leader-election",
        placeholder: "",
        summary: "Write back without an election: right for one replica only.",
        good: "true",
        bad: "off",
        arity: Arity::Switch,
        set: |settings, text| value::switch(text).map(|off| settings.publish.election = !off),
        print: |settings| (!settings.publish.election).to_string(),
    },
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
        summary: "Threads that serve; by default one for each core that the process may use.",
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
        summary: "Clients times rules whose rates are counted at once. Memory is bounded by it.",
        good: "1000000",
        bad: "0",
        arity: Arity::One,
        set: |settings, text| value::count(text, MOST).map(|clients| settings.clients = clients),
        print: |settings| settings.clients.to_string(),
    },
    Row {
        name: "in-flight",
        placeholder: "N",
        summary: "Clients times rules with requests in flight at once (`limit-connections`).",
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

fn object(text: &str) -> Result<weir_kubernetes::translate::ObjectName, Expected> {
    text.parse().map_err(|_| "expected NAMESPACE/NAME".to_owned())
}

fn join(addresses: &[std::net::SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// More of anything is a mistake somewhere.
const MOST: usize = 100_000_000;
