//! The thread that watches. The only tests that wait for the system.

use super::*;
use std::os::unix::fs::symlink;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

struct Watched {
    folder: Folder,
    changes: Receiver<Vec<String>>,
    _watcher: Watcher,
}

impl Watched {
    fn new(folder: Folder) -> Self {
        let (sender, changes) = channel();
        let manifests = Manifests::new(folder.dir.path(), Options::manifests()).unwrap();
        let watcher = manifests.spawn(move |declaration, _| {
            let hosts = declaration.ingresses.iter().filter_map(|ingress| ingress.rules.first());
            let _ = sender.send(hosts.map(|rule| rule.host.clone()).collect());
        });
        Self { folder, changes, _watcher: watcher.unwrap() }
    }

    /// Waits until exactly these hosts are served.
    #[track_caller]
    fn expect(&self, hosts: &[&str]) {
        let start = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let found = self.changes.recv_timeout(left).unwrap_or_else(|_| panic!("{hosts:?} never came"));
            if found == hosts {
                return;
            }
        }
    }
}

#[test]
fn changes_are_heard_of() {
    let watched = Watched::new(Folder::new(&[("a.yaml", &ingress("a", "one.example"))]));
    watched.expect(&["one.example"]);
    watched.folder.write("a.yaml", &ingress("a", "two.example"));
    watched.expect(&["two.example"]);
    watched.folder.write("new/b.yaml", &ingress("b", "b.example"));
    watched.expect(&["two.example", "b.example"]);
    watched.folder.write("new/b.yaml", &ingress("b", "c.example"));
    watched.expect(&["two.example", "c.example"]);
    watched.folder.write(".tmp", &ingress("a", "three.example"));
    fs::rename(watched.folder.path(".tmp"), watched.folder.path("a.yaml")).unwrap();
    watched.expect(&["three.example", "c.example"]);
    watched.folder.remove("a.yaml");
    watched.expect(&["c.example"]);
}

#[test]
fn a_folder_that_is_replaced_is_followed() {
    let parent = Folder::new(&[
        ("one/a.yaml", &ingress("a", "one.example")),
        ("two/a.yaml", &ingress("a", "two.example")),
    ]);
    symlink("one", parent.path("current")).unwrap();
    let (sender, changes) = channel();
    let manifests = Manifests::new(parent.path("current"), Options::manifests()).unwrap();
    let _watcher = manifests.spawn(move |declaration, findings| {
        let host = declaration.ingresses.first().map(|ingress| ingress.rules[0].host.clone());
        let _ = sender.send((host.unwrap_or_default(), findings.len()));
    });
    let expect = |host: &str, findings| {
        let found = changes.recv_timeout(PATIENCE).unwrap();
        assert_eq!(found, (host.to_owned(), findings));
    };
    expect("one.example", 0);
    symlink("two", parent.path("next")).unwrap();
    fs::rename(parent.path("next"), parent.path("current")).unwrap();
    expect("two.example", 0);
    parent.remove("current");
    expect("two.example", 1);
}

#[test]
fn a_watcher_that_is_dropped_calls_nobody_any_more() {
    let Watched { folder, changes, _watcher } =
        Watched::new(Folder::new(&[("a.yaml", &ingress("a", "one.example"))]));
    assert_eq!(changes.recv_timeout(PATIENCE).unwrap(), ["one.example"]);
    drop(_watcher);
    folder.write("a.yaml", &ingress("a", "two.example"));
    assert!(changes.recv().is_err(), "the thread has ended and the callback is gone");
}

/// Far longer than it takes; a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);
