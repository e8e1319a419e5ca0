//! What is released says what it is: versions, licences, the workflows, the image.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One version for all crates, the one that the change log has last; what comes after it is under "Unreleased".
#[test]
fn the_change_log_and_the_crates_have_one_version() {
    let version = env!("CARGO_PKG_VERSION");
    let ours = packages().into_iter().filter(|package| package["source"].is_null());
    for package in ours.filter(|package| !package["manifest_path"].as_str().unwrap().contains("/vendor/")) {
        assert_eq!(package["version"], version, "{}", package["name"]);
        assert_eq!(package["license"], "Apache-2.0", "{}", package["name"]);
        assert_eq!(package["publish"], Value::Array(Vec::new()), "{}", package["name"]);
    }
    let log = read("CHANGELOG.md");
    let headings: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(sections(&headings, version), Ok(()));
    let image = read("deploy/image/Dockerfile");
    assert!(image.contains(&format!("ARG VERSION={version}\n")), "the label of the image");
}

/// Headings of a change log: "Unreleased" first, then versions from new to old, the first of which is `current`.
fn sections(headings: &[&str], current: &str) -> Result<(), String> {
    let released = match headings {
        ["Unreleased", released @ ..] => released,
        released => released,
    };
    let number = |heading: &str| {
        let version = heading.split(' ').next().unwrap_or_default();
        let parts: Option<Vec<u64>> = version.split('.').map(|part| part.parse().ok()).collect();
        parts.filter(|parts| parts.len() == 3).ok_or_else(|| format!("{heading:?} is no version"))
    };
    let numbers = released.iter().map(|heading| number(heading)).collect::<Result<Vec<_>, _>>()?;
    if !numbers.is_sorted_by(|newer, older| newer > older) {
        return Err(format!("not from new to old: {released:?}"));
    }
    match released.first() {
        Some(first) if first.split(' ').next() == Some(current) => Ok(()),
        first => Err(format!("the last version is {current}, and the change log begins with {first:?}")),
    }
}

#[test]
fn a_change_log_in_disorder_is_noticed() {
    assert_eq!(sections(&["Unreleased", "0.2.0 - 2026-01-02", "0.1.0"], "0.2.0"), Ok(()));
    for (headings, current) in [
        (&["Unreleased", "0.1.0"][..], "0.2.0"),
        (&["0.1.0", "0.2.0"], "0.1.0"),
        (&["Unreleased", "next"], "0.1.0"),
        (&["Unreleased"], "0.1.0"),
    ] {
        assert!(sections(headings, current).is_err(), "{headings:?}");
    }
}

#[test]
fn the_version_is_printed() {
    let output = Command::new(env!("CARGO_BIN_EXE_weir")).arg("--version").output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = match option_env!("WEIR_COMMIT") {
        Some(commit) if !commit.is_empty() => format!("weir {version} ({commit})\n"),
        _ => format!("weir {version}\n"),
    };
    assert_eq!(printed, expected);
}

/// `cargo deny` says so too where it is installed; this one is always there.
#[test]
fn every_crate_has_a_licence_that_is_allowed() {
    let deny = read("deny.toml");
    let list = deny.split("\nallow = [").nth(1).unwrap().split(']').next().unwrap();
    let allowed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(allowed.contains("Apache-2.0") && allowed.len() > 4, "{allowed:?}");
    let packages = packages();
    assert!(packages.len() > 300, "{}", packages.len());
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(|licence| is_allowed(licence, &allowed)))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Whether an SPDX expression can be kept to by licences that are allowed.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    // `/` is how crates wrote OR once. AND binds closer, and an exception is a part of its licence.
    let text = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let all_of = |text: &str| text.split(" AND ").all(|licence| allowed.contains(licence.trim()));
    match expression.contains('(') && expression.contains(" AND ") {
        // (A OR B) AND C: each part by itself.
        true => expression.split(" AND ").all(|part| is_allowed(part.trim_matches(['(', ')']), allowed)),
        false => text.split(" OR ").any(all_of),
    }
}

#[test]
fn a_licence_that_is_not_allowed_is_noticed() {
    let allowed = BTreeSet::from(["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]);
    for fine in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-3.0) AND Apache-2.0"] {
        assert!(is_allowed(fine, &allowed), "{fine}");
    }
    assert!(is_allowed("Apache-2.0 WITH LLVM-exception OR GPL-3.0", &allowed));
    for not in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-3.0", ""] {
        assert!(!is_allowed(not, &allowed), "{not}");
    }
}

/// They are YAML, do what people do, and run nobody's code by a name that its owner can move.
#[test]
fn workflows_are_sound() {
    let folder = root().join(".github/workflows");
    let names: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, BTreeSet::from(["ci.yml".to_owned(), "release.yml".to_owned()]));
    for name in &names {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let workflow: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(complaints(&workflow), Vec::<String>::new(), "{name}");
        let commands = commands(&workflow);
        assert!(commands.contains("bash .ci/run"), "{name} does not run what people run");
        // A file that a workflow runs is there.
        for word in commands.split_whitespace().filter(|word| word.starts_with("deploy/")) {
            assert!(root().join(word).exists(), "{name} runs {word}, which is not there");
        }
    }
}

