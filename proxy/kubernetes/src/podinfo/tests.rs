use super::*;
use expect_test::{Expect, expect};
use notify::Watcher as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
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
            let file = volume.join(&version).join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        symlink(&version, volume.join("..data_tmp")).unwrap();
        let old = fs::read_link(volume.join("..data"));
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
        for (name, _) in files {
            // Keys may be in folders, which are linked as a whole.
            let name = name.split('/').next().unwrap();
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

/// Follows a pod's files, and waits for what comes of it.
struct Followed {
    changes: Receiver<Option<(Option<u64>, Vec<String>)>>,
    watcher: Watcher,
}

impl Followed {
    fn new(pod: &Pod, senses: Senses) -> Self {
        let (sender, changes) = channel();
        let watcher = watch::spawn(pod.start(), senses, move |declaration, findings| {
            let _ = sender.send(seen(Some((declaration, findings))));
        });
        Self { changes, watcher: watcher.unwrap() }
    }

    /// Waits until this limit is in force, and nothing is wrong.
    #[track_caller]
    fn expect(&self, limit: u64) {
        while self.changes.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{limit} never came"))
            != Some((Some(limit), vec![]))
        {}
    }
}

#[test]
fn a_watcher_tells_of_a_swap_and_ends_when_it_is_dropped() {
    let mut pod = Pod::new();
    pod.swap("podinfo", &[("annotations", &rps(5))]);
    let Followed { changes, watcher } = Followed::new(&pod, Senses::default());
    pod.swap("podinfo", &[("annotations", &rps(6))]);
    assert_eq!(changes.recv_timeout(PATIENCE).unwrap(), Some((Some(6), vec![])));
    watcher.refresh();
    assert_eq!(changes.recv_timeout(PATIENCE).unwrap(), Some((Some(6), vec![])));
    drop(watcher);
    assert!(changes.recv().is_err(), "the thread has ended");
}

#[test]
fn a_watcher_that_is_dropped_by_its_own_thread_ends_it() {
    let mut pod = Pod::new();
    pod.swap("podinfo", &[("annotations", &rps(5))]);
    let (sender, changes) = channel();
    let (give, take) = channel::<Watcher>();
    let watcher = pod.start().spawn(move |_, _| {
        drop(take.recv());
        let _ = sender.send(());
    });
    let watcher = watcher.unwrap();
    watcher.refresh();
    give.send(watcher).unwrap();
    assert_eq!(changes.recv_timeout(PATIENCE), Ok(()));
    assert_eq!(changes.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
}

/// Nobody looks without having heard of something, and yet every change is found.
#[test]
fn whatever_changes_is_heard_of() {
    let heard = Senses { at_rest: NEVER, ..Senses::default() };
    let mut pod = Pod::new();
    pod.swap("podinfo", &[("annotations", &rps(5))]);
    let followed = Followed::new(&pod, heard);
    for limit in 6..9 {
        pod.swap("podinfo", &[("annotations", &rps(limit))]);
        followed.expect(u64::from(limit));
    }
    // In place, behind the link of the volume.
    pod.write("podinfo/annotations", &rps(9));
    followed.expect(9);
    // All of it goes and comes again.
    fs::remove_dir_all(pod.path("podinfo")).unwrap();
    let found = followed.changes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(found, Some((Some(9), vec!["unreadable-podinfo ".to_owned()])));
    for limit in 10..12 {
        pod.swap("podinfo", &[("annotations", &rps(limit))]);
        followed.expect(u64::from(limit));
    }

    // A link that leads out of its folder, to a volume that is swapped.
    let mut pod = Pod::new();
    pod.swap("elsewhere", &[("annotations", &rps(5))]);
    fs::create_dir(pod.path("podinfo")).unwrap();
    symlink("../elsewhere/annotations", pod.path("podinfo/annotations")).unwrap();
    let followed = Followed::new(&pod, heard);
    pod.swap("elsewhere", &[("annotations", &rps(6))]);
    followed.expect(6);
    pod.write("plain", &rps(7));
    symlink("../plain", pod.path("podinfo/new")).unwrap();
    fs::rename(pod.path("podinfo/new"), pod.path("podinfo/annotations")).unwrap();
    followed.expect(7);
    pod.write("plain", &rps(8));
    followed.expect(8);

    // A key in a folder of its volume, which is behind a link as a whole.
    let mut pod = Pod::new();
    pod.swap("podinfo/volume", &[("of/annotations", &rps(5))]);
    let settings = Settings { file: pod.path("podinfo/volume/of/annotations"), ..pod.settings() };
    let (sender, changes) = channel();
    let watcher = watch::spawn(PodInfo::new(settings).unwrap(), heard, move |declaration, findings| {
        let _ = sender.send(seen(Some((declaration, findings))));
    });
    let followed = Followed { changes, watcher: watcher.unwrap() };
    for limit in 6..8 {
        pod.swap("podinfo/volume", &[("of/annotations", &rps(limit))]);
        followed.expect(u64::from(limit));
    }
}

#[test]
fn a_folder_that_is_mounted_is_listened_to_as_well() {
    let mut pod = Pod::new();
    pod.swap("podinfo", &[("annotations", "")]);
    pod.swap("settings", &[]);
    let settings = Settings { config_map: Some(pod.path("settings")), ..pod.settings() };
    let (sender, changes) = channel();
    let heard = Senses { at_rest: NEVER, ..Senses::default() };
    let watcher = watch::spawn(PodInfo::new(settings).unwrap(), heard, move |declaration, findings| {
        let _ = sender.send(seen(Some((declaration, findings))));
    });
    let followed = Followed { changes, watcher: watcher.unwrap() };
    pod.swap("settings", &[("limit-rps", "6")]);
    followed.expect(6);
    pod.swap("settings", &[("limit-rps", "7")]);
    followed.expect(7);
}

/// The inotify instances of a node may be used up, and some file systems tell of nothing.
#[test]
fn a_change_that_nobody_tells_of_is_found_by_looking() {
    let none = Senses {
        at_rest: NEVER,
        events: |_, _| Err(notify::Error::io(std::io::Error::from_raw_os_error(EMFILE))),
    };
    let silent = Senses {
        at_rest: Duration::from_millis(500),
        events: |_, _| notify::RecommendedWatcher::new(|_| {}, notify::Config::default()),
    };
    for senses in [none, silent] {
        let mut pod = Pod::new();
        pod.swap("podinfo", &[("annotations", &rps(5))]);
        let followed = Followed::new(&pod, senses);
        for limit in 6..8 {
            pod.swap("podinfo", &[("annotations", &rps(limit))]);
            followed.expect(u64::from(limit));
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_hours(24);
const EMFILE: i32 = 24;
