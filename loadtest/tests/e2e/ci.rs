//! The examples for continuous integration: that they can be read, and that what they run is there.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(name: &str) -> Value {
    let path = root().join("loadtest/ci").join(name);
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The files that a command leaves behind, after a look at everything that it names.
fn written_by(commands: &[String]) -> Vec<String> {
    let [build, run] = commands else { panic!("two commands: {commands:?}") };
    let build: Vec<_> = build.split_whitespace().collect();
    assert_eq!(build[..3], ["cargo", "build", "--release"]);
    let packages: Vec<_> = build[3..].chunks(2).map(|pair| (pair[0], pair[1])).collect();
    for (flag, package) in packages {
        assert_eq!(flag, "--package");
        let manifests = ["loadtest", "proxy/server"].map(|folder| root().join(folder).join("Cargo.toml"));
        let named = |path: &PathBuf| {
            std::fs::read_to_string(path).unwrap().contains(&format!("name = \"{package}\""))
        };
        assert!(manifests.iter().any(named), "no package is called {package}");
    }
    let run: Vec<_> = run.split_whitespace().collect();
    assert_eq!(run[..2], ["target/release/weir-loadtest", "run"]);
    // Every option is one that the program has: it says so before it says how to use it.
    let mut program = Command::new(env!("CARGO_BIN_EXE_weir-loadtest"));
    let output = program.args(&run[1..]).arg("--help").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(run.last(), Some(&"loadtest/scenarios/*.yaml"));
    let scenarios = std::fs::read_dir(root().join("loadtest/scenarios")).unwrap();
    let scenarios: Vec<_> = scenarios.map(|file| file.unwrap().path()).collect();
    assert!(scenarios.len() > 10);
    let check =
        Command::new(env!("CARGO_BIN_EXE_weir-loadtest")).arg("check").args(scenarios).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let mut files: Vec<_> =
        run.iter().filter(|word| word.starts_with("limits.")).map(ToString::to_string).collect();
    files.sort_unstable();
    files
}

#[test]
fn the_example_for_github_runs_what_is_there_and_keeps_what_it_writes() {
    let workflow = read("github-actions.yml");
    let job = &workflow["jobs"]["limits"];
    let steps = job["steps"].as_array().unwrap();
    let commands: Vec<_> = steps.iter().filter_map(|step| Some(step["run"].as_str()?.to_owned())).collect();
    let written = written_by(&commands);
    let upload =
        steps.iter().find(|step| step["uses"].as_str().is_some_and(|uses| uses.contains("upload"))).unwrap();
    let mut kept: Vec<_> = upload["with"]["path"].as_str().unwrap().lines().map(str::to_owned).collect();
    kept.sort_unstable();
    assert_eq!(kept, written);
    // After a failure, too: that is when somebody looks.
    assert_eq!(upload["if"], "always()");
    assert!(job["timeout-minutes"].is_u64() && job["runs-on"].is_string() && !workflow["on"].is_null());
}

#[test]
fn the_example_for_gitlab_runs_what_is_there_and_keeps_what_it_writes() {
    let job = &read("gitlab-ci.yml")["limits"];
    let written = written_by(&texts(&job["script"]));
    let artifacts = &job["artifacts"];
    let mut kept = texts(&artifacts["paths"]);
    kept.push(artifacts["reports"]["junit"].as_str().unwrap().to_owned());
    kept.sort_unstable();
    assert_eq!(kept, written);
    assert_eq!(artifacts["when"], "always");
    assert!(job["image"].is_string() && job["timeout"].is_string());
}
