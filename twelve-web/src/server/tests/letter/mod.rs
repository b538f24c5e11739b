//! What is answered to requests that are not what the RFCs say: a table, and the page `docs/HTTP.md` that is made of it.
//!
//! Rows whose answer is not the RFC's name what in hyper prevents it.

mod http1;
mod http2;

use axum::http::StatusCode;
use std::fmt::Write as _;

use super::Running;
use crate::{
    extract::Json,
    router::{Router, get, post},
};

/// Set, it has the page written anew.
const WRITE: &str = "TWELVE_WRITE_DOCS";

fn server() -> Running {
    let after = StatusCode::from_u16(http1::AFTER).unwrap();
    Running::start(
        Router::new()
            .route("/", get(async || "hello"))
            .route("/after", get(move || async move { after }))
            .route("/text", post(async |body: String| body))
            .route(
                "/json",
                post(async |Json(all): Json<Vec<u8>>| all.len().to_string()),
            ),
    )
}

/// Fails with all rows that were answered otherwise.
#[track_caller]
fn expect_none(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn page() -> String {
    let mut page = String::from(include_str!("page.md"));
    let mut table = |title: &str, rows: Vec<[String; 4]>| {
        let _ = write!(
            page,
            "\n## {title}\n\n| rule | what is sent | answer | what hyper prevents |\n|---|---|---|---|\n"
        );
        for row in rows {
            let _ = writeln!(page, "| {} |", row.join(" | "));
        }
    };
    let http1 = http1::rows();
    table(
        "HTTP/1",
        http1.iter().map(http1::Row::on_the_page).collect(),
    );
    let http2 = http2::rows();
    table(
        "HTTP/2",
        http2.iter().map(http2::Row::on_the_page).collect(),
    );
    page
}

#[test]
fn the_page_says_what_the_tables_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/HTTP.md");
    let page = page();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page,
        "docs/HTTP.md is not what the tables say: run this test with {WRITE}=1"
    );
}

#[test]
fn the_tables_are_as_long_as_was_promised() {
    assert!(http1::rows().len() >= 70, "{}", http1::rows().len());
    assert!(http2::rows().len() >= 30, "{}", http2::rows().len());
}
