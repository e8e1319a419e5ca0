//! What becomes of files that come, change and go.

use super::*;
use crate::manifests::folder::Reach;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn all_manifests_of_a_folder_and_its_subfolders_are_read() {
    let mut folder = Folder::new(&[
        ("b.yml", &ingress("b", "b")),
        ("sub/deep/a.yaml", &ingress("a", "a")),
        ("c.json", r#"{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"c"}}"#),
        (".hidden.yaml", &ingress("hidden", "x")),
        (".git/d.yaml", &ingress("hidden", "x")),
        ("readme.md", "---\n: ["),
        ("values.yaml.bak", "---\n: ["),
    ]);
    folder.check(Some((&["a a", "b b", "c "], &[])));
    folder.check(None);
}

#[test]
fn only_changes_are_changes() {
    let mut folder = Folder::new(&[("a.yaml", &ingress("a", "one")), ("b.yaml", &ingress("b", "b"))]);
    folder.check(Some((&["a one", "b b"], &[])));
    folder.write("a.yaml", &ingress("a", "three"));
    folder.check(Some((&["a three", "b b"], &[])));
    folder.write("a.yaml", &ingress("a", "three"));
    folder.check(None);
    folder.remove("b.yaml");
    folder.check(Some((&["a three"], &[])));
    folder.write("new/c.yaml", &ingress("c", "c"));
    folder.check(Some((&["a three", "c c"], &[])));
    fs::rename(folder.path("new"), folder.path("old")).unwrap();
    folder.check(Some((&["a three", "c c"], &[])));
}

#[test]
fn a_touched_file_is_read_even_if_its_stamp_is_the_same() {
    let mut folder = Folder::new(&[("a.yaml", &ingress("a", "one"))]);
    folder.check(Some((&["a one"], &[])));
    folder.store.touch(Path::new("a.yaml"));
    folder.check(None);
    // The same size, and perhaps the same tick of the clock.
    folder.write("a.yaml", &ingress("a", "two"));
    folder.store.touch(Path::new("a.yaml"));
    folder.check(Some((&["a two"], &[])));
}

#[test]
fn a_file_that_cannot_be_parsed_keeps_what_it_said_last() {
    let mut folder = Folder::new(&[("a.yaml", &(ingress("a", "a") + &ingress("b", "b")))]);
    folder.check(Some((&["a a", "b b"], &[])));
    folder.write("a.yaml", BROKEN);
    folder.check(Some((&["a a", "b b"], &["unreadable-manifest", "last-good"])));
    // Documents that can be read are in force at once.
    folder.write("a.yaml", &(BROKEN.to_owned() + &ingress("b", "b2") + &ingress("c", "c")));
    folder.check(Some((&["a a", "b b2", "c c"], &["unreadable-manifest", "last-good"])));
    folder.write("a.yaml", &(ingress("c", "c") + BROKEN));
    folder.check(Some((&["a a", "b b2", "c c"], &["unreadable-manifest", "last-good"])));
    folder.write("a.yaml", &ingress("c", "c"));
    folder.check(Some((&["c c"], &[])));
}

#[test]
fn a_bad_object_keeps_its_last_version_in_force() {
    let mut folder = Folder::new(&[("a.yaml", &(ingress("a", "a") + &ingress("b", "b")))]);
    folder.check(Some((&["a a", "b b"], &[])));
    folder.write("a.yaml", &(ingress("a", "[1]") + &ingress("b", "b2")));
    folder.check(Some((&["a a", "b b2"], &["unreadable-manifest", "last-good"])));
    folder.write("a.yaml", &ingress("a", "a").replace("/v1", "/v1beta1"));
    folder.check(Some((&["a a", "b b2"], &["unsupported-api-version", "last-good"])));
}

#[test]
fn an_empty_file_is_one_that_is_being_written() {
    let mut folder = Folder::new(&[("a.yaml", &ingress("a", "a")), ("empty.yaml", "")]);
    folder.check(Some((&["a a"], &[])));
    folder.write("a.yaml", "\n");
    folder.check(Some((&["a a"], &["empty-file", "last-good"])));
    folder.write("a.yaml", "# nothing any more\n");
    folder.check(Some((&[], &[])));
}

#[test]
fn what_was_kept_gives_way_to_what_is_sure() {
    let mut folder = Folder::new(&[("a.yaml", &ingress("a", "old"))]);
    folder.check(Some((&["a old"], &[])));
    folder.write("a.yaml", BROKEN);
    folder.write("b.yaml", &ingress("a", "new"));
    folder.check(Some((&["a new"], &["unreadable-manifest"])));
}

#[test]
fn of_two_objects_with_one_name_the_first_by_path_wins() {
    let mut folder = Folder::new(&[("b.yaml", &ingress("x", "b")), ("c.yaml", &ingress("x", "c"))]);
    folder.check(Some((&["x b"], &["duplicate-object"])));
    let problem = folder.store.load().problems.remove(0);
    assert_eq!(
        Finding::from(problem).to_string(),
        "error: Ingress default/x: metadata.name = \"x\": The same object is in b.yaml, document 1, line 2; \
         that one is in force and this one is not (c.yaml, document 1, line 2)."
    );
    folder.write("a.yaml", &ingress("x", "a"));
    folder.check(Some((&["x a"], &["duplicate-object", "duplicate-object"])));
    folder.remove("a.yaml");
    folder.remove("b.yaml");
    folder.check(Some((&["x c"], &[])));
    folder.write("c.yaml", &(ingress("x", "c") + &ingress("x", "c2")));
    folder.check(Some((&["x c"], &["duplicate-object"])));
}

#[test]
fn a_volume_of_kubernetes_is_read_once_and_swapped_at_once() {
    let mut folder = Folder::new(&[
        ("..2024_01/a.yaml", &ingress("a", "one")),
        ("..2024_02/a.yaml", &ingress("a", "two")),
        ("..2024_02/b.yaml", &ingress("b", "two")),
    ]);
    symlink("..2024_01", folder.path("..data")).unwrap();
    symlink("..data/a.yaml", folder.path("a.yaml")).unwrap();
    folder.check(Some((&["a one"], &[])));
    assert_eq!(folder.store.reach, Reach::Inside);
    symlink("..2024_02", folder.path("..data_tmp")).unwrap();
    fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
    symlink("..data/b.yaml", folder.path("b.yaml")).unwrap();
    folder.check(Some((&["a two", "b two"], &[])));
    folder.check(None);
}

#[test]
fn links_are_followed_once_and_loops_end() {
    let elsewhere = Folder::new(&[("e.yaml", &ingress("e", "e"))]);
    let mut folder = Folder::new(&[("a/a.yaml", &ingress("a", "a"))]);
    symlink("..", folder.path("a/loop")).unwrap();
    symlink("a", folder.path("b")).unwrap();
    symlink("a/a.yaml", folder.path("c.yaml")).unwrap();
    fs::hard_link(folder.path("a/a.yaml"), folder.path("d.yaml")).unwrap();
    symlink("self.yaml", folder.path("self.yaml")).unwrap();
    folder.check(Some((&["a a"], &["unreadable-manifest"])));
    assert_eq!(folder.store.reach, Reach::Inside);
    folder.remove("self.yaml");
    symlink(elsewhere.dir.path(), folder.path("z")).unwrap();
    folder.check(Some((&["a a", "e e"], &[])));
    assert_eq!(folder.store.reach, Reach::Outside);
}

#[test]
fn what_cannot_be_read_keeps_what_was_read_before() {
    let mut folder = Folder::new(&[("a.yaml", &ingress("a", "a")), ("sub/b.yaml", &ingress("b", "b"))]);
    folder.check(Some((&["a a", "b b"], &[])));
    // A link that leads nowhere.
    folder.remove("a.yaml");
    symlink("nowhere", folder.path("a.yaml")).unwrap();
    folder.check(Some((&["a a", "b b"], &["unreadable-manifest"])));
    folder.check(None);
    folder.remove("a.yaml");
    folder.check(Some((&["b b"], &[])));
    // No text.
    fs::write(folder.path("sub/b.yaml"), b"\xff\xfe").unwrap();
    folder.check(Some((&["b b"], &["unreadable-manifest"])));
    folder.check(None);
    folder.write("sub/b.yaml", &ingress("b", "b"));
    folder.check(Some((&["b b"], &[])));
    // The folder itself.
    let aside = folder.dir.path().with_extension("aside");
    fs::rename(folder.dir.path(), &aside).unwrap();
    folder.check(Some((&["b b"], &["unreadable-manifest"])));
    folder.check(None);
    fs::rename(&aside, folder.dir.path()).unwrap();
    folder.check(Some((&["b b"], &[])));
}

#[test]
fn a_subfolder_that_may_not_be_read_keeps_what_was_read_before() {
    let mut folder = Folder::new(&[("sub/b.yaml", &ingress("b", "b"))]);
    folder.check(Some((&["b b"], &[])));
    // Root may read everything; a file in the folder's place may be read by nobody as a folder.
    fs::set_permissions(folder.path("sub"), fs::Permissions::from_mode(0o000)).unwrap();
    let blocked = fs::read_dir(folder.path("sub")).is_err();
    let expected: (&[&str], &[&str]) = (&["b b"], &["unreadable-manifest"]);
    folder.check(blocked.then_some(expected));
    fs::set_permissions(folder.path("sub"), fs::Permissions::from_mode(0o700)).unwrap();
    folder.check(blocked.then_some((&["b b"], &[])));
}

#[test]
fn only_ordinary_files_of_bounded_size_are_read() {
    let mut folder = Folder::new(&[]);
    fs::create_dir(folder.path("folder.yaml")).unwrap();
    let file = fs::File::create(folder.path("huge.yaml")).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("socket.yaml")).unwrap();
    folder.check(Some((&[], &["unreadable-manifest"])));
    let problem = folder.store.load().problems.remove(0);
    assert_eq!(
        Finding::from(problem).to_string(),
        "error: File huge.yaml: : Larger than 64 MiB; what was read before stays in force."
    );
}

