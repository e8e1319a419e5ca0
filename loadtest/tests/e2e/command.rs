//! The program: exit codes, outputs, and what it refuses.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
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

/// Runs the program with a terminal as its standard error; what the terminal was sent.
fn on_a_terminal(arguments: &[&str]) -> (Output, String) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let path = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let program_side = File::options().read(true).write(true).open(path).unwrap();
    // A terminal without a size shows nothing.
    let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&program_side, size).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir-loadtest"));
    command.args(arguments).env("TERM", "xterm").stdout(Stdio::piped()).stderr(program_side);
    let child = command.spawn().unwrap();
    // Ours is the last one that has the program's side open, but for the program.
    drop(command);
    let reading = std::thread::spawn(move || {
        let (mut terminal, mut shown, mut bytes) = (File::from(terminal), Vec::new(), [0; 4096]);
        // The end of a terminal is an error.
        while let Ok(count @ 1..) = terminal.read(&mut bytes) {
            shown.extend_from_slice(&bytes[..count]);
        }
        String::from_utf8_lossy(&shown).into_owned()
    });
    (child.wait_with_output().unwrap(), reading.join().unwrap())
}

#[test]
fn a_terminal_shows_a_bar_that_grows_and_goes_and_nothing_else_does() {
    let origin = Origin::start(OriginBehaviour::default()).unwrap();
    let url = format!("http://{}", origin.address);
    let folder = tempfile::tempdir().unwrap();
    let path = scenario(folder.path(), 200);
    let (output, shown) = on_a_terminal(&["run", &path, "--target", &url]);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    // Some of the 20 requests before the end, and then the line is cleared.
    let seen: BTreeSet<u64> = shown
        .split("/20 requests")
        .filter_map(|before| before.rsplit([' ', '/']).next()?.parse().ok())
        .collect();
    assert!(seen.iter().any(|done| (1..20).contains(done)), "{seen:?} in {shown:?}");
    assert!(shown.ends_with("\u{1b}[2K") || shown.ends_with("\u{1b}[2K\r"), "{shown:?}");
    // The summary goes to standard output, without a bar and without colours.
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("short -> ") && !text.contains(['\u{1b}', '\r', '█']), "{text:?}");

    // With the same options, and nobody who looks.
    let quiet = program(&["run", &path, "--target", &url]);
    assert_eq!((quiet.status.code(), stderr(&quiet)), (Some(0), String::new()));
    assert!(!String::from_utf8(quiet.stdout).unwrap().contains(['\u{1b}', '\r', '█']));
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
