mod documents;
mod folder;
mod fuzz;
mod watcher;

use super::*;
use std::fs;
use tempfile::TempDir;

/// A folder that is looked at again and again.
struct Folder {
    dir: TempDir,
    store: Store,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let folder = Self { dir, store };
        files.iter().for_each(|(path, text)| folder.write(path, text));
        folder
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    /// Looks again: `None` if nothing changed, else the Ingresses in force with their hosts, and the codes of the
    /// problems.
    #[track_caller]
    fn check(&mut self, expected: Option<(&[&str], &[&str])>) {
        let found = (self.store.refresh() == Change::Changed).then(|| self.store.load());
        let found = found.map(|loaded| {
            let hosts: Vec<_> = loaded.objects.ingresses.iter().map(host).collect();
            let codes: Vec<_> = loaded.problems.iter().map(|problem| problem.code).collect();
            (hosts, codes)
        });
        let expected =
            expected.map(|(hosts, codes)| (hosts.iter().map(ToString::to_string).collect(), codes.to_vec()));
        assert_eq!(found, expected);
    }
}

fn host(ingress: &k8s_openapi::api::networking::v1::Ingress) -> String {
    let rules = ingress.spec.as_ref().and_then(|spec| spec.rules.as_deref()).unwrap_or_default();
    let host = rules.first().and_then(|rule| rule.host.clone()).unwrap_or_default();
    format!("{} {host}", ingress.metadata.name.as_deref().unwrap_or_default())
}

fn ingress(name: &str, host: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\nspec:\n  rules:\n  - host: {host}\n"
    )
}

const BROKEN: &str = "---\napiVersion: [\n";
