use super::*;
use std::sync::Arc;
use weir_core::Engine;
use weir_core::declaration::Declaration;
use weir_core::finding::ObjectRef;
use weir_core::tls::{Content, KeyKind, KeyPair, SecretContent, SecretKey};

fn look(watch: &mut Watch, not_after: i64, fingerprint: u8, now: i64) -> Option<(Stage, i64)> {
    let name = SecretName::new("shop", "cert");
    let pair = KeyPair {
        source: ObjectRef::new("Secret", "shop", "cert"),
        chain: vec![vec![0]],
        key: SecretKey::new(KeyKind::Pkcs8, Vec::new()),
        fingerprint: Fingerprint::new([fingerprint; 32]),
        not_after,
        names: Vec::new(),
    };
    let content = SecretContent { pair: Content::Good(Arc::new(pair)), ..SecretContent::default() };
    let engine = Engine::default();
    let snapshot =
        engine.replace(Declaration { secrets: [(name.clone(), content)].into(), ..Declaration::default() });
    let notices = watch.look(snapshot.secrets(), now);
    assert!(notices.iter().all(|notice| notice.secret == name) && notices.len() < 2);
    notices.first().map(|notice| (notice.stage, notice.days))
}

#[test]
fn each_stage_is_told_once() {
    let (mut watch, end) = (Watch::default(), 100 * DAY);
    assert_eq!(look(&mut watch, end, 1, end - 15 * DAY), None);
    assert_eq!(look(&mut watch, end, 1, end - 14 * DAY), Some((Stage::Soon, 14)));
    assert_eq!(look(&mut watch, end, 1, end - 13 * DAY), None);
    assert_eq!(look(&mut watch, end, 1, end - 3 * DAY), Some((Stage::Near, 3)));
    assert_eq!(look(&mut watch, end, 1, end - 1), None);
    assert_eq!(look(&mut watch, end, 1, end), Some((Stage::Over, 0)));
    assert_eq!(look(&mut watch, end, 1, end + 9 * DAY), None);
    // Another certificate is another matter.
    assert_eq!(look(&mut watch, end, 2, end + 9 * DAY), Some((Stage::Over, -9)));
    assert_eq!(look(&mut watch, end + 90 * DAY, 3, end + 9 * DAY), None);
    assert_eq!(look(&mut watch, i64::MAX, 4, i64::MIN), None);
}