/// What is wrong with a workflow.
fn complaints(workflow: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    if workflow["permissions"] != serde_json::json!({"contents": "read"}) {
        complaints.push("its jobs may do more than read unless each says so".to_owned());
    }
    for (name, job) in workflow["jobs"].as_object().into_iter().flatten() {
        if !job["timeout-minutes"].is_u64() {
            complaints.push(format!("{name} has no time limit"));
        }
        for step in job["steps"].as_array().into_iter().flatten() {
            if let Some(uses) = step["uses"].as_str() {
                let version = uses.rsplit_once("@v").map(|(_, version)| version);
                if version.is_none_or(|version| version.split('.').count() != 3) {
                    complaints.push(format!("{uses} is no exact version"));
                }
            }
            // A name or a title that somebody chose must not become a part of a command.
            if step["run"].as_str().is_some_and(|run| run.contains("${{")) {
                complaints.push(format!("{name} puts an expression into a command"));
            }
        }
    }
    complaints
}

#[test]
fn a_workflow_that_is_not_sound_is_noticed() {
    let text = "permissions: write-all\njobs:\n  a:\n    steps:\n      - uses: x/y@main\n      - run: echo ${{ github.ref }}\n";
    assert_eq!(complaints(&serde_saphyr::from_str(text).unwrap()).len(), 4);
}

/// All commands of all jobs.
fn commands(workflow: &Value) -> String {
    let jobs = workflow["jobs"].as_object().unwrap().values();
    let steps = jobs.flat_map(|job| job["steps"].as_array().unwrap());
    steps.filter_map(|step| step["run"].as_str()).collect::<Vec<_>>().join("\n")
}

/// An image whose first line of defence is what it lacks.
#[test]
fn the_image_is_made_from_nothing_and_runs_as_nobody() {
    let text = read("deploy/image/Dockerfile");
    let mut stages = BTreeMap::<&str, (&str, Vec<&str>)>::new();
    let mut current = "";
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(from) = line.strip_prefix("FROM ") {
            let (base, name) = from.split_once(" AS ").unwrap();
            current = name;
            stages.insert(name, (base, Vec::new()));
        } else {
            stages.get_mut(current).unwrap().1.push(line);
        }
    }
    assert_eq!(current, "weir", "the last stage is what is built by default");
    let (base, runtime) = &stages["runtime"];
    assert_eq!(*base, "scratch");
    assert!(runtime.contains(&"USER 65532:65532") && runtime.contains(&r#"ENTRYPOINT ["/weir"]"#));
    for stage in ["prebuilt", "weir"] {
        let (base, lines) = &stages[stage];
        assert_eq!(*base, "runtime");
        assert!(
            lines.len() == 1 && lines[0].starts_with("COPY ") && lines[0].ends_with(" /weir"),
            "{lines:?}"
        );
    }
    let (base, builder) = &stages["builder"];
    let oldest = read("Cargo.toml");
    let oldest = oldest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(*base, format!("rust:{oldest}-bookworm"), "the oldest Rust that weir is built with");
    assert!(builder.iter().any(|line| line.contains("deploy/image/build /out")));
}

/// The bill of materials names each crate that is in the binary, with its licence and checksum, and nothing that only tests need.
#[test]
fn the_bill_of_materials_is_whole() {
    let script = root().join("deploy/image/sbom");
    let Ok(output) = Command::new("/usr/bin/python3").arg(script).output() else {
        // Past the capture of a test that passes.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: there is no /usr/bin/python3\n"),
        );
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bill: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    assert_eq!(bill["metadata"]["component"]["version"], env!("CARGO_PKG_VERSION"));
    let components = bill["components"].as_array().unwrap();
    let named = |name: &str| components.iter().find(|component| component["name"] == name);
    for name in ["weir-core", "weir-limits", "pingora-core", "ring", "rustls", "tokio", "mimalloc"] {
        assert!(named(name).is_some(), "{name}");
    }
    for name in ["proptest", "divan", "weir-apiserver", "cc", "weir-loadtest"] {
        assert!(named(name).is_none(), "{name}");
    }
    for component in components {
        let name = component["name"].as_str().unwrap();
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        let ours = name.starts_with("weir") || name == "libz-ng-sys";
        assert_eq!(component["hashes"].is_array(), !ours, "{component}");
    }
}

/// A scanner for what people forget in Dockerfiles and workflows.
#[test]
fn checkov_finds_nothing_in_the_image_or_the_workflows_that_is_not_explained() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("checkov").is_file()) {
        let required = std::env::var("WEIR_TEST_PEERS").is_ok_and(|value| value == "required");
        assert!(!required, "checkov is not installed");
        // Past the capture of a test that passes.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: checkov is not installed\n"),
        );
        return;
    }
    let copy = tempfile::Builder::new().prefix("release-").tempdir().unwrap();
    let judged = |framework: &str, file: &str| -> Value {
        // Its schema of workflows is older than attestations, and what it cannot read it passes over.
        let text = read(file).replace("      attestations: write\n", "");
        fs::create_dir_all(copy.path().join(file).parent().unwrap()).unwrap();
        fs::write(copy.path().join(file), text).unwrap();
        let mut command = Command::new("checkov");
        command.args(["--framework", framework, "--output", "json", "--soft-fail", "--file", file]);
        let output = command.current_dir(copy.path()).output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    };
    for (framework, file, least) in [
        ("dockerfile", "deploy/image/Dockerfile", 20),
        ("github_actions", ".github/workflows/ci.yml", 5),
        ("github_actions", ".github/workflows/release.yml", 5),
    ] {
        let report = judged(framework, file);
        assert!(report["summary"]["passed"].as_u64().unwrap_or(0) >= least, "{file}: {}", report["summary"]);
        assert_eq!(report["results"]["failed_checks"], Value::Array(Vec::new()), "{file}");
        for skipped in report["results"]["skipped_checks"].as_array().into_iter().flatten() {
            let why = skipped["check_result"]["suppress_comment"].as_str().unwrap_or_default();
            assert!(why.len() > 20, "{file}: {} is skipped without a word", skipped["check_id"]);
        }
    }
}

/// What cargo knows of everything that is built.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
