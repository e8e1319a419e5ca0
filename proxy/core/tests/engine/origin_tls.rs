//! What origins have to show, and what is shown to them.

use crate::support::{backend, declare, engine, get, with};
use crate::tls::{anchors, answer, authorities, certificate, codes, name, pair, with_secrets};
use weir_core::declaration::Ingress;
use weir_core::policy::{Policy, Profile, Protocol, Settings};
use weir_core::tls::{Content, SecretContent, SecretName};
use weir_core::verdict::Reason;
use weir_limits::Instant;

fn origin(change: impl FnOnce(&mut Policy)) -> Ingress {
    with("web", |policy| {
        policy.origin.protocol = Protocol::Https;
        change(policy);
    })
}

#[test]
fn an_origin_is_verified_with_what_the_secret_holds() {
    let engine = engine(with_secrets(
        declare([origin(|policy| {
            policy.origin.tls.secret = Some(name("origin"));
            policy.origin.tls.verify = true;
            policy.origin.tls.depth = 3;
        })]),
        [("origin", SecretContent { pair: pair(1, &["client"]), anchors: anchors(2) })],
    ));
    let ticket = get("/").pass(&engine, Instant::START);
    let tls = ticket.location().unwrap().origin_tls().unwrap().clone();
    assert_eq!(tls.name, "web.shop.svc");
    assert_eq!(tls.pair.as_ref().unwrap().chain[0], [1]);
    let verify = tls.verify.as_ref().unwrap();
    assert_eq!((verify.anchors.roots[0].as_slice(), verify.depth), ([2].as_slice(), 3));
    assert_eq!(codes(&engine), []);
}

#[test]
fn an_origin_that_cannot_be_verified_is_not_asked() {
    let verify: fn(&mut Policy) = |policy| policy.origin.tls.verify = true;
    let secret: fn(&mut Policy) = |policy| policy.origin.tls.secret = Some(name("origin"));
    let both: fn(&mut Policy) = |policy| {
        policy.origin.tls.secret = Some(name("origin"));
        policy.origin.tls.verify = true;
    };
    let foreign: fn(&mut Policy) =
        |policy| policy.origin.tls.secret = Some(SecretName::new("bank", "origin"));
    let good = SecretContent { pair: pair(1, &["client"]), anchors: anchors(2) };
    type Case = (&'static str, fn(&mut Policy), Option<SecretContent>);
    let cases: [Case; 8] = [
        ("no secret is named", verify, None),
        ("the secret is missing", secret, None),
        ("the secret is of another namespace", foreign, Some(good)),
        ("the secret holds no authorities", both, Some(certificate(pair(1, &["client"])))),
        ("the secret holds nothing", secret, Some(SecretContent::default())),
        (
            "the certificate is broken",
            secret,
            Some(SecretContent { pair: Content::Broken, anchors: anchors(1) }),
        ),
        ("the authorities are broken", both, Some(authorities(Content::Broken))),
        (
            "they are broken and not needed",
            secret,
            Some(SecretContent { pair: pair(1, &[]), anchors: Content::Broken }),
        ),
    ];
    for (what, change, content) in cases {
        for profile in [Profile::Weir, Profile::IngressNginx] {
            let mut declaration = declare([origin(change)]);
            declaration.settings = Settings::of(profile);
            declaration.secrets.extend(content.clone().map(|content| (name("origin"), content)));
            let engine = engine(declaration);
            assert_eq!(get("/").reason(&engine), (503, Reason::BrokenPolicy), "{what}");
            let codes: Vec<_> = codes(&engine).into_iter().map(|(_, code)| code).collect();
            assert_eq!(codes, ["no-origin-tls"], "{what}");
        }
    }
}

#[test]
fn a_verification_of_what_is_not_encrypted_is_refused_or_told() {
    for (profile, passes) in [(Profile::Weir, false), (Profile::IngressNginx, true)] {
        let mut declaration = declare([with("web", |policy| policy.origin.tls.verify = true)]);
        declaration.settings = Settings::of(profile);
        let engine = engine(declaration);
        assert_eq!(answer(&engine, &get("/").facts()).is_none(), passes);
        assert_eq!(codes(&engine).len(), 1);
    }
}

#[test]
fn without_verification_any_certificate_will_do() {
    let engine = engine(declare([origin(|policy| policy.origin.tls.name = Some("api.example".to_owned()))]));
    let ticket = get("/").pass(&engine, Instant::START);
    let tls = ticket.location().unwrap().origin_tls().unwrap();
    assert_eq!((tls.name.as_str(), tls.verify.is_none()), ("api.example", true));
    assert_eq!(ticket.backend().name, backend());
}
