//! Postgres is away while ticks are due.

use std::time::Duration;

use super::ticking::{EVERY_SECOND, Ticking};
use crate::harness::database::Database;
use crate::harness::postgres::Postgres;
use crate::harness::process::at_a_moment;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticks_that_are_due_while_postgres_is_away_run_once_when_it_is_back() {
    let postgres = Postgres::private().await;
    let app = Ticking::released_on(Database::create_on(&postgres).await).await;
    let mut worker = app.worker();
    let mut schedulers = [app.scheduler(), app.scheduler()];
    app.until_ran(EVERY_SECOND, 2, 0).await;

    postgres.stop().await;
    at_a_moment(Duration::from_secs(3)).await;
    postgres.start_again().await;
    let back = app.database.now().await;
    app.until_ran(EVERY_SECOND, 2, back).await;
    postgres.kill().await;
    at_a_moment(Duration::from_secs(1)).await;
    postgres.start_again().await;
    let back = app.database.now().await;
    app.until_ran(EVERY_SECOND, 2, back).await;

    worker.expect_running();
    for scheduler in &mut schedulers {
        scheduler.expect_running();
    }
    let record = app.settled(schedulers, EVERY_SECOND).await;
    assert_eq!(record.missing(1, back), [0; 0]);
    assert_eq!(record.twice(), [0; 0]);
}
