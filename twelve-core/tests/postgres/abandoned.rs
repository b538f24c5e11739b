//! Clients that take their requests back: statements that nobody waits for stay within the pool's places, and cost no connections.

use sqlx::{Connection, Executor};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use twelve_core::{Db, Tx, TxCell};

use crate::database::{Database, SELECT, THINGS, backend};

/// Those of the process that is told its timeout.
const BACKENDS: &str = "
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'core/tests'";

#[tokio::test]
async fn statements_that_nobody_waits_for_never_are_more_than_the_pool_has_places() {
    const PLACES: u32 = 3;
    let mut database = Database::pooled(PLACES, THINGS).await;
    let db = database.told_timeout("500ms");
    let holder = database.hold_things().await;
    let began = Instant::now();
    let mut most = 0;
    // Several times as long as a place stays taken.
    while began.elapsed() < Duration::from_secs(5) {
        take_back(&db).await;
        most = most.max(database.number(BACKENDS).await);
    }
    println!("at most {most} backends for {PLACES} places");
    assert!(most <= i64::from(PLACES), "{most} backends");
    assert!(most > 0, "nothing was asked");
    holder.close().await.unwrap();
    sqlx::query(SELECT).fetch_all(&db).await.unwrap();
}

/// Drops a statement a moment after it was sent.
async fn take_back(db: &Db) {
    let asking = sqlx::query(SELECT).fetch_all(db);
    let _ = timeout(Duration::from_millis(5), asking).await;
}

/// A connection for each request that is taken back would be a storm of connects.
#[tokio::test]
async fn transactions_that_were_taken_back_cost_no_connection() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    let before = backend(&db).await;
    for way in [Way::Lent, Way::CutOffInBegin, Way::CutOffInStatement] {
        for _ in 0..5 {
            take_transaction_back(&db, way).await;
            assert_eq!(backend(&db).await, before, "after {way:?}");
        }
    }
    let open =
        "pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    database.until_none(open).await;
}

#[derive(Clone, Copy, Debug)]
enum Way {
    /// Its plain connection was lent, as `enqueue_in` does.
    Lent,
    CutOffInBegin,
    CutOffInStatement,
}

async fn take_transaction_back(db: &Db, way: Way) {
    let cell = TxCell::default();
    let mut tx = Tx::of(&cell, db.clone()).unwrap();
    match way {
        Way::Lent => {
            let plain = tx.limited_connection().await.unwrap();
            plain.execute("SELECT 1").await.unwrap();
        }
        Way::CutOffInBegin => once(tx.limited_connection()).await,
        Way::CutOffInStatement => {
            (&mut tx).execute("SELECT 1").await.unwrap();
            once((&mut tx).execute("SELECT pg_sleep(0.1)")).await;
        }
    }
}

/// Polls it until it waits for Postgres, and drops it; on a busy machine the answer may be there already.
async fn once<T>(asking: impl Future<Output = T>) {
    let mut asking = std::pin::pin!(asking);
    let _ = futures_util::poll!(asking.as_mut());
}

/// A runtime drops its tasks when it ends, those of a pool that others use among them.
#[test]
fn a_pool_outlives_the_runtime_that_it_began_in() {
    const SLEEPING: &str = "
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let (first, lasting) = (runtime(), runtime());
    let mut database = lasting.block_on(Database::with(THINGS));
    let db = database.db.clone();
    let statement = {
        let db = db.clone();
        first.spawn(async move { (&db).execute("SELECT pg_sleep(60)").await.map(drop) })
    };
    lasting.block_on(async { while database.number(SLEEPING).await == 0 {} });
    // Its connection is waited for by a task of the runtime that ends.
    statement.abort();
    lasting.block_on(statement).unwrap_err();
    drop(first);
    let answer = lasting.block_on(sqlx::query(SELECT).fetch_all(&db));
    assert_eq!(answer.unwrap().len(), 3);
}
