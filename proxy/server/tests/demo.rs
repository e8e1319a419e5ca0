//! What the README's first command promises.

use std::path::PathBuf;
use std::process::Command;

#[test]
fn every_claim_of_the_demo_holds() {
    let named = std::env::var_os("WEIR_TEST_BINARY").map(PathBuf::from);
    let binary = named.unwrap_or_else(|| env!("CARGO_BIN_EXE_weir").into());
    let output = Command::new(binary).args(["demo", "--check"]).output();
    let output = output.expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.lines().count() >= 10 && text.lines().all(|line| line.starts_with("ok ")), "{text}");
}
