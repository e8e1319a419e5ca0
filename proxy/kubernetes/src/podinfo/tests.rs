use super::*;
use expect_test::{Expect, expect};
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// A pod's volumes, looked at again and again.
struct Pod {
    dir: TempDir,
    version: usize,
}

impl Pod {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), version: 0 }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Writes files in place.
    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    /// As the kubelet: a new version beside the old one, one link swapped, the old one gone.
    fn swap(&mut self, volume: &str, files: &[(&str, &str)]) {
        let volume = self.path(volume);
        self.version += 1;
        let version = format!("..2026_11_21_{}", self.version);
        fs::create_dir_all(volume.join(&version)).unwrap();
        for (name, text) in files {
            fs::write(volume.join(&version).join(name), text).unwrap();
        }
        symlink(&version, volume.join("..data_tmp")).unwrap();
        let old = fs::read_link(volume.join("..data"));
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
        for (name, _) in files {
            if fs::symlink_metadata(volume.join(name)).is_err() {
                symlink(format!("..data/{name}"), volume.join(name)).unwrap();
            }
        }
        if let Ok(old) = old {
            fs::remove_dir_all(volume.join(old)).unwrap();
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            file: self.path("podinfo/annotations"),
            pod: ObjectName { namespace: "shop".to_owned(), name: "api-0".to_owned() },
            upstreams: vec!["127.0.0.1:8081".parse().unwrap()],
            tls_secret: None,
            secrets: BTreeMap::new(),
            config_map: None,
            options: Options::cluster(),
        }
    }

    fn start(&self) -> PodInfo {
        PodInfo::new(self.settings()).unwrap()
    }
}

/// `None` if nothing is to be put in force, else the limit per second, and what is wrong.
fn seen(found: Option<(Declaration, Vec<Finding>)>) -> Option<(Option<u64>, Vec<String>)> {
    let (declaration, findings) = found?;
    let limit = declaration.ingresses[0].policy.limits.per_second.map(std::num::NonZero::get);
    let findings = findings.iter().map(|finding| format!("{} {}", finding.code, finding.field));
    Some((limit, findings.collect()))
}

/// Looks until something comes of it, or nothing does.
fn settle(podinfo: &mut PodInfo) -> Option<(Option<u64>, Vec<String>)> {
    (0..4).find_map(|_| seen(podinfo.poll()))
}

fn rps(limit: u32) -> String {
    format!("kubernetes.io/config.source=\"api\"\nweir.dev/limit-rps=\"{limit}\"")
}

#[test]
fn a_swap_of_the_kubelet_is_in_force_at_the_second_look() {
    let mut pod = Pod::new();
    pod.swap("podinfo", &[("annotations", &rps(5)), ("labels", "app=\"api\"")]);
    let mut podinfo = pod.start();
    assert_eq!(seen(Some(podinfo.load())), Some((Some(5), vec![])));
    assert_eq!(settle(&mut podinfo), None);
    for limit in [7, 8, 9] {
        pod.swap("podinfo", &[("annotations", &rps(limit)), ("labels", "app=\"api\"")]);
        assert_eq!(seen(podinfo.poll()), None);
        assert_eq!(seen(podinfo.poll()), Some((Some(u64::from(limit)), vec![])));
        assert_eq!(settle(&mut podinfo), None);
    }
}

#[test]
fn a_plain_file_is_read_once_it_stands_still() {
    let pod = Pod::new();
    pod.write("podinfo/annotations", &rps(5));
    let mut podinfo = pod.start();
    // An editor empties it first: that is no pod without limits, until it stays so.
    pod.write("podinfo/annotations", "");
    assert_eq!(seen(podinfo.poll()), None);
    pod.write("podinfo/annotations", &rps(6));
    assert_eq!(seen(podinfo.poll()), None);
    assert_eq!(seen(podinfo.poll()), Some((Some(6), vec![])));
    pod.write("podinfo/annotations", "");
    assert_eq!(settle(&mut podinfo), Some((None, vec![])));
}

#[test]
fn a_file_that_never_stands_still_is_read_all_the_same() {
    let pod = Pod::new();
    pod.write("podinfo/annotations", &rps(5));
    let mut podinfo = pod.start();
    let looks = (10..20).map(|limit| {
        pod.write("podinfo/annotations", &rps(limit));
        podinfo.poll().is_some()
    });
    assert!(looks.filter(|changed| *changed).count() >= 2);
}

