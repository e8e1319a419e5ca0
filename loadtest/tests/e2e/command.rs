//! The program: exit codes, outputs, and what it refuses.

use std::path::Path;
use std::process::{Command, Output};
use weir_loadtest::origin::Origin;
use weir_loadtest::scenario::OriginBehaviour;

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir-loadtest")).args(arguments).output().unwrap()
}

fn scenario(folder: &Path, status: u16) -> String {
    let path = folder.join("scenario.yaml");
    let text = format!(
        "
name: short
classes: [{{name: a, arrivals: {{kind: constant, rate: 20}}}}]
phases: [{{name: only, duration: 1s}}]
expect: [{{kind: status, class: a, status: {status}, at-least: 100%}}]
generator: {{lag: 1s}}
"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn exit_codes_say_passed_failed_and_bad_input() {
    let origin = Origin::start(OriginBehaviour::default()).unwrap();
    let url = format!("http://{}", origin.address);
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let json = json.to_str().unwrap();

    let passed = program(&["run", &scenario(folder.path(), 200), "--target", &url, "--json", json]);
    assert_eq!(passed.status.code(), Some(0), "{}", stderr(&passed));
    let text = String::from_utf8(passed.stdout).unwrap();
    assert!(text.contains("20 planned, 20 admitted") && text.contains("ok   a: status 200"), "{text}");
    // Nothing but the summary where nobody looks.
    assert_eq!(String::from_utf8(passed.stderr).unwrap(), "");
    let reports: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    let schema = include_str!("../../schema/report.json");
    assert_eq!(crate::schema::mistakes(&serde_json::from_str(schema).unwrap(), &reports[0]), [""; 0]);

    let failed = program(&["run", &scenario(folder.path(), 204), "--target", &url]);
    assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));

    let path = folder.path().join("bad.yaml");
    std::fs::write(&path, "name: bad\nphases: 3\n").unwrap();
    for arguments in
        [&["check", path.to_str().unwrap()][..], &["run", path.to_str().unwrap(), "--target", &url]]
    {
        let bad = program(arguments);
        assert_eq!(bad.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&bad).contains("phases: 3: expected a list"), "{}", stderr(&bad));
        assert!(stderr(&bad).contains("classes: is missing"), "{}", stderr(&bad));
    }
}

#[test]
fn load_stays_on_this_machine_unless_it_is_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let refused = program(&["run", &scenario(folder.path(), 200), "--target", "http://192.0.2.1:80"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--anywhere"), "{}", stderr(&refused));
    let nothing = program(&["run", &scenario(folder.path(), 200)]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("no target"), "{}", stderr(&nothing));
}
