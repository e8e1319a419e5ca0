//! Volumes as the kubelet mounts them.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A volume: each version is a hidden folder, one link is swapped, and the old version is removed at once.
pub struct Volume {
    folder: PathBuf,
    versions: Cell<usize>,
}

impl Volume {
    /// In this folder, which is made.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        fs::create_dir_all(&folder).unwrap();
        Self { folder, versions: Cell::new(0) }
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where it is mounted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the next version.
    pub fn swap(&self, files: &[(&str, &str)]) {
        self.versions.set(self.versions.get() + 1);
        let version = format!("..2026_11_21_09_35_00.{}", self.versions.get());
        fs::create_dir(self.folder.join(&version)).unwrap();
        for (name, text) in files {
            fs::write(self.folder.join(&version).join(name), text).unwrap();
        }
        let (next, data) = (self.folder.join("..data_tmp"), self.folder.join("..data"));
        symlink(&version, &next).unwrap();
        let old = fs::read_link(&data);
        fs::rename(next, data).unwrap();
        for (name, _) in files {
            if fs::symlink_metadata(self.folder.join(name)).is_err() {
                symlink(format!("..data/{name}"), self.folder.join(name)).unwrap();
            }
        }
        if let Ok(old) = old {
            fs::remove_dir_all(self.folder.join(old)).unwrap();
        }
    }
}

/// The file of a pod with these annotations, as the kubelet writes it, those of others among them. Keys without a prefix
/// are those of weir.
pub fn annotations(annotations: &[(&str, &str)]) -> String {
    let own = annotations.iter().map(|(key, value)| match key.contains('/') {
        true => format!("{key}={value:?}"),
        false => format!("weir.dev/{key}={value:?}"),
    });
    let others = [
        r#"kubernetes.io/config.seen="2026-11-21T09:35:00.123456789Z""#,
        r#"kubernetes.io/config.source="api""#,
        r#"prometheus.io/scrape="true""#,
    ];
    let mut lines: Vec<String> = own.chain(others.map(str::to_owned)).collect();
    lines.sort();
    lines.join("\n")
}
