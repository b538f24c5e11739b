//! Compile errors name the argument at fault: their text is pinned.
//!
//! The text depends on the compiler; run with `TRYBUILD=overwrite` after an upgrade, and read the difference.

#[test]
fn a_mistake_is_named_where_it_is() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/handlers/*.rs");
    cases.compile_fail("tests/ui/macros/*.rs");
}
