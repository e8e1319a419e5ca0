//! What holds for the files of the project as such.
//!
//! A rule that nobody checks is lost; these are checked with every run of the tests. Each rule is a function from a path
//! and a text to complaints, so that it can be tried on a text that breaks it.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the project: its path from the root, and its text.
struct File {
    path: String,
    text: String,
}

/// Whether a path is one of the project's: what links and documents are held against.
type Exists<'a> = &'a dyn Fn(&str) -> bool;

#[test]
fn modules_are_short() {
    complain(|file| too_long(&file.path, &file.text));
}

#[test]
fn no_file_names_a_machine() {
    complain(|file| machine_paths(&file.text));
}

#[test]
fn tests_neither_sleep_nor_hide_and_nothing_is_unsafe() {
    complain(|file| forbidden_words(&file.path, &file.text));
}

#[test]
fn links_lead_somewhere() {
    let texts: BTreeMap<_, _> = files().into_iter().map(|file| (file.path, file.text)).collect();
    complain(|file| broken_links(&file.path, &file.text, &|path| texts.get(path).cloned()));
}

/// The documents may name a file or a test only if it is there.
#[test]
fn documents_name_files_and_tests_that_are_there() {
    let files = files();
    let folders: BTreeSet<&str> = files.iter().flat_map(|file| folders_of(&file.path)).collect();
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let functions: BTreeSet<&str> = files
        .iter()
        .filter(|file| is_rust(&file.path))
        .flat_map(|file| file.text.lines().filter_map(function))
        .collect();
    let is_path = |name: &str| paths.contains(name) || folders.contains(name.trim_end_matches('/'));
    let metrics = files.iter().find(|file| file.path == "docs/metrics.md").map_or("", |file| &file.text);
    let is_metric = |name: &str| metrics.contains(&format!("`{}`", name.trim_end_matches("_bucket")));
    let is_known = |name: &str| functions.contains(name) || is_metric(name);
    complain(|file| unknown_names(&file.path, &file.text, &is_path, &is_known));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for file in files().iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let inherits = file.text.contains("[lints]\nworkspace = true");
        assert!(inherits || file.path.starts_with(VENDOR), "{} has no [lints] workspace = true", file.path);
    }
}

/// `limits <- core <- kubernetes <- {server, loadtest}` and `limits <- http2 <- server`. Only server and loadtest serve or
/// send requests; kubernetes knows the API server.
#[test]
fn crates_depend_to_the_left_only() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let lock = packages(&read("Cargo.lock"));
    let reachable = |manifest: &str| closure(&lock, dependencies(&read(manifest)));

    assert_eq!(dependencies(&read("limits/Cargo.toml")), Vec::<String>::new());
    let shell = ["tokio", "hyper", "axum", "pingora-core", "pingora-proxy", "mio", "socket2", "rustix"];
    let cluster = ["kube", "kube-client", "k8s-openapi", "notify"];
    let core = reachable("proxy/core/Cargo.toml");
    assert!(core.contains("weir-limits"));
    for name in shell.iter().chain(&cluster).chain(&["weir-kubernetes", "weir", "tracing"]) {
        assert!(!core.contains(*name), "weir-core depends on {name}");
    }
    let http2 = reachable("proxy/http2/Cargo.toml");
    for name in shell.iter().chain(&cluster).chain(&["weir-core", "weir", "tracing", "http", "h2"]) {
        assert!(!http2.contains(*name), "weir-http2 depends on {name}");
    }
    let kubernetes = reachable("proxy/kubernetes/Cargo.toml");
    assert!(kubernetes.contains("weir-core") && kubernetes.contains("k8s-openapi"));
    for name in ["pingora-core", "pingora-proxy", "axum", "weir"] {
        assert!(!kubernetes.contains(name), "weir-kubernetes depends on {name}");
    }
    let stand_in = reachable("proxy/apiserver/Cargo.toml");
    assert!(!stand_in.iter().any(|name| name.starts_with("weir")), "weir-apiserver depends on ours");
    for crate_of_ours in ["proxy/kubernetes", "proxy/server", "loadtest"] {
        let reached = reachable(&format!("{crate_of_ours}/Cargo.toml"));
        assert!(!reached.contains("weir-apiserver"), "{crate_of_ours} depends on weir-apiserver");
    }
    let loadtest = reachable("loadtest/Cargo.toml");
    for name in ["weir", "pingora-core", "pingora-proxy", "axum"] {
        assert!(!loadtest.contains(name), "weir-loadtest depends on {name}");
    }
    let server = reachable("proxy/server/Cargo.toml");
    assert!(
        server.contains("weir-kubernetes") && server.contains("pingora-proxy") && server.contains("tokio")
    );
}

