//! Rows about the API server of a cluster: how it is reached, what is taken from it, and what is written back.

use super::{Arity, Row, object};
use crate::settings::selector;
use crate::settings::value;
use std::time::Duration;
use weir_kubernetes::publish::{AtTheEnd, Events, NodeAddress};

/// With `--source kubernetes`.
pub(super) static ROWS: &[Row] = &[
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
        name: "apiserver-host",
        placeholder: "URL",
        summary: "Where the API server is, in place of what the kubeconfig or the pod says. Who we are to it comes from these all \
                  the same, if there is one.",
        good: "https://192.0.2.1:6443",
        bad: "192.0.2.1",
        arity: Arity::One,
        set: |settings, text| value::url(text).map(|url| settings.objects.apiserver_host = url),
        print: |_| String::new(),
    },
    Row {
        name: "certificate-authority",
        placeholder: "FILE",
        summary: "Certificates (PEM) of the authorities that the server of `apiserver-host` is verified by. Without \
                  `apiserver-host` it has no effect.",
        good: "/etc/weir/ca.crt",
        bad: "",
        arity: Arity::One,
        set: |settings, text| {
            value::file(text).map(|file| settings.objects.certificate_authority = Some(file))
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
            selector::check(text)?;
            settings.objects.watch_namespace_selector = Some(text.to_owned());
            Ok(())
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
];
