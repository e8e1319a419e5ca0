//! Which Ingresses are ours.
//!
//! The order is ingress-nginx's: `spec.ingressClassName`, else the annotation `kubernetes.io/ingress.class`, else the
//! rule for Ingresses without a class. A cluster's API server writes the default class into new Ingresses; a folder of
//! manifests has no API server, so the default class is looked up here too.

use super::findings::Findings;
use super::options::{Namespaces, Options};
use crate::objects::{HasMeta, Kind, Objects};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use std::collections::BTreeMap;
use weir_core::Finding;

/// Whether a class can be ours by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassByName {
    /// No: there must be an IngressClass whose `spec.controller` is ours.
    Never,
    /// An IngressClass with one of our names is ours whatever its controller says (`--ingress-class-by-name`).
    Always,
    /// Where there is no IngressClass at all, our names are enough. What a folder of manifests wants, whose author may
    /// never have seen the IngressClass that came with the old controller.
    WithoutClassObjects,
}

/// What becomes of Ingresses that name no class, where there is no default class either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutClass {
    /// They are not ours.
    Ignore,
    /// They are ours (`--watch-ingress-without-class`).
    Serve,
    /// They are ours where there is no IngressClass at all.
    ServeWithoutClassObjects,
}

/// Whether an Ingress is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Serve it.
    Ours,
    /// Leave it alone.
    Others,
}

/// The classes there are.
pub(super) struct Classes<'a> {
    objects: &'a Objects,
    options: &'a Options,
    /// Every IngressClass by name.
    claims: BTreeMap<&'a str, Claim>,
    /// The class that Ingresses without one belong to.
    default: Option<Claim>,
}

impl<'a> Classes<'a> {
    pub(super) fn new(objects: &'a Objects, options: &'a Options) -> Self {
        let claims: BTreeMap<_, _> =
            objects.ingress_classes.iter().map(|class| (class.name(), claim(class, options))).collect();
        let mut defaults =
            objects.ingress_classes.iter().filter(|class| class.annotation(DEFAULT_CLASS) == Some("true"));
        // Two defaults are a mistake of the cluster's owner. Ours wins: its limits are then in force for certain.
        let default = defaults.next().map(|first| {
            let ours = [first].into_iter().chain(defaults).any(|class| claim(class, options) == Claim::Ours);
            if ours { Claim::Ours } else { Claim::Others }
        });
        Self { objects, options, claims, default }
    }

    /// Says whose an Ingress is. One that nobody claims gets a finding, if [`Options::report_unclaimed`] asks for it.
    pub(super) fn claim(&self, ingress: &Ingress, findings: &mut Vec<Finding>) -> Claim {
        if self.options.watch_namespace.as_deref().is_some_and(|watched| watched != ingress.namespace()) {
            return Claim::Others;
        }
        if self.options.namespaces == Namespaces::Selected
            && self.objects.namespaces.get("", ingress.namespace()).is_none()
        {
            return Claim::Others;
        }
        let annotation = || ingress.annotation(CLASS_ANNOTATION);
        let (field, name, claim) = if let Some(name) = class_name(ingress) {
            ("spec.ingressClassName", name, self.by_name(name))
        } else if let Some(name) = annotation().filter(|name| !name.is_empty()) {
            (CLASS_ANNOTATION_FIELD, name, self.by_annotation(name))
        } else {
            ("spec.ingressClassName", "", self.without_class())
        };
        if let Some(claim) = claim {
            return claim;
        }
        if self.options.report_unclaimed {
            let message = match name {
                "" => "no class is named and no IngressClass is the default; this Ingress is not served"
                    .to_owned(),
                _ => format!(
                    "there is no such IngressClass and it is none of the names served ({}); this Ingress is not served",
                    self.options.class_names.join(", ")
                ),
            };
            let object = Kind::Ingress.object_ref(&ingress.metadata);
            Findings::new(&object, findings).warn(field, name, "unclaimed-ingress", message);
        }
        Claim::Others
    }

    fn by_name(&self, name: &str) -> Option<Claim> {
        let by_object = self.claims.get(name).copied();
        by_object.or_else(|| match self.options.class_by_name {
            ClassByName::WithoutClassObjects if self.claims.is_empty() && self.is_our_name(name) => {
                Some(Claim::Ours)
            }
            ClassByName::WithoutClassObjects | ClassByName::Never | ClassByName::Always => None,
        })
    }

    /// The annotation is older than IngressClass objects and never needed one.
    fn by_annotation(&self, name: &str) -> Option<Claim> {
        if self.is_our_name(name) { Some(Claim::Ours) } else { self.claims.get(name).copied() }
    }

    fn without_class(&self) -> Option<Claim> {
        self.default.or(match self.options.without_class {
            WithoutClass::Serve => Some(Claim::Ours),
            WithoutClass::ServeWithoutClassObjects if self.claims.is_empty() => Some(Claim::Ours),
            WithoutClass::ServeWithoutClassObjects | WithoutClass::Ignore => None,
        })
    }

    fn is_our_name(&self, name: &str) -> bool {
        self.options.class_names.iter().any(|ours| ours == name)
    }
}

fn claim(class: &IngressClass, options: &Options) -> Claim {
    let controller = class.spec.as_ref().and_then(|spec| spec.controller.as_deref()).unwrap_or_default();
    let by_controller = options.controllers.iter().any(|ours| ours == controller);
    let by_name = options.class_by_name == ClassByName::Always
        && options.class_names.iter().any(|name| name == class.name());
    if by_controller || by_name { Claim::Ours } else { Claim::Others }
}

fn class_name(ingress: &Ingress) -> Option<&str> {
    ingress.spec.as_ref()?.ingress_class_name.as_deref().filter(|name| !name.is_empty())
}

const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const CLASS_ANNOTATION_FIELD: &str = "metadata.annotations[kubernetes.io/ingress.class]";
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";