/// The rooms that decide do nothing else: time comes as an argument, and what they have to say is their result.
#[test]
fn pure_rooms_stay_pure() {
    complain(|file| impurities(&file.path, &file.text));
}

#[test]
fn the_rules_notice_what_they_forbid() {
    let long = "\n".repeat(601);
    assert_eq!(too_long("a/b.rs", &long).len(), 1);
    assert_eq!(too_long("a/b.md", &long).len() + too_long("vendor/b.rs", &long).len(), 0);
    assert_eq!(machine_paths(&["see /ro", "ot/x"].concat()).len(), 1);
    assert_eq!(machine_paths("see /rooted/x and ./work").len(), 0);
    for word in [["thread::sl", "eep(x)"], ["#[ign", "ore]"], ["uns", "afe { x }"], ["pub uns", "afe fn x()"]]
    {
        assert_eq!(forbidden_words("a.rs", &word.concat()).len(), 1, "{word:?}");
        assert_eq!(forbidden_words("vendor/a.rs", &word.concat()).len(), 0, "{word:?}");
    }
    assert_eq!(impurities("proxy/core/src/a.rs", "let now = Instant::now();\n// tokio::spawn\n").len(), 1);
    assert_eq!(impurities("proxy/core/src/a/tests.rs", "Instant::now()").len(), 0);
    assert_eq!(impurities("proxy/server/src/clock.rs", "Instant::now()").len(), 0);
    let text = |path: &str| (path == "docs/b.md").then(|| "# The `b` page, or: c?".to_owned());
    let links = "[1](b.md) [2](b.md#the-b-page-or-c) [3](https://a/b) [4](../docs/b.md)";
    assert_eq!(broken_links("docs/a.md", links, &text), Vec::<String>::new());
    assert_eq!(broken_links("docs/a.md", "[1](c.md) [2](b.md#nowhere) [3](#here)", &text).len(), 3);
    let names = |text: &str| {
        unknown_names("ARCHITECTURE.md", text, &|path| path == "a/b.rs", &|name| name == "it_is_so")
    };
    assert_eq!(names("`a/b.rs` `it_is_so` `x` `limit-rps` `a < b` `limit_req`"), Vec::<String>::new());
    assert_eq!(names("`proxy/c.rs` `README.md` `it_is_not_so`").len(), 3);
    let lock =
        packages("[[package]]\nname = \"a\"\ndependencies = [\n \"b 1.0\",\n]\n[[package]]\nname = \"b\"\n");
    assert!(closure(&lock, vec!["a".to_owned()]).contains("b"));
    let manifest = "[dependencies]\na.workspace = true\nb = { x }\n[dev-dependencies]\nc = \"1\"\n";
    assert_eq!(dependencies(manifest), ["a", "b"]);
}

fn too_long(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let rust = is_rust(path) && !path.starts_with(VENDOR);
    (rust && lines > MAX_LINES).then(|| format!("{lines} lines")).into_iter().collect()
}

