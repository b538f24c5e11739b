//! The schema changes under processes that are still the old release's: whose first statement meets the change does not notice it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::evolving::{Evolving, request};
use crate::harness::http::{Request, ask};
use crate::harness::shop::Server;
use crate::harness::steady::Steady;
use crate::harness::wait::until_true;

const SOON: Duration = Duration::from_secs(20);

/// A migration that takes a type's name for a new type; its table keeps what it has.
const ANOTHER_ENUM: &str = "
BEGIN;
ALTER TABLE feelings ALTER COLUMN mood TYPE text;
DROP TYPE mood;
CREATE TYPE mood AS ENUM ('calm', 'merry');
ALTER TABLE feelings ALTER COLUMN mood TYPE mood USING mood::mood;
COMMIT";

const ANOTHER_COMPOSITE: &str = "
BEGIN;
CREATE TYPE new_spot AS (x int, y int);
ALTER TABLE feelings ALTER COLUMN spot TYPE new_spot USING ROW((spot).x, (spot).y)::new_spot;
DROP TYPE spot;
ALTER TYPE new_spot RENAME TO spot;
COMMIT";

/// What a release brings, one after the other.
const CHANGES: [&str; 6] = [
    "ALTER TABLE things ADD COLUMN colour text",
    ANOTHER_ENUM,
    ANOTHER_COMPOSITE,
    "ALTER TABLE feelings ADD COLUMN since timestamptz",
    "ALTER TYPE mood ADD VALUE 'grumpy'",
    "ALTER TABLE things DROP COLUMN colour",
];

/// Enough for each process to have each statement warm on its connections.
const BETWEEN: usize = 200;

/// Three processes share 200 requests a second: what the issue asks for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_under_load_fails_no_statement_that_can_be_run_again() {
    let app = Evolving::released().await;
    let webs = [app.web().await, app.web().await, app.web().await];
    let worker = app.worker();
    let ports = [0, 1, 2].map(|index: usize| webs[index].port);
    let load = Steady::start(&ports, 12, 200, request);
    load.until_more(2 * BETWEEN).await;
    for change in CHANGES {
        app.database.execute(change).await;
        load.until_more(BETWEEN).await;
    }
    let account = load.stop().await;

    let mut grumbled = Vec::new();
    for web in &webs {
        // The value is known to types that were read before there was one.
        let answer = ask(web.port, &Request::post("/grumble", &json!({}))).await;
        grumbled.push(answer.status);
    }
    println!("{account}{:?}; a new value: {grumbled:?}", codes(&webs));
    account.expect_served(|sent| {
        sent.request.target.ends_with("/later") && sent.status() == Some(503)
    });
    assert_eq!(grumbled, [201; 3]);
    expect_effects_once(&app).await;
    expect_jobs_once(
        &app,
        account.acknowledged("/things/job").len() + account.acknowledged("/feelings/job").len(),
    )
    .await;
    drop(worker);
}

async fn expect_effects_once(app: &Evolving) {
    let twice = "(SELECT FROM effects GROUP BY name HAVING count(*) > 1) AS twice";
    assert_eq!(app.database.count(twice).await, 0);
}

/// Every one is done, once, at its first attempt: the change is not its fault.
async fn expect_jobs_once(app: &Evolving, count: usize) {
    let ended = "twelve.all_jobs WHERE state IN ('done', 'failed', 'discarded')";
    until_true("every job to have ended", SOON, async || {
        app.database.count(ended).await >= i64::try_from(count).expect("a count")
    })
    .await;
    let mut attempts: BTreeMap<i64, usize> = BTreeMap::new();
    for row in app.database.rows("completed").await {
        let attempt = row["attempt"].as_i64().expect("a number");
        *attempts.entry(attempt).or_default() += 1;
    }
    assert_eq!(
        attempts,
        BTreeMap::from([(1, count)]),
        "jobs by their attempt"
    );
}

/// How often each code of Postgres' is in the logs: what a failure was about.
fn codes(webs: &[Server]) -> BTreeMap<String, usize> {
    let mut codes = BTreeMap::new();
    for web in webs {
        for part in web.process.log().split("SQLSTATE ").skip(1) {
            *codes.entry(part[..5].to_owned()).or_default() += 1;
        }
    }
    codes
}
