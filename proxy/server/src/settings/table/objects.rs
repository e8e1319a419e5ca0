//! Rows about Ingresses and what they lead to, from a cluster or from a folder.

use super::{Arity, Row, object};
use crate::settings::value;
use weir_kubernetes::translate::{CatchAll, ExternalNames};

/// With `--source kubernetes` and `--source manifests`.
pub(super) static ROWS: &[Row] = &[
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
        name: "disable-catch-all",
        placeholder: "",
        summary: "Leave out Ingresses that have a default backend and no rules, and so take every host.",
        good: "true",
        bad: "all",
        arity: Arity::Switch,
        set: |settings, text| {
            value::switch(text)
                .map(|off| settings.objects.catch_all = if off { CatchAll::Ignore } else { CatchAll::Serve })
        },
        print: |settings| (settings.objects.catch_all == CatchAll::Ignore).to_string(),
    },
    Row {
        name: "disable-svc-external-name",
        placeholder: "",
        summary: "Serve no Services of type ExternalName; their requests get 503. Whoever may write a Service then chooses no \
                  host that weir can reach and they cannot.",
        good: "true",
        bad: "never",
        arity: Arity::Switch,
        set: |settings, text| {
            value::switch(text).map(|off| {
                settings.objects.external_names =
                    if off { ExternalNames::Refuse } else { ExternalNames::Serve };
            })
        },
        print: |settings| (settings.objects.external_names == ExternalNames::Refuse).to_string(),
    },
    Row {
        name: "enable-topology-aware-routing",
        placeholder: "",
        summary: "Prefer endpoints that Kubernetes hints at for our zone, where it has hints for all of a Service. The zone is \
                  `zone`, or the label `topology.kubernetes.io/zone` of the node in `NODE_NAME`, which weir must be allowed \
                  to `get`.",
        good: "true",
        bad: "auto",
        arity: Arity::Switch,
        set: |settings, text| value::switch(text).map(|on| settings.objects.topology_aware_routing = on),
        print: |settings| settings.objects.topology_aware_routing.to_string(),
    },
    Row {
        name: "zone",
        placeholder: "ZONE",
        summary: "The zone that we are in, for `enable-topology-aware-routing`.",
        good: "eu-central-1a",
        bad: "",
        arity: Arity::One,
        set: |settings, text| value::name(text).map(|zone| settings.objects.zone = Some(zone)),
        print: |_| String::new(),
    },
];
