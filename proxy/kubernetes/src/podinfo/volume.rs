//! Files that the kubelet mounts and keeps up to date.
//!
//! It writes a new version into a new hidden folder and then swaps one link (`..data`) over to it, so that whoever follows
//! the link once sees one version as a whole. The old folder is gone right after. A file mounted by `subPath` is plain and
//! never changes; so are files that are no volume at all, and those may be written to in place.

use super::way;
use crate::files::{Stamp, reason};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// A file, or a folder with a file for each key.
#[derive(Clone, Debug)]
pub(super) enum Volume {
    File(PathBuf),
    /// With the keys that are of interest: others are not read.
    Folder(PathBuf, fn(&str) -> bool),
}

/// Equal looks mean that nothing was written in between.
pub(super) type Look = Vec<(PathBuf, Option<Stamp>)>;

impl Volume {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Folder(path, _) => path,
        }
    }

    /// What there is, without reading it. Links are followed, so that a swap is seen.
    pub(super) fn look(&self, look: &mut Look) {
        let mut stamp = |path: PathBuf| {
            let stamp = fs::metadata(&path).ok().map(|metadata| Stamp::of(&metadata));
            look.push((path, stamp));
        };
        match self {
            Self::File(path) => stamp(path.clone()),
            Self::Folder(path, wanted) => match names(path, *wanted) {
                Ok(names) => names.into_iter().for_each(|name| stamp(path.join(name))),
                Err(_) => look.push((path.clone(), None)),
            },
        }
    }

    /// Adds the folders that events must be heard of: they tell when another look is due.
    pub(super) fn folders(&self, found: &mut BTreeSet<PathBuf>) {
        match self {
            Self::File(path) => way::folders(path, found),
            Self::Folder(path, wanted) => {
                way::folders(&path.join(DATA), found);
                for name in names(path, *wanted).unwrap_or_default() {
                    way::folders(&path.join(name), found);
                }
            }
        }
    }

    /// What is in it, by key; a file has one, which is empty.
    ///
    /// # Errors
    /// Why it cannot be read, with the file that is meant where that is not the path itself.
    pub(super) fn read(&self) -> Result<BTreeMap<String, Vec<u8>>, String> {
        match self {
            Self::File(path) => Ok([(String::new(), bytes(path, MOST_FILE_BYTES)?)].into_iter().collect()),
            Self::Folder(path, wanted) => {
                let version = version(path);
                let found = keys(&version, *wanted);
                match self::version(path) {
                    // It was swapped and removed while it was read.
                    newer if found.is_err() && newer != version => keys(&newer, *wanted),
                    _ => found,
                }
            }
        }
    }
}

/// Where the keys of a folder are: all are read from one version, whatever is swapped meanwhile.
fn version(folder: &Path) -> PathBuf {
    fs::canonicalize(folder.join(DATA)).unwrap_or_else(|_| folder.to_owned())
}

fn keys(version: &Path, wanted: fn(&str) -> bool) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut found = BTreeMap::new();
    let mut room = MOST_FOLDER_BYTES;
    for name in names(version, wanted)? {
        let file = version.join(&name);
        if fs::metadata(&file).is_ok_and(|metadata| metadata.is_dir()) {
            continue;
        }
        let content = bytes(&file, room).map_err(|why| format!("{name}: {why}"))?;
        room = room.saturating_sub(content.len() as u64);
        found.insert(name, content);
    }
    Ok(found)
}

/// The keys of a folder in order, without those that begin with two dots, which are the kubelet's own.
fn names(folder: &Path, wanted: fn(&str) -> bool) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| reason(&error))? {
        let name = entry.map_err(|error| reason(&error))?.file_name();
        let Ok(name) = name.into_string() else { continue };
        if name.starts_with("..") || !wanted(&name) {
            continue;
        }
        if names.len() == MOST_KEYS {
            return Err(format!("more than {MOST_KEYS} keys"));
        }
        names.push(name);
    }
    names.sort();
    Ok(names)
}

fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| reason(&error))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() as u64 > most {
        return Err(format!("more than {} KiB", most >> 10));
    }
    Ok(bytes)
}

/// The link that is swapped.
const DATA: &str = "..data";
/// Kubernetes allows 256 KiB of annotations, whose quoted form may be four times as long, and has quotes beside.
const MOST_FILE_BYTES: u64 = 2 << 20;
/// As Kubernetes limits Secrets and ConfigMaps, with all their keys.
const MOST_FOLDER_BYTES: u64 = 1 << 20;
const MOST_KEYS: usize = 1_000;
