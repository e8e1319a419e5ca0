use super::*;

#[test]
fn nothing_gives_nothing() {
    let (declaration, findings) = translate(&Objects::default(), &Options::manifests());
    assert!(declaration.ingresses.is_empty() && declaration.backends.is_empty() && findings.is_empty());
}
