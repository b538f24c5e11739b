//! The binaries under test, built as this test binary was.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The shop.
pub(crate) fn shop() -> &'static Path {
    static SHOP: OnceLock<PathBuf> = OnceLock::new();
    SHOP.get_or_init(|| find(&["--package", "shop"], "shop"))
}

/// An example of package `twelve`, for behaviour that the shop does not show.
pub(crate) fn example(name: &str) -> PathBuf {
    find(
        &["--package", "twelve", "--example", name],
        &format!("examples/{name}"),
    )
}

/// `TEST_BINARIES` names a directory in which everything is built already, as in `script/test`.
fn find(selection: &[&str], file: &str) -> PathBuf {
    match std::env::var_os("TEST_BINARIES") {
        Some(directory) => Path::new(&directory).join(file),
        None => built(selection, file),
    }
}

/// Has cargo build `selection` (nothing to do when it is fresh) and answers
/// where `file` then lies below the profile's directory.
///
/// `CARGO_BIN_EXE_*` exists only for binaries of the test's own package.
fn built(selection: &[&str], file: &str) -> PathBuf {
    let profile = profile_directory();
    let target = profile
        .parent()
        .expect("a profile lies in a target directory");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .args(selection);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("run cargo");
    assert!(status.success(), "cargo build {selection:?}: {status}");
    profile.join(file)
}

/// `target/debug` for `target/debug/deps/promises-0123456789abcdef`.
fn profile_directory() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("the test lies in target/<profile>/deps");
    profile.to_path_buf()
}
