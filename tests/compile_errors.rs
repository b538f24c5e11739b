//! Compile errors name the argument at fault: their text is pinned.
//!
//! The text depends on the compiler: after an upgrade raise `PINNED`, run with `TRYBUILD=overwrite`, and read the difference.

use std::process::Command;

/// The compiler whose text is pinned; others, which the README allows, word some errors in another way.
const PINNED: &str = "rustc 1.95.";

#[test]
fn a_mistake_is_named_where_it_is() {
    let compiler = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let version = Command::new(compiler).arg("--version").output();
    let version = version.expect("ask rustc for its version").stdout;
    let version = String::from_utf8_lossy(&version);
    if !version.starts_with(PINNED) {
        println!("skipped: the text is that of {PINNED}*, and this is {version}");
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/handlers/*.rs");
    cases.compile_fail("tests/ui/macros/*.rs");
}