#[test]
fn a_folder_that_cannot_be_read_at_the_start_is_an_error() {
    let folder = Folder::new(&[("a.yaml", "")]);
    for path in ["none", "a.yaml"] {
        let error = Manifests::new(folder.path(path), Options::manifests()).unwrap_err();
        assert!(error.to_string().ends_with(path), "{error}");
        assert!(load(folder.path(path)).is_err());
    }
}

#[test]
fn refresh_gives_a_declaration_the_first_time_and_on_changes() {
    let folder = Folder::new(&[("a.yaml", &ingress("a", "a.example"))]);
    let mut manifests = Manifests::new(folder.dir.path(), Options::manifests()).unwrap();
    let (declaration, findings) = manifests.refresh().unwrap();
    assert_eq!((declaration.ingresses.len(), findings.len()), (1, 0));
    assert!(manifests.refresh().is_none());
    folder.write("b.yaml", &(BROKEN.to_owned() + &ingress("b", "b.example")));
    let (declaration, findings) = manifests.refresh().unwrap();
    assert_eq!(declaration.ingresses.len(), 2);
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((finding.object.name.as_str(), finding.field.as_str()), ("b.yaml", "document 1, line 2"));

    let empty = Folder::new(&[]);
    let mut manifests = Manifests::new(empty.dir.path(), Options::manifests()).unwrap();
    assert!(manifests.refresh().is_some(), "the first time, even if there is nothing");
}
