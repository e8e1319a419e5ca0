//! How a line is written: digits and plain bytes, no formatter, no serializer.

use super::{Answer, Entry, Failed, Format};
use crate::abort::{Abort, Unserved};
use crate::clock::WallTime;
use crate::respond::GatewayError;
use crate::text::Address;
use std::net::IpAddr;
use std::time::Duration;
use weir_core::account::UpstreamOutcome;
use weir_core::declaration::{BackendName, PortName};

/// A line in the making.
pub(super) struct Line<'a> {
    format: Format,
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Line<'a> {
    pub(super) fn begin(format: Format, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        if format == Format::Json {
            out.push(b'{');
        }
        Self { format, out, start }
    }

    pub(super) fn end(self) {
        if self.format == Format::Json {
            self.out.push(b'}');
        }
        self.out.push(b'\n');
    }

    /// `seconds` is the time down to the second.
    pub(super) fn time(&mut self, seconds: &[u8], wall: WallTime) {
        self.name("time");
        self.quote();
        self.out.extend_from_slice(seconds);
        self.out.push(b'.');
        self.digits(wall.as_millis() % 1000, 3);
        self.out.push(b'Z');
        self.quote();
    }

    pub(super) fn request(&mut self, entry: &Entry<'_>) {
        let account = entry.account;
        self.word("client", Address::of_ip(account.client.address).as_bytes());
        self.word("peer", Address::of_ip(entry.peer).as_bytes());
        self.text("method", entry.method, MOST_METHOD);
        self.text("host", entry.host, MOST_HOST);
        self.text("path", entry.path, MOST_PATH);
        self.word("protocol", entry.protocol.as_str().as_bytes());
        self.number("status", entry.outcome.status.into());
        if let Some(location) = &account.location {
            self.text("namespace", location.object.namespace.as_bytes(), MOST_NAME);
            self.text("ingress", location.object.name.as_bytes(), MOST_NAME);
            if let Some(backend) = &location.backend {
                self.backend(backend);
            }
        }
        match entry.answer {
            Answer::Origin => {}
            Answer::Refused(reason) => self.word("reason", reason.as_str().as_bytes()),
            Answer::Failed(error) => self.word("reason", error.as_str().as_bytes()),
        }
        if let Some(hit) = account.hit {
            self.word("rule", hit.rule.as_bytes());
            self.word("rule_reason", hit.reason.as_str().as_bytes());
            self.word("mode", hit.mode.as_str().as_bytes());
        }
        if let Some(upstream) = &entry.outcome.upstream {
            self.upstream(upstream);
        }
        self.seconds("duration", entry.duration);
        self.number("bytes_in", entry.outcome.bytes_in);
        self.number("bytes_out", entry.outcome.bytes_out);
        self.word("end", entry.outcome.end.as_str().as_bytes());
        self.abort(entry.abort);
        if let Some(id) = entry.request_id {
            self.word("request_id", id.as_bytes());
        }
        self.word("lane", entry.lane.as_str().as_bytes());
    }

    pub(super) fn failure(&mut self, failed: &Failed<'_>) {
        self.word("client", Address::of_ip(failed.client).as_bytes());
        self.word("peer", Address::of_ip(failed.peer).as_bytes());
        for (name, value, most) in [
            ("method", failed.sketch.method, MOST_METHOD),
            ("host", failed.sketch.host, MOST_HOST),
            ("path", failed.sketch.path, MOST_PATH),
        ] {
            if !value.is_empty() {
                self.text(name, value, most);
            }
        }
        if let Some(protocol) = failed.sketch.protocol {
            self.word("protocol", protocol.as_str().as_bytes());
        }
        self.number("status", failed.error.map_or(0, GatewayError::status).into());
        if let Some(error) = failed.error {
            self.word("reason", error.as_str().as_bytes());
        }
        if let Some(fault) = failed.fault {
            self.word("fault", fault.as_str().as_bytes());
        }
        self.number("bytes_in", failed.bytes_in as u64);
        self.number("bytes_out", failed.bytes_out as u64);
        self.abort(failed.abort);
    }

    pub(super) fn unserved(&mut self, client: Option<(IpAddr, IpAddr)>, unserved: Unserved) {
        if let Some((client, peer)) = client {
            self.word("client", Address::of_ip(client).as_bytes());
            self.word("peer", Address::of_ip(peer).as_bytes());
        }
        self.number("status", 0);
        self.word("abort", unserved.stage().as_bytes());
        self.word("abort_reason", unserved.reason().as_bytes());
    }

    /// How many lines were left out of what happened, and why it did.
    pub(super) fn withheld(&mut self, (what, reason): (&str, Option<&str>), count: u64) {
        if let Some(reason) = reason {
            self.word("reason", reason.as_bytes());
        }
        self.word("withheld", what.as_bytes());
        self.number("lines", count);
    }

    fn abort(&mut self, abort: Option<Abort>) {
        if let Some(abort) = abort {
            self.word("abort", abort.stage.as_str().as_bytes());
            self.word("abort_reason", abort.cause.as_str().as_bytes());
        }
    }

    fn upstream(&mut self, upstream: &UpstreamOutcome) {
        self.word("upstream", Address::of_socket(upstream.address).as_bytes());
        self.number("upstream_tries", upstream.tries.into());
        self.number("upstream_status", upstream.status.into());
        self.seconds("upstream_latency", upstream.latency);
        self.word("upstream_result", upstream.result.as_str().as_bytes());
    }

    /// `service:port`; the namespace is that of the Ingress.
    fn backend(&mut self, backend: &BackendName) {
        self.name("service");
        self.quote();
        self.escape(backend.service.as_bytes(), MOST_NAME);
        self.out.push(b':');
        match &backend.port {
            PortName::Number(port) => self.digits((*port).into(), 1),
            PortName::Name(port) => self.escape(port.as_bytes(), MOST_NAME),
        }
        self.quote();
    }

    /// A value that never needs an escape.
    fn word(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        if self.format == Format::Json {
            self.out.push(b'"');
        }
        self.out.extend_from_slice(value);
        if self.format == Format::Json {
            self.out.push(b'"');
        }
    }

    /// A value that may hold any bytes.
    fn text(&mut self, name: &str, value: &[u8], most: usize) {
        self.name(name);
        self.quote();
        self.escape(value, most);
        self.quote();
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.digits(value, 1);
    }

    /// Seconds, to the microsecond.
    fn seconds(&mut self, name: &str, value: Duration) {
        self.name(name);
        self.digits(value.as_secs(), 1);
        self.out.push(b'.');
        self.digits(value.subsec_micros().into(), 6);
    }

    fn name(&mut self, name: &str) {
        match self.format {
            Format::Json => {
                if self.out.len() > self.start + 1 {
                    self.out.push(b',');
                }
                self.out.push(b'"');
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            Format::Text => {
                if self.out.len() > self.start {
                    self.out.push(b' ');
                }
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'=');
            }
        }
    }

    fn quote(&mut self) {
        self.out.push(b'"');
    }

    /// A number with zeros in front of it up to `width` digits.
    fn digits(&mut self, value: u64, width: usize) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(value);
        for _ in digits.len()..width {
            self.out.push(b'0');
        }
        self.out.extend_from_slice(digits.as_bytes());
    }

    /// At most `most` bytes of `value`, each at most six in the line. Bytes that are not printable ASCII are written
    /// one by one, as the character of their number: nothing is lost, and what is no UTF-8 needs no case of its own.
    fn escape(&mut self, value: &[u8], most: usize) {
        let mut rest = value.get(..most).unwrap_or(value);
        while !rest.is_empty() {
            let plain = rest.iter().position(|byte| !is_plain(*byte)).unwrap_or(rest.len());
            let (run, next) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
            self.out.extend_from_slice(run);
            let Some((byte, next)) = next.split_first() else { return };
            match byte {
                b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', *byte]),
                _ => {
                    let hex = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                    self.out.extend_from_slice(b"\\u00");
                    self.out.extend_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
                }
            }
            rest = next;
        }
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

const MOST_METHOD: usize = 32;
const MOST_HOST: usize = 255;
const MOST_PATH: usize = 1024;
/// Names of Kubernetes objects have at most 253 bytes.
const MOST_NAME: usize = 253;
