//! Compile errors name the argument at fault: their text is pinned.
//!
//! The text depends on the compiler: after an upgrade raise `PINNED`, run with `TRYBUILD=overwrite`, and read the difference.

use std::{fs, path::Path, process::Command};

/// The compiler whose text is pinned; others, which the README allows, word some errors in another way.
const PINNED: &str = "rustc 1.95.";

/// Is this the compiler? It says so when it is not.
fn is_pinned() -> bool {
    let compiler = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let version = Command::new(compiler).arg("--version").output();
    let version = version.expect("ask rustc for its version").stdout;
    let version = String::from_utf8_lossy(&version);
    let is_pinned = version.starts_with(PINNED);
    if !is_pinned {
        println!("skipped: the text is that of {PINNED}*, and this is {version}");
    }
    is_pinned
}

#[test]
fn a_mistake_is_named_where_it_is() {
    if !is_pinned() {
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/handlers/*.rs");
    cases.compile_fail("tests/ui/macros/*.rs");
}

/// What the compiler says of the apps of `tests/absent`, whose features are off.
const ABSENT: [(&str, &[&str]); 4] = [
    (
        "mail",
        &[
            "error: `derive(Mail)` needs the feature `mail` of twelve",
            "struct `twelve::Attachment`: it needs the feature `mail` of twelve",
            "trait `twelve::Preview`: it needs the feature `mail` of twelve",
        ],
    ),
    (
        "arguments",
        &[
            "error[E0277]: `twelve::Redis` needs the feature `redis` of twelve",
            "struct `twelve::Redis`: it needs the feature `redis` of twelve",
            "error[E0277]: `twelve::Mailer` needs the feature `mail` of twelve",
        ],
    ),
    ("test", &["the item is gated behind the `test` feature"]),
    ("ws", &["the item is gated behind the `ws` feature"]),
];

#[test]
fn a_feature_that_is_off_is_named() {
    if !is_pinned() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Here all features are on, so it is an app of its own.
    let app = directory.join("absent");
    fs::create_dir_all(app.join("src/bin")).unwrap();
    let manifest = format!(
        r#"
            [package]
            name = "absent"
            edition = "2024"

            [dependencies]
            serde = {{ version = "1", features = ["derive"] }}
            twelve = {{ path = {root:?}, default-features = false }}

            [workspace]
        "#
    );
    fs::write(app.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), app.join("Cargo.lock")).unwrap();
    for (name, said) in ABSENT {
        let file = format!("{name}.rs");
        let binary = app.join("src/bin").join(&file);
        fs::copy(root.join("tests/absent").join(&file), binary).unwrap();
        let output = Command::new(env!("CARGO"))
            .args(["check", "--quiet", "--bin", name])
            .current_dir(&app)
            // script/test has checked the other crates there with these features.
            .env("CARGO_TARGET_DIR", directory.parent().unwrap())
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&output.stderr);
        for text in said {
            assert!(output.contains(text), "{name}: no `{text}` in\n{output}");
        }
    }
}
