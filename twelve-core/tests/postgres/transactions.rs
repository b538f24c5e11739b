//! The first statement of a `Tx` may meet a plan that no longer holds; later it is an outage of that transaction alone.

use futures_util::TryStreamExt;
use sqlx::Row;
use twelve_core::{Error, Tx, TxCell};

use crate::database::{Database, SELECT, THINGS};

#[tokio::test]
async fn the_first_statement_of_a_transaction_begins_it_anew() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    sqlx::query(SELECT).fetch_all(&db).await.unwrap();
    database.add_column().await;

    let cell = TxCell::default();
    let mut tx = Tx::of(&cell, db.clone()).unwrap();
    let row = sqlx::query(SELECT).fetch_one(&mut tx).await.unwrap();
    assert_eq!(row.len(), 3);
    insert(&mut tx).await.unwrap();
    drop(tx);
    cell.commit().await.unwrap();
    assert_eq!(database.number("SELECT count(*) FROM things").await, 4);
}

#[tokio::test]
async fn a_stream_that_is_the_first_statement_begins_the_transaction_anew() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    sqlx::query(SELECT).fetch_all(&db).await.unwrap();
    database.add_column().await;

    let cell = TxCell::default();
    let mut tx = Tx::of(&cell, db).unwrap();
    let rows: Vec<_> = sqlx::query(SELECT)
        .fetch(&mut tx)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(rows.len(), 3);
    insert(&mut tx).await.unwrap();
    drop(tx);
    cell.commit().await.unwrap();
    assert_eq!(database.number("SELECT count(*) FROM things").await, 4);
}

#[tokio::test]
async fn later_in_a_transaction_it_is_unavailable_and_the_next_transaction_is_not() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    sqlx::query(SELECT).fetch_all(&db).await.unwrap();
    database.add_column().await;

    let cell = TxCell::default();
    let mut tx = Tx::of(&cell, db.clone()).unwrap();
    insert(&mut tx).await.unwrap();
    let met = sqlx::query(SELECT).fetch_all(&mut tx).await.unwrap_err();
    assert!(Error::from(met).is_unavailable());
    drop(tx);
    let error = cell.commit().await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert_eq!(database.number("SELECT count(*) FROM things").await, 3);

    let cell = TxCell::default();
    let mut tx = Tx::of(&cell, db).unwrap();
    insert(&mut tx).await.unwrap();
    assert_eq!(
        sqlx::query(SELECT).fetch_all(&mut tx).await.unwrap().len(),
        4
    );
    drop(tx);
    cell.commit().await.unwrap();
    assert_eq!(database.number("SELECT count(*) FROM things").await, 4);
}

/// Whoever rolls back after it, as a request that fails does, leaves a pool that works.
#[tokio::test]
async fn a_transaction_that_met_it_later_is_rolled_back() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    sqlx::query(SELECT).fetch_all(&db).await.unwrap();
    database.add_column().await;

    let cell = TxCell::default();
    let mut tx = Tx::of(&cell, db.clone()).unwrap();
    insert(&mut tx).await.unwrap();
    sqlx::query(SELECT).fetch_all(&mut tx).await.unwrap_err();
    drop(tx);
    cell.rollback().await;
    assert_eq!(sqlx::query(SELECT).fetch_all(&db).await.unwrap().len(), 3);
    database.until_none("pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'").await;
}

async fn insert(tx: &mut Tx) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("INSERT INTO things (id, name) VALUES (4, 'four')");
    insert.execute(tx).await.map(drop)
}

/// Postgres answers such a COMMIT with a ROLLBACK, and no error.
#[tokio::test]
async fn a_transaction_of_ones_own_does_not_commit_after_a_failure_that_was_swallowed() {
    let mut database = Database::with(THINGS).await;
    let mut transaction = database.db.begin().await.unwrap();
    let insert = sqlx::query("INSERT INTO things VALUES (4, 'four')");
    insert.execute(&mut transaction).await.unwrap();
    let failure = sqlx::query("SELECT 1 / 0").execute(&mut transaction).await;
    failure.unwrap_err();
    transaction.commit().await.unwrap_err();
    assert_eq!(database.number("SELECT count(*) FROM things").await, 3);
}

/// Postgres says what is wrong before it lets go of the locks; whoever hears of it may come again at once.
#[tokio::test]
async fn when_a_commit_is_refused_its_locks_are_free() {
    let mut database =
        Database::with("CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)").await;
    let db = database.db.clone();
    for _ in 0..100 {
        let cell = TxCell::default();
        let mut tx = Tx::of(&cell, db.clone()).unwrap();
        for statement in [
            "INSERT INTO late VALUES (1), (1)",
            "SELECT pg_advisory_xact_lock(n) FROM generate_series(1, 1000) AS n",
        ] {
            sqlx::query(statement).execute(&mut tx).await.unwrap();
        }
        drop(tx);
        cell.commit().await.unwrap_err();
        let free =
            "SELECT count(*) FROM generate_series(1, 1000) AS n WHERE pg_try_advisory_xact_lock(n)";
        assert_eq!(database.number(free).await, 1000);
    }
}
