//! Made-up sources: the test finds in them what it must find, and nothing else.

use std::collections::BTreeMap;

use super::{graph::Graph, modules::Crate};

fn crate_of(sources: &[(&str, &str)]) -> Crate {
    let own = |(file, text): &(&str, &str)| ((*file).to_owned(), (*text).to_owned());
    let files: BTreeMap<String, String> = sources.iter().map(own).collect();
    Crate::read(&files)
}

fn circles(sources: &[(&str, &str)]) -> Vec<Vec<String>> {
    let resolved = crate_of(sources).uses();
    assert!(resolved.unknown.is_empty(), "{:?}", resolved.unknown);
    Graph::new(resolved.uses).circles()
}

#[test]
fn a_circle_through_a_re_export_is_found_and_told_file_by_file() {
    let sources = [
        ("lib.rs", "mod job; mod store; pub use store::Store;"),
        ("job.rs", "use crate::Store; pub struct Job(Store);"),
        ("store/mod.rs", "mod claim; pub use claim::Claim as Store;"),
        (
            "store/claim.rs",
            "use crate::job::Job; pub struct Claim(Vec<Job>);",
        ),
    ];
    let graph = Graph::new(crate_of(&sources).uses().uses);
    let told = "2 files form a circle, of which one use must go:\
        \n    store/claim.rs uses Job of job.rs\
        \n    job.rs uses Claim of store/claim.rs";
    assert_eq!(graph.faults(&[]), [told]);
}

#[test]
fn a_path_in_a_macro_or_a_function_counts_and_one_in_a_test_does_not() {
    let lib = ("lib.rs", "mod a; mod b;");
    let b = ("b.rs", "use super::a; pub fn b() { a::a() }");
    for (text, found) in [
        ("pub fn a() { print!(\"{}\", crate::b::b()) }", 1),
        ("pub fn a() { use crate::b::{b as c}; c() }", 1),
        (
            "pub fn a() {} #[cfg(test)] mod tests { use crate::b::b; }",
            0,
        ),
        (
            "pub fn a() {} struct A; impl A { #[cfg(test)] fn it() { crate::b::b() } }",
            0,
        ),
        ("//! See [`b`](crate::b::b).\npub fn a() {}", 0),
        // A macro's output is code of whoever calls the macro.
        ("pub fn a() { quote::quote!(crate::b::b()); }", 0),
    ] {
        assert_eq!(circles(&[lib, ("a.rs", text), b]).len(), found, "{text}");
    }
}

#[test]
fn a_folders_own_file_and_what_stands_in_it_may_use_each_other() {
    let inner = [
        ("lib.rs", "mod pool; mod user;"),
        ("pool/mod.rs", "mod line; pub struct Pool(line::Line);"),
        (
            "pool/line.rs",
            "use super::Pool; pub struct Line(Vec<Pool>);",
        ),
        ("user.rs", "use crate::pool::Pool; pub struct User(Pool);"),
    ];
    assert_eq!(circles(&inner).len(), 0);
    // With one file more, the circle leaves the folder.
    let mut outer = inner;
    outer[2].1 = "use crate::user::User; pub struct Line(User);";
    let circles = circles(&outer);
    assert_eq!(circles[0].len(), 3, "{circles:?}");
}

#[test]
fn a_re_export_alone_is_no_use_of_what_it_names() {
    let lib = ("lib.rs", "mod room; mod user;");
    let user = ("user.rs", "use crate::room::Key; pub struct User(Key);");
    let key = ("room/key.rs", "use super::Size; pub struct Key(Size);");
    let room = "mod door; mod key; pub struct Size; pub use key::Key; pub use door::Door;";
    let door = (
        "room/door.rs",
        "use crate::user::User; pub struct Door(User);",
    );
    assert_eq!(
        circles(&[lib, user, key, door, ("room/mod.rs", room)]).len(),
        0
    );
}

#[test]
fn an_exception_holds_only_as_long_as_it_cuts_a_circle() {
    let sources = [
        ("lib.rs", "mod a; mod b; mod c;"),
        (
            "a.rs",
            "use crate::b::B; use crate::c::C; pub struct A(B, C);",
        ),
        ("b.rs", "use crate::a::A; pub struct B(A);"),
        ("c.rs", "pub struct C;"),
    ];
    let graph = Graph::new(crate_of(&sources).uses().uses);
    let kept = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert!(graph.faults(&[kept("b.rs", "a.rs")]).is_empty());
    let idle = graph.faults(&[kept("b.rs", "a.rs"), kept("a.rs", "c.rs")]);
    assert!(idle[0].contains("closes no circle"), "{idle:?}");
    let gone = graph.faults(&[kept("b.rs", "a.rs"), kept("c.rs", "a.rs")]);
    assert!(gone[0].contains("does not use"), "{gone:?}");
}

#[test]
fn a_detour_through_lib_rs_is_found() {
    let lib = ("lib.rs", "mod a; mod b; pub use b::B;");
    let b = ("b.rs", "pub struct B;");
    for (text, found) in [
        ("use crate::B; struct A(B);", 1),
        ("use crate::b::B; struct A(B);", 0),
        ("#[macro_export] macro_rules! a { () => { $crate::B } }", 0),
    ] {
        let detours = crate_of(&[lib, ("a.rs", text), b]).detours();
        assert_eq!(detours.len(), found, "{text}: {detours:?}");
    }
}

#[test]
fn a_crate_is_found_by_import_and_by_path() {
    for text in [
        "use twelve_web::Router;",
        "fn f() -> ::twelve_web::Router { todo!() }",
        "fn f() { twelve_web::http() }",
        "pub use twelve_web as web;",
    ] {
        let imported = crate_of(&[("lib.rs", text)]).imported_crates();
        let found = ("lib.rs".to_owned(), "twelve_web".to_owned());
        assert!(imported.contains(&found), "{text}: {imported:?}");
    }
}