/// Absolute paths of somebody's machine.
fn machine_paths(text: &str) -> Vec<String> {
    let found = ["work", "root", "home"].into_iter().filter(|folder| text.contains(&format!("/{folder}/")));
    found.map(|folder| format!("names a path under {folder}")).collect()
}

fn forbidden_words(path: &str, text: &str) -> Vec<String> {
    if !is_rust(path) || path.starts_with(VENDOR) {
        return Vec::new();
    }
    // In two halves, so that this file is not its own first find.
    let words =
        [["thread::sl", "eep("], ["#[ign", "ore"], ["uns", "afe {"], ["uns", "afe fn"], ["uns", "afe impl"]];
    let words = words.map(|halves| halves.concat());
    words.into_iter().filter(|word| text.contains(word)).map(|word| format!("has {word:?}")).collect()
}

/// Clocks, sleeps, logs and I/O where there must be none.
fn impurities(path: &str, text: &str) -> Vec<String> {
    let test = path.contains("/tests/") || path.ends_with("/tests.rs");
    if test || !is_rust(path) || !PURE.iter().any(|room| path.starts_with(room)) {
        return Vec::new();
    }
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let found = code.flat_map(|line| IMPURE.into_iter().filter(move |word| line.contains(word)));
    found.map(|word| format!("has {word}")).collect()
}

/// Links of a Markdown page to files and headings that are not there. `text` gives the text of a file by its path.
fn broken_links(path: &str, text: &str, other: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    if !path.ends_with(".md") {
        return Vec::new();
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
    let ours = links.filter(|link| !link.contains("://") && !link.starts_with("mailto:"));
    let broken = ours.filter(|link| {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = match file {
            "" => Some(text.to_owned()),
            file => {
                other(&resolve(folder, file)).or_else(|| is_folder(&resolve(folder, file)).then(String::new))
            }
        };
        target.is_none_or(|text| !anchor.is_empty() && !headings(&text).any(|heading| heading == anchor))
    });
    broken.map(|link| format!("the link {link} leads nowhere")).collect()
}

/// Headings as links name them.
fn headings(markdown: &str) -> impl Iterator<Item = String> {
    markdown.lines().filter(|line| line.starts_with('#')).map(|line| {
        let kept = line.trim_start_matches('#').trim().chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        });
        kept.collect()
    })
}

/// Files and tests in backticks that are not there. A word with two underscores or more is a test.
fn unknown_names(path: &str, text: &str, is_path: Exists<'_>, is_function: Exists<'_>) -> Vec<String> {
    if !NAMING.contains(&path) {
        return Vec::new();
    }
    let outside_of_blocks = text.split("```").step_by(2);
    let names = outside_of_blocks.flat_map(|text| text.split('`').skip(1).step_by(2));
    let unknown = names.filter(|name| {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b));
        // In capitals it is a variable of the environment.
        let lower = !name.bytes().any(|b| b.is_ascii_uppercase());
        let test = plain && lower && !name.contains(['/', '.', '-']) && name.matches('_').count() >= 2;
        let file = plain && !test && (ROOMS.iter().any(|room| name.starts_with(room)) || is_file_name(name));
        (test && !is_function(name)) || (file && !is_path(name))
    });
    unknown.map(|name| format!("there is no {name}")).collect()
}

fn is_file_name(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(stem, end)| !stem.is_empty() && ["rs", "md", "toml", "py"].contains(&end))
}

/// Name of the function that a line defines.
fn function(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("fn ")?;
    rest.split_once(['(', '<']).map(|(name, _)| name)
}

/// Names under `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('[')).filter(|line| line.contains('='));
    lines.filter_map(|line| line.split(['.', ' ', '=']).next()).map(str::to_owned).collect()
}

