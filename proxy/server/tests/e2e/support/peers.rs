//! Programs of others.

/// Whether all of these can be run.
pub fn installed(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<_> = std::env::split_paths(&path).collect();
        folders.push("/usr/sbin".into());
        !folders.iter().any(|folder| folder.join(program).is_file())
    });
    let Some(missing) = missing else { return true };
    let required = std::env::var("WEIR_TEST_PEERS").is_ok_and(|value| value == "required");
    assert!(!required, "{missing} is not installed");
    println!("skipped: {missing} is not installed");
    false
}