#[test]
fn what_cannot_be_read_leaves_the_last_version_in_force_and_tells_every_mistake() {
    let mut pod = Pod::new();
    pod.swap("podinfo", &[("annotations", &rps(5))]);
    let mut podinfo = pod.start();
    pod.swap("podinfo", &[("annotations", "weir.dev/limit-rps=\"7\nweir.dev/limit-rpm=9\nok=\"x\"\n")]);
    let (_, findings) = (0..4).find_map(|_| podinfo.poll()).unwrap();
    let told: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    let told = told.replace(&pod.dir.path().display().to_string(), "DIR");
    expect![[r#"
        error: File DIR/podinfo/annotations: line 1: Expected a quote at the end of the value, found the end of the line (in weir.dev/limit-rps). What was read before stays in force.
        error: File DIR/podinfo/annotations: line 2: Expected key="value". What was read before stays in force.
    "#]].assert_eq(&told);
    assert_eq!(seen(Some(podinfo.load())).unwrap().0, Some(5));
    // The file is gone.
    fs::remove_dir_all(pod.path("podinfo")).unwrap();
    assert_eq!(settle(&mut podinfo), Some((Some(5), vec!["unreadable-podinfo ".to_owned()])));
    // And comes back.
    pod.swap("podinfo", &[("annotations", &rps(8))]);
    assert_eq!(settle(&mut podinfo), Some((Some(8), vec![])));
}

#[test]
fn everything_that_is_missing_at_the_start_is_told_at_once() {
    let check = |pod: &Pod, settings: Settings, expected: &Expect| {
        let error = PodInfo::new(settings).unwrap_err().to_string();
        expected.assert_eq(&error.replace(&pod.dir.path().display().to_string(), "DIR"));
    };
    let pod = Pod::new();
    let all = Settings {
        tls_secret: Some(pod.path("tls")),
        secrets: [("shop/ca".parse().unwrap(), pod.path("ca"))].into(),
        config_map: Some(pod.path("settings")),
        ..pod.settings()
    };
    check(
        &pod,
        all,
        &expect![[r#"
        cannot read DIR/podinfo/annotations: not found
        cannot read DIR/tls: not found
        cannot read DIR/ca: not found
        cannot read DIR/settings: not found"#]],
    );
    pod.write("podinfo/annotations", "weir.dev/limit-rps: 5\n\"\n");
    check(
        &pod,
        pod.settings(),
        &expect![[r#"
        DIR/podinfo/annotations is no file of the downward API
          line 1: expected key="value"
          line 2: expected key="value""#]],
    );
    pod.write("podinfo/annotations", &"x".repeat(3 << 20));
    check(&pod, pod.settings(), &expect!["cannot read DIR/podinfo/annotations: more than 2048 KiB"]);
    fs::remove_file(pod.path("podinfo/annotations")).unwrap();
    fs::create_dir(pod.path("podinfo/annotations")).unwrap();
    check(
        &pod,
        pod.settings(),
        &expect!["cannot read DIR/podinfo/annotations: Is a directory (os error 21)"],
    );
}

#[test]
fn a_mounted_config_map_holds_the_settings_of_the_whole_proxy() {
    let mut pod = Pod::new();
    pod.swap("podinfo", &[("annotations", "")]);
    pod.swap("settings", &[("limit-rps", "9"), ("no-such-key", "1")]);
    let mut podinfo =
        PodInfo::new(Settings { config_map: Some(pod.path("settings")), ..pod.settings() }).unwrap();
    let unknown = vec!["unknown-name data[no-such-key]".to_owned()];
    assert_eq!(seen(Some(podinfo.load())), Some((Some(9), unknown)));
    pod.swap("settings", &[("limit-rps", "4")]);
    assert_eq!(settle(&mut podinfo), Some((Some(4), vec![])));
}

#[test]
fn keys_of_secrets_that_mean_nothing_are_not_read() {
    let mut pod = Pod::new();
    pod.swap("podinfo", &[("annotations", "")]);
    pod.swap("tls", &[("tls.crt", "x"), ("keystore.p12", "y")]);
    let podinfo = PodInfo::new(Settings { tls_secret: Some(pod.path("tls")), ..pod.settings() }).unwrap();
    let secret = podinfo.objects.secrets.iter().next().unwrap();
    let keys: Vec<_> = secret.data.as_ref().unwrap().keys().collect();
    assert_eq!(keys, ["tls.crt"]);
    assert!(!format!("{podinfo:?}").contains("ByteString"), "what a Secret holds is not shown");
}

#[test]
fn a_watcher_tells_of_a_swap_and_ends_when_it_is_dropped() {
    let mut pod = Pod::new();
    pod.swap("podinfo", &[("annotations", &rps(5))]);
    let (tx, changes) = std::sync::mpsc::channel();
    let watcher = pod.start().spawn(move |declaration, findings| {
        let _ = tx.send(seen(Some((declaration, findings))));
    });
    let watcher = watcher.unwrap();
    let patience = std::time::Duration::from_secs(20);
    pod.swap("podinfo", &[("annotations", &rps(6))]);
    assert_eq!(changes.recv_timeout(patience).unwrap(), Some((Some(6), vec![])));
    watcher.refresh();
    assert_eq!(changes.recv_timeout(patience).unwrap(), Some((Some(6), vec![])));
    drop(watcher);
    assert!(changes.recv().is_err(), "the thread has ended");
}
