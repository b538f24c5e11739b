//! The scripts that a developer runs, as far as they decide something themselves.

use std::path::Path;
use std::time::Duration;

use crate::harness::process::{Finished, Launch};

const BOUND: Duration = Duration::from_secs(30);

async fn run(script: &str, argument: &str) -> Finished {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let launch = Launch::new(&root.join("script").join(script));
    // An expected line that does not come is waited for as long as this, in seconds.
    let launch = launch.args([argument]).var("GUIDE_PATIENCE", "1");
    launch.run(BOUND).await
}

/// Has `script/guide` follow a page that prints `out` and says that `expected` comes out.
async fn follow(out: &str, expected: &str) -> Finished {
    let name = format!("promises-page-{:08x}.md", fastrand::u32(..));
    let page = std::env::temp_dir().join(name);
    let text = format!("# A page\n\n```sh\necho '{out}'\n```\n\n```text\n{expected}\n```\n");
    std::fs::write(&page, text).expect("write a page");
    let finished = run("guide", &page.display().to_string()).await;
    std::fs::remove_file(page).expect("remove the page");
    finished
}

#[tokio::test]
async fn the_guide_compares_columns_by_their_words() {
    // A column is as wide as the longest process id on that machine.
    for out in ["postgres  ok", "postgres         ok", "postgres\tok"] {
        follow(out, "postgres      ok").await.expect_code(0);
    }
}

#[tokio::test]
async fn the_guide_fails_when_a_word_is_missing_or_two_are_one() {
    for out in ["postgres  down", "postgresok"] {
        let failed = follow(out, "postgres  ok").await.expect_code(1);
        assert!(
            failed.stdout.contains("expecting: postgres  ok"),
            "{}",
            failed.stdout
        );
    }
}

#[tokio::test]
async fn script_test_refuses_what_it_does_not_know() {
    let refused = run("test", "--strickt").await.expect_code(64);
    refused
        .expect_in_stderr("unknown argument: --strickt")
        .expect_in_stderr("usage: script/test [--strict]");
}