/// Each package of `Cargo.lock`, and what it depends on.
fn packages(lock: &str) -> BTreeMap<String, Vec<String>> {
    let mut packages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let quoted = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
        let name = package.lines().find(|line| line.starts_with("name = ")).map(quoted).unwrap();
        let needs = package.lines().filter(|line| line.starts_with(" \"")).map(quoted);
        let needs = needs.filter_map(|need| need.split(' ').next().map(str::to_owned));
        packages.entry(name).or_default().extend(needs);
    }
    packages
}

/// All packages that are reached from some. Of our own crates only `[dependencies]` count: what only their tests need is
/// in the lock file too.
fn closure(lock: &BTreeMap<String, Vec<String>>, start: Vec<String>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = start;
    while let Some(name) = open.pop() {
        if reached.insert(name.clone()) {
            let ours = CRATES.iter().find(|(known, _)| *known == name);
            let needs = match ours {
                Some((_, folder)) => {
                    dependencies(&fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap())
                }
                None => lock.get(&name).cloned().unwrap_or_default(),
            };
            open.extend(needs);
        }
    }
    reached
}

#[track_caller]
fn complain(rule: impl Fn(&File) -> Vec<String>) {
    let files = files();
    let complaints = files.iter().flat_map(|file| {
        rule(file).into_iter().map(|complaint| format!("{}: {complaint}", file.path)).collect::<Vec<_>>()
    });
    let complaints: Vec<_> = complaints.collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// All files of the project that are text: those that git tracks or would, or without git all that are not built.
fn files() -> Vec<File> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let paths = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            let text = String::from_utf8(output.stdout).unwrap();
            text.split_terminator('\0').map(str::to_owned).collect()
        }
        _ => {
            let mut paths = Vec::new();
            walk(Path::new(""), &mut paths);
            paths
        }
    };
    assert!(paths.len() > 50, "this does not look like the project: {paths:?}");
    let read = |path: String| Some(File { text: fs::read_to_string(root().join(&path)).ok()?, path });
    paths.into_iter().filter_map(read).collect()
}

fn walk(folder: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = folder.join(&name);
        let built = name == "target" || (name.starts_with('.') && name != ".ci");
        if built {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(&path, paths);
        } else {
            paths.push(path.to_str().unwrap().to_owned());
        }
    }
}

fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// A path from a folder, without `.` and `..`.
fn resolve(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn is_folder(path: &str) -> bool {
    root().join(path).is_dir()
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What decides and does nothing else.
const PURE: [&str; 5] = [
    "limits/src/",
    "proxy/core/src/",
    "proxy/http2/src/",
    "proxy/kubernetes/src/translate/",
    "proxy/server/src/lane/wire/",
];
/// What needs a clock, a thread, a file, a socket, a log or the process.
const IMPURE: [&str; 14] = [
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::io",
    "std::env",
    "std::thread",
    "std::process",
    "TcpStream",
    "UdpSocket",
    "tokio::",
    "tracing::",
    "println!",
    "eprint",
    "dbg!",
];
/// Longest module.
const MAX_LINES: usize = 600;
const VENDOR: &str = "vendor/";
/// Pages whose names are checked.
const NAMING: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "deploy/README.md",
    "deploy/helm/weir/README.md",
    "deploy/image/README.md",
    "docs/compatibility.md",
    "docs/grammar.md",
    "docs/http2.md",
    "docs/migrate-from-ingress-nginx.md",
    "docs/operations.md",
    "docs/release.md",
    "docs/security.md",
    "docs/semantics.md",
    "docs/sidecar.md",
];
/// What paths begin with.
const ROOMS: [&str; 7] = ["limits/", "proxy/", "loadtest/", "deploy/", "docs/", "vendor/", ".ci/"];
const CRATES: [(&str, &str); 7] = [
    ("weir-limits", "limits"),
    ("weir-core", "proxy/core"),
    ("weir-http2", "proxy/http2"),
    ("weir-kubernetes", "proxy/kubernetes"),
    ("weir-apiserver", "proxy/apiserver"),
    ("weir", "proxy/server"),
    ("weir-loadtest", "loadtest"),
];
