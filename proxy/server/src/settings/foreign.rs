//! Flags of ingress-nginx, so that the arguments of an existing installation start weir too.
//!
//! Those that mean the same here are in the table. These either act on a setting by another name, or are accepted and
//! change nothing, which is said in the log.

use super::value::{self, Expected};
use super::{Admin, Settings};
use std::net::{Ipv4Addr, SocketAddr};

/// A flag of ingress-nginx that weir has under no name, or under another.
pub(super) struct Foreign {
    pub(super) name: &'static str,
    pub(super) effect: Effect,
}

/// What such a flag does.
#[derive(Clone, Copy)]
pub(super) enum Effect {
    /// It acts on the setting named first, unless that is given itself.
    Set(&'static str, fn(&mut Settings, &str) -> Result<(), Expected>),
    /// It takes a value and changes nothing.
    Ignore,
    /// It is a switch and changes nothing.
    IgnoreSwitch,
}

/// The flag of this name.
pub(super) fn find(name: &str) -> Option<&'static Foreign> {
    FLAGS.iter().find(|flag| flag.name == name)
}

pub(super) static FLAGS: &[Foreign] = &[
    set("http-port", "http", |settings, text| {
        value::port(text).map(|port| settings.http = vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))])
    }),
    set("https-port", "https", |settings, text| {
        value::port(text).map(|port| settings.https = vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))])
    }),
    // First the port, then the host: the order of this list.
    set("healthz-port", "admin", |settings, text| {
        value::port(text)
            .map(|port| settings.admin = Admin::On(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))))
    }),
    set("healthz-host", "admin", |settings, text| {
        let port = match settings.admin {
            Admin::On(address) => address.port(),
            Admin::Off => return Ok(()),
        };
        value::ip(text).map(|host| settings.admin = Admin::On(SocketAddr::new(host, port)))
    }),
    set("shutdown-grace-period", "shutdown-delay", |settings, text| {
        value::duration(text).map(|time| settings.timeouts.shutdown_delay = time)
    }),
    ignore("bucket-factor"),
    ignore("default-server-port"),
    ignore("dynamic-configuration-retries"),
    ignore("exclude-socket-metrics"),
    ignore("health-check-path"),
    ignore("health-check-timeout"),
    ignore("internal-logger-address"),
    ignore("length-buckets"),
    ignore("max-buckets"),
    ignore("maxmind-edition-ids"),
    ignore("maxmind-license-key"),
    ignore("maxmind-mirror"),
    ignore("maxmind-retries-count"),
    ignore("maxmind-retries-timeout"),
    ignore("monitor-max-batch-size"),
    ignore("post-shutdown-grace-period"),
    ignore("profiler-address"),
    ignore("profiler-port"),
    ignore("size-buckets"),
    ignore("ssl-passthrough-proxy-port"),
    ignore("status-port"),
    ignore("stream-port"),
    ignore("sync-period"),
    ignore("sync-rate-limit"),
    ignore("tcp-services-configmap"),
    ignore("time-buckets"),
    ignore("udp-services-configmap"),
    ignore("v"),
    ignore("validating-webhook"),
    ignore("validating-webhook-certificate"),
    ignore("validating-webhook-key"),
    ignore_switch("deep-inspect"),
    ignore_switch("disable-full-test"),
    ignore_switch("enable-annotation-validation"),
    ignore_switch("enable-metrics"),
    ignore_switch("enable-ssl-chain-completion"),
    ignore_switch("enable-ssl-passthrough"),
    ignore_switch("metrics-per-host"),
    ignore_switch("metrics-per-undefined-host"),
    ignore_switch("profiling"),
    ignore_switch("report-status-classes"),
];

const fn set(
    name: &'static str,
    row: &'static str,
    set: fn(&mut Settings, &str) -> Result<(), Expected>,
) -> Foreign {
    Foreign { name, effect: Effect::Set(row, set) }
}

const fn ignore(name: &'static str) -> Foreign {
    Foreign { name, effect: Effect::Ignore }
}

const fn ignore_switch(name: &'static str) -> Foreign {
    Foreign { name, effect: Effect::IgnoreSwitch }
}
