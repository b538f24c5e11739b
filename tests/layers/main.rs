//! Dependencies point one way: between the crates, and between the files of a crate.
//!
//! ```text
//! sources ─► modules ─► paths, each resolved to the file that defines it ─► graph of files ─► circles
//! ```
//!
//! A file uses another one when it names what that one defines: in an import, in a path, or in a path inside a macro's tokens.
//! A re-export is followed to the definition; by itself it is a use only where its own file needs the name.
//! Calls of methods are not seen, since only a compiler knows whose they are.
//! Test modules (`#[cfg(test)]`) do not count.

mod exceptions;
mod graph;
mod made_up;
mod modules;
mod resolve;

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use exceptions::EXCEPTIONS;
use graph::Graph;
use modules::Crate;

/// Each package, its sources, and the packages of this workspace that it may import.
const PACKAGES: [(&str, &str, &[&str]); 7] = [
    ("twelve-core", "twelve-core/src", &[]),
    ("twelve-web", "twelve-web/src", &["twelve_core"]),
    ("twelve-worker", "twelve-worker/src", &["twelve_core"]),
    // The browser's forbidden ports are known where HTTP is.
    (
        "twelve-dev",
        "twelve-dev/src",
        &["twelve_core", "twelve_web"],
    ),
    ("twelve-macros", "twelve-macros/src", &[]),
    (
        "twelve",
        "src",
        &[
            "twelve_core",
            "twelve_web",
            "twelve_worker",
            "twelve_dev",
            "twelve_macros",
        ],
    ),
    ("shop", "examples/shop/src", &["twelve"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The packages whose folders exist.
fn packages() -> impl Iterator<Item = (&'static str, &'static str, &'static [&'static str])> {
    PACKAGES
        .into_iter()
        .filter(|(_, sources, _)| root().join(sources).is_dir())
}

fn read(sources: &str) -> Crate {
    let mut files = BTreeMap::new();
    collect(&root().join(sources), "", &mut files);
    Crate::read(&files)
}

/// Reads every Rust file below a folder, under its path from there.
fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("list a folder of sources") {
        let path = entry.expect("read an entry of a folder").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.insert(name, fs::read_to_string(&path).expect("read a source"));
        }
    }
}

#[test]
fn a_crate_imports_only_those_below_it() {
    let ours: Vec<String> = PACKAGES
        .iter()
        .map(|(name, ..)| name.replace('-', "_"))
        .collect();
    let mut faults = String::new();
    for (name, sources, allowed) in packages() {
        for (file, imported) in read(sources).imported_crates() {
            let is_ours = ours.contains(&imported) && imported != name.replace('-', "_");
            if is_ours && !allowed.contains(&&*imported) {
                writeln!(faults, "{sources}/{file} imports {imported}").unwrap();
            }
        }
    }
    assert!(
        faults.is_empty(),
        "only the packages that `PACKAGES` names may be imported:\n{faults}"
    );
}

#[test]
fn a_file_imports_from_the_module_that_defines_a_name() {
    let mut faults = String::new();
    for (_, sources, _) in packages() {
        for path in read(sources).detours() {
            writeln!(faults, "{sources}/{path} goes through lib.rs").unwrap();
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn every_package_of_the_workspace_has_its_place() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("read Cargo.toml");
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = "))
        .expect("find the members in Cargo.toml");
    for member in members.split('"').skip(1).step_by(2) {
        let sources = format!("{member}/src");
        let is_known = PACKAGES.iter().any(|(_, known, _)| *known == sources);
        assert!(is_known, "`PACKAGES` does not say what {member} may import");
    }
}

#[test]
fn the_files_of_a_crate_form_no_circle() {
    let mut faults = String::new();
    let mut exceptions = EXCEPTIONS.to_vec();
    for (_, sources, _) in packages() {
        let within = |file: &str| Some(file.strip_prefix(sources)?.strip_prefix('/')?.to_owned());
        let kept: Vec<_> = exceptions
            .extract_if(.., |(from, ..)| within(from).is_some())
            .filter_map(|(from, to, _)| Some((within(from)?, within(to)?)))
            .collect();
        let resolved = read(sources).uses();
        for path in &resolved.unknown {
            writeln!(faults, "{sources}/{path} cannot be resolved").unwrap();
        }
        for fault in Graph::new(resolved.uses).faults(&kept) {
            writeln!(faults, "{sources}: {fault}").unwrap();
        }
    }
    for (from, ..) in exceptions {
        writeln!(faults, "{from} of `EXCEPTIONS` belongs to no package").unwrap();
    }
    assert!(faults.is_empty(), "{faults}");
}
