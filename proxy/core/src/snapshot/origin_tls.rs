//! `proxy-ssl-*` made ready: what was asked for, with the Secret's content, or why it cannot be done.

use super::hosts;
use crate::finding::ObjectRef;
use crate::policy::{Policy, Profile};
use crate::tls::{OriginTls, OriginVerify, SecretName, SecretState, Secrets};

/// What an object's connections to its origins need; without the name, which is the location's. `Ok(None)` where TLS is
/// never spoken.
pub(super) fn ready(
    policy: &Policy,
    profile: Profile,
    object: &ObjectRef,
    secrets: &Secrets,
) -> Result<Ready, Problem> {
    let asked = &policy.origin.tls;
    let (mut pair, mut anchors) = (None, None);
    if let Some(name) = &asked.secret {
        let problem = |why| Problem { annotation: "proxy-ssl-secret", value: name.to_string(), why };
        readable(name, object, secrets).map_err(problem)?;
        pair = secrets.pair(name).cloned();
        anchors = secrets.anchors(name).cloned();
    }
    let mut note = None;
    if asked.verify {
        let problem = |why: &str| Problem {
            annotation: "proxy-ssl-verify",
            value: "on".to_owned(),
            why: why.to_owned(),
        };
        if !policy.origin.protocol.may_encrypt() {
            let plain =
                problem("backend-protocol is not encrypted, so no certificate of the origin can be checked");
            match profile {
                Profile::Weir => return Err(plain),
                Profile::IngressNginx => note = Some(plain),
            }
        } else if anchors.is_none() {
            return Err(problem(
                "there are no authorities to check with: expected ca.crt in the Secret of proxy-ssl-secret",
            ));
        }
    }
    let verify = asked.verify.then_some(anchors).flatten();
    let tls = policy.origin.protocol.may_encrypt().then(|| OriginTls {
        pair,
        verify: verify.map(|anchors| OriginVerify { anchors, depth: asked.depth }),
        name: asked.name.clone().unwrap_or_default(),
        send_name: asked.send_name,
        versions: asked.versions,
    });
    Ok(Ready { tls, note })
}

/// What is ready.
pub(super) struct Ready {
    pub(super) tls: Option<OriginTls>,
    /// What is not as its author may think, and passes all the same.
    pub(super) note: Option<Problem>,
}

/// Why nothing may pass.
pub(super) struct Problem {
    pub(super) annotation: &'static str,
    pub(super) value: String,
    /// Said without its end.
    pub(super) why: String,
}

/// Whether a Secret can be used by `object`, and all that is in it can.
fn readable(name: &SecretName, object: &ObjectRef, secrets: &Secrets) -> Result<(), String> {
    if name.namespace != object.namespace {
        return Err("Secrets of other namespaces are not read".to_owned());
    }
    match (secrets.pair_state(name), secrets.anchors_state(name)) {
        (SecretState::Broken, _) => Err(format!("the certificate in Secret {name} cannot be used")),
        (SecretState::Absent, _) => hosts::anchors(name, secrets).map(drop),
        (_, SecretState::Broken) => hosts::anchors(name, secrets).map(drop),
        _ => Ok(()),
    }
}
