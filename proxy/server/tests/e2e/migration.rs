//! `docs/migrate-from-ingress-nginx.md` does what it says.

use crate::support::{Origin, Weir, binary, installed};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The blocks that begin with a command: the command, and what it prints.
fn examples() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(root().join(PAGE)).unwrap();
    let blocks = page.split("```console\n$ ").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let examples = blocks.map(|block| {
        let (command, printed) = block.split_once('\n').unwrap();
        (command.to_owned(), printed.to_owned())
    });
    examples.collect()
}

#[test]
fn the_worked_example_prints_what_the_page_says() {
    let (checks, requests): (Vec<_>, Vec<_>) =
        examples().into_iter().partition(|(command, _)| command.starts_with("weir check "));
    assert_eq!((checks.len(), requests.len()), (2, 3));
    for (command, printed) in checks {
        let arguments = command.strip_prefix("weir ").unwrap().split(' ');
        let output = Command::new(binary()).args(arguments).current_dir(root()).output().unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        if found != printed {
            write_back(&command, &printed, &found);
        }
        assert_eq!(found, printed, "{PAGE} had other words and has been rewritten");
        let code = i32::from(!found.contains("; 0 errors"));
        assert_eq!(output.status.code(), Some(code), "{command}");
    }
    if !installed(&["curl"]) {
        return;
    }
    let origin = Origin::echo();
    let backends =
        ["shop/shop:80", "shop/api:http"].map(|name| format!("--backend={name}={}", origin.address));
    let folder = tempfile::tempdir().unwrap();
    let weir = Weir::spawn(folder, |_| {
        let mut command = Command::new(binary());
        command.args(["serve", "--source=manifests=docs/examples/migrate/after", "--http=127.0.0.1:0"]);
        command.args(["--controller-class=weir.dev/ingress-controller", "--configmap=weir/settings"]);
        command.args(["--admin=127.0.0.1:0", "--access-log=off"]).args(backends).current_dir(root());
        command
    });
    for (command, printed) in requests {
        let command = command.replace("127.0.0.1:8080", &weir.http.to_string());
        let output =
            Command::new("sh").args(["-c", &format!("{command} --noproxy '*' --max-time 20")]).output();
        assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), printed, "{command}");
    }
}

/// What `kubectl` prints is one list; it comes by a pipe as well as from a file, and says the same.
#[test]
fn a_check_reads_the_standard_input() {
    let file = root().join("docs/examples/migrate/before/cluster.yaml");
    let check = |input: &str| {
        let mut command = Command::new(binary());
        command.args(["check", input]).stdin(std::fs::File::open(&file).unwrap());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let piped = check("-");
    assert_eq!(piped, check(file.to_str().unwrap()));
    assert_eq!(piped.0, Some(1));
    assert!(piped.1.contains("3 Ingresses would be served"), "{}", piped.1);
    // It is told what was not looked at, and how that is mended.
    let hint =
        "ConfigMap ingress-nginx/ingress-nginx-controller was not read for settings: add -- --configmap=";
    assert!(piped.1.contains(hint), "{}", piped.1);
}

#[test]
fn a_check_that_cannot_be_made_exits_with_2() {
    let run = |arguments: &[&str]| {
        let output = Command::new(binary()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, error) = run(&["check", "/no/such/file.yaml"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("/no/such/file.yaml"), "{error}");
    let (code, error) = run(&["check", ".", "--", "--profile=apache", "--configmap=x"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("--profile") && error.contains("--configmap"), "{error}");
    assert_eq!(run(&["check"]).0, Some(2));
}

/// Who has thousands of Ingresses has the same mistakes in hundreds of them.
#[test]
fn a_finding_of_many_objects_is_told_once() {
    let mut list = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for n in 0..2000 {
        list.push_str(&format!(
            "- apiVersion: networking.k8s.io/v1\n  kind: Ingress\n  metadata:\n    name: i{n:04}\n    namespace: shop\n    \
             annotations:\n      nginx.ingress.kubernetes.io/limit-rps: \"5\"\n      \
             nginx.ingress.kubernetes.io/rewrite-target: /{n}\n  spec:\n    rules:\n    - host: h{n}.example\n"
        ));
    }
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), list).unwrap();
    let check = |flags: &[&str]| {
        let output = Command::new(binary()).arg("check").args(flags).arg(file.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = check(&[]);
    assert!(text.lines().count() < 30, "{text}");
    assert_eq!(text.matches("    - Ingress shop/i").count(), 5, "{text}");
    assert!(text.contains("    - 1995 more (--all names them)"), "{text}");
    assert!(text.contains("2000 Ingresses would be served; 2000 errors"), "{text}");
    let limit = text.lines().find(|line| line.starts_with("nginx.ingress.kubernetes.io/limit-rps")).unwrap();
    assert_eq!(limit.split_whitespace().collect::<Vec<_>>()[1..], ["2000", "0", "0"]);
    assert_eq!(check(&["--all"]).matches("    - Ingress shop/i").count(), 2000);
}

/// So that running the test twice mends the page, and a reviewer sees the difference.
fn write_back(command: &str, printed: &str, found: &str) {
    let file = root().join(PAGE);
    let page = std::fs::read_to_string(&file).unwrap();
    let block = |text: &str| format!("```console\n$ {command}\n{text}```");
    std::fs::write(file, page.replace(&block(printed), &block(found))).unwrap();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

const PAGE: &str = "docs/migrate-from-ingress-nginx.md";
