//! A statement that takes too long is ended by Postgres itself, so that it certainly has no effect later.
//!
//! What the settings do is said in Postgres' manual, "Client Connection Defaults" and "Connections and Authentication".

use sqlx::{AssertSqlSafe, Connection, Executor};
use std::time::{Duration, Instant};
use twelve_core::{Error, Failure, Tx, TxCell};

use crate::database::{Database, SELECT, THINGS, backend};

const INSERT: &str = "INSERT INTO things VALUES (4, 'four')";

/// Longer than the statements of these tests may take.
const LONG: &str = "SELECT pg_sleep(1.5)";

/// As an operator gives one to a role.
const ROLE_LIMIT: &str = "
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET statement_timeout = 7000', current_database());
END $$";

const WAITING: &str =
    "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

#[tokio::test]
async fn a_write_that_was_answered_with_503_has_no_effect_later() {
    let mut database = Database::with(THINGS).await;
    let db = database.told_timeout("500ms");
    let holder = database.hold_things().await;
    let began = Instant::now();
    let late = sqlx::query(INSERT).execute(&db).await.unwrap_err();
    println!("answered after {:?}", began.elapsed());
    assert!(Error::from(late).is_unavailable());
    // Postgres itself no longer waits, though the lock is still held.
    database.until_none(WAITING).await;
    holder.close().await.unwrap();
    assert_eq!(database.number("SELECT count(*) FROM things").await, 3);
    // The control: nothing else was in its way.
    sqlx::query(INSERT).execute(&db).await.unwrap();
    assert_eq!(database.number("SELECT count(*) FROM things").await, 4);
}

#[tokio::test]
async fn a_statement_that_took_too_long_costs_no_connection_and_is_unavailable() {
    let database = Database::with(THINGS).await;
    let db = database.told_timeout("500ms");
    let before = backend(&db).await;
    let late = sqlx::query(LONG).execute(&db).await.unwrap_err();
    assert_eq!(late.as_database_error().unwrap().code().unwrap(), "57014");
    // As a handler's `?` has it, too.
    let late = Failure::from(late);
    assert!(late.is_unavailable());
    let said = late.to_string();
    assert!(said.contains("TWELVE_DATABASE_TIMEOUT"), "{said}");
    assert_eq!(backend(&db).await, before);
}

#[tokio::test]
async fn handlers_have_a_timeout_in_postgres_and_connections_beside_the_pool_have_none() {
    let mut database = Database::with(THINGS).await;
    database.operate(ROLE_LIMIT).await;
    let db = database.told_timeout("1500ms");
    assert_eq!(setting(&db, "statement_timeout").await, "1500ms");
    assert_eq!(
        setting(&db, "client_connection_check_interval").await,
        "500ms"
    );
    // As a release has one.
    let (mut beside, _) = db.connect().await.unwrap();
    assert_eq!(setting(&mut beside, "statement_timeout").await, "0");
    beside.close().await.unwrap();
}

#[tokio::test]
async fn a_plain_connection_has_no_deadline_and_the_next_who_has_it_does() {
    let database = Database::with(THINGS).await;
    let db = database.told_timeout("500ms");
    let before = backend(&db).await;
    let mut own = db.acquire().await.unwrap();
    sqlx::query(LONG).execute(&mut *own).await.unwrap();
    drop(own);
    assert_eq!(setting(&db, "statement_timeout").await, "500ms");

    let cell = TxCell::default();
    let mut tx = Tx::of(&cell, db.clone()).unwrap();
    sqlx::query(LONG)
        .execute(tx.connection().await.unwrap())
        .await
        .unwrap();
    drop(tx);
    cell.commit().await.unwrap();
    assert_eq!(setting(&db, "statement_timeout").await, "500ms");

    let mut transaction = db.begin().await.unwrap();
    let plain = transaction.connection().await.unwrap();
    sqlx::query(LONG).execute(plain).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(setting(&db, "statement_timeout").await, "500ms");
    assert_eq!(
        backend(&db).await,
        before,
        "a connection was lost on the way"
    );
}

/// The client's part ends with its process, whose socket Postgres looks at.
#[tokio::test]
async fn a_statement_whose_connection_is_gone_is_ended() {
    let mut database = Database::with(THINGS).await;
    let db = database.told_timeout("10m");
    let holder = database.hold_things().await;
    let (mut beside, _) = db.connect().await.unwrap();
    let asking = tokio::time::timeout(Duration::from_millis(300), beside.execute(SELECT)).await;
    asking.unwrap_err();
    drop(beside);
    database.until_none(WAITING).await;
    holder.close().await.unwrap();
}

/// A transaction that has failed may be asked to go back to a savepoint.
#[tokio::test]
async fn a_failed_transaction_still_lends_its_connection() {
    let database = Database::with(THINGS).await;
    let mut transaction = database.db.begin().await.unwrap();
    (&mut transaction)
        .execute("SAVEPOINT before")
        .await
        .unwrap();
    (&mut transaction)
        .execute("SELECT 1 / 0")
        .await
        .unwrap_err();
    let plain = transaction.connection().await.unwrap();
    plain.execute("ROLLBACK TO before").await.unwrap();
    sqlx::query(INSERT).execute(&mut transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

/// What a savepoint takes back is asked for anew.
#[tokio::test]
async fn a_transaction_that_goes_back_to_a_savepoint_has_no_deadline_again() {
    let database = Database::with(THINGS).await;
    let db = database.told_timeout("500ms");
    let mut transaction = db.begin().await.unwrap();
    (&mut transaction).execute("SAVEPOINT one").await.unwrap();
    transaction.connection().await.unwrap();
    (&mut transaction).execute("ROLLBACK TO one").await.unwrap();
    let plain = transaction.connection().await.unwrap();
    assert_eq!(setting(&mut *plain, "statement_timeout").await, "0");
    plain.execute("ROLLBACK TO one").await.unwrap();
    let plain = transaction.connection().await.unwrap();
    assert_eq!(setting(plain, "statement_timeout").await, "0");
}

/// The value of a setting, in Postgres' own words.
async fn setting<'c>(at: impl Executor<'c, Database = sqlx::Postgres>, name: &str) -> String {
    let show = AssertSqlSafe(format!("SHOW {name}"));
    sqlx::query_scalar(show).fetch_one(at).await.unwrap()
}
