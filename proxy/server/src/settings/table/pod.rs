//! Rows about the pod that weir runs in.

use super::{Arity, Row};
use crate::settings::value;

/// With `--source podinfo`.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "upstream",
        placeholder: "ADDR",
        summary: "Where requests go: the port of the other container of the pod. `localhost` is 127.0.0.1. Requests are shared \
                  out among several.",
        good: "127.0.0.1:8080",
        bad: "unix:/run/app.sock",
        arity: Arity::Many(|settings| settings.pod.upstreams.clear()),
        set: |settings, text| value::upstream(text).map(|address| settings.pod.upstreams.push(address)),
        print: |_| String::new(),
    },
    Row {
        name: "tls-secret-dir",
        placeholder: "DIR",
        summary: "Folder where a Secret of type `kubernetes.io/tls` is mounted: the certificate that clients on `https` are \
                  shown. A change is in force with the next handshake. Without it a self-signed certificate is made at start.",
        good: "/etc/weir/tls",
        bad: "",
        arity: Arity::One,
        set: |settings, text| value::folder(text).map(|folder| settings.pod.tls_secret = Some(folder)),
        print: |_| String::new(),
    },
    Row {
        name: "secret-dir",
        placeholder: "NAMESPACE/NAME=DIR",
        summary: "Folder where a Secret is mounted that an annotation names, such as `auth-tls-secret` and \
                  `proxy-ssl-secret`.",
        good: "shop/clients-ca=/etc/weir/clients-ca",
        bad: "/etc/weir/clients-ca",
        arity: Arity::Many(|settings| settings.pod.secrets.clear()),
        set: |settings, text| {
            value::secret_folder(text).map(|(name, folder)| drop(settings.pod.secrets.insert(name, folder)))
        },
        print: |_| String::new(),
    },
    Row {
        name: "configmap-dir",
        placeholder: "DIR",
        summary: "Folder where the ConfigMap with the settings of the whole proxy is mounted (`docs/configmap.md`).",
        good: "/etc/weir/settings",
        bad: "",
        arity: Arity::One,
        set: |settings, text| value::folder(text).map(|folder| settings.pod.config_map = Some(folder)),
        print: |_| String::new(),
    },
];
