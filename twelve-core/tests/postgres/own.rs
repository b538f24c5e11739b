//! Connections of one's own, on which nothing but their owner's word says what is open.

use sqlx::{AssertSqlSafe, Connection, Executor};
use std::time::Duration;
use tokio::time::timeout;
use twelve_core::{Db, DbConnection};

use crate::database::{Database, SELECT, THINGS, backend};

const INSERT: &str = "INSERT INTO things VALUES (4, 'four')";
const COUNT: &str = "SELECT count(*) FROM things";

/// What its owner leaves open.
const OPEN: [&[&str]; 5] = [
    &["BEGIN"],
    &["BEGIN", INSERT],
    &["BEGIN", "SAVEPOINT one", INSERT, "SAVEPOINT two"],
    &["START TRANSACTION READ ONLY"],
    &["BEGIN", "SELECT 1 / 0"],
];

/// The next one who had the connection would be in the transaction, and what it writes would never be committed.
#[tokio::test]
async fn a_transaction_that_its_owner_leaves_open_is_nobodys() {
    for open in OPEN {
        for way in [Way::Executor, Way::Plain, Way::CutOff] {
            let mut database = Database::with(THINGS).await;
            let db = database.db.clone();
            leave_open(&db, open, way).await;
            expect_a_commit(&mut database, &format!("{open:?}, {way:?}")).await;
        }
    }
}

/// One text of several statements, which stand for themselves but for the first.
#[tokio::test]
async fn a_transaction_that_a_text_leaves_open_is_nobodys() {
    for open in OPEN {
        let mut database = Database::with(THINGS).await;
        let text = AssertSqlSafe(open.join("; ") + "; SELECT 1");
        let _ = sqlx::raw_sql(text).execute(&database.db).await;
        expect_a_commit(&mut database, &format!("{open:?}")).await;
    }
}

/// A storm of connects, else.
#[tokio::test]
async fn a_connection_of_ones_own_goes_back_to_the_pool() {
    let database = Database::with(THINGS).await;
    let db = database.db.clone();
    let before = backend(&db).await;
    for open in [&[][..], &["SELECT 1"], &["BEGIN"], &["BEGIN", INSERT]] {
        leave_open(&db, open, Way::Executor).await;
        assert_eq!(backend(&db).await, before, "{open:?}");
    }
    // A transaction of sqlx's that is forgotten is known to it, and nobody has ended it.
    let mut own = db.acquire().await.unwrap();
    std::mem::forget(own.begin().await.unwrap());
    drop(own);
    assert_eq!(backend(&db).await, before);
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Executor,
    Plain,
    /// The last statement is still at work.
    CutOff,
}

async fn leave_open(db: &Db, statements: &[&'static str], way: Way) {
    let mut own = db.acquire().await.unwrap();
    for statement in statements {
        // One of them fails, and has to.
        let _ = match way {
            Way::Plain => own.execute(*statement).await,
            Way::Executor | Way::CutOff => (&mut own).execute(*statement).await,
        };
    }
    if let Way::CutOff = way {
        let asking = (&mut own).execute("SELECT pg_sleep(0.1)");
        let _ = timeout(Duration::from_millis(5), asking).await;
    }
}

async fn expect_a_commit(database: &mut Database, after: &str) {
    let before = database.number(COUNT).await;
    let insert = sqlx::query("INSERT INTO things VALUES (5, 'five')");
    let inserted = insert.execute(&database.db).await;
    assert!(inserted.is_ok(), "{after}: {inserted:?}");
    let committed = database.number(COUNT).await - before;
    assert_eq!(committed, 1, "{after}: answered as done, and not committed");
}

#[tokio::test]
async fn its_owner_ends_a_transaction_that_has_failed() {
    let mut database = Database::with(THINGS).await;
    let mut own = database.db.acquire().await.unwrap();
    fail(&mut own).await;
    (&mut own).execute("ROLLBACK").await.unwrap();
    (&mut own).execute(INSERT).await.unwrap();
    assert_eq!(database.number(COUNT).await, 4);
    fail(&mut own).await;
    own.execute("ROLLBACK").await.unwrap();
    own.execute(INSERT).await.unwrap();
    assert_eq!(database.number(COUNT).await, 5);
}

/// Into a failed transaction, and says once more that it has failed.
async fn fail(own: &mut DbConnection) {
    own.execute("BEGIN").await.unwrap();
    (&mut *own).execute("SELECT 1 / 0").await.unwrap_err();
    (&mut *own).execute("SELECT 1").await.unwrap_err();
}

/// Postgres restarts, say, and the owner tries again.
#[tokio::test]
async fn a_connection_that_is_lost_answers_with_errors() {
    let database = Database::with(THINGS).await;
    let mut own = database.db.acquire().await.unwrap();
    let end = "SELECT pg_terminate_backend(pg_backend_pid())";
    (&mut own).execute(end).await.unwrap_err();
    own.execute(SELECT).await.unwrap_err();
    sqlx::query(SELECT).fetch_all(&mut *own).await.unwrap_err();
    let text = sqlx::SqlSafeStr::into_sql_str(SELECT);
    (&mut own).prepare(text).await.map(drop).unwrap_err();
    (&mut own).execute(SELECT).await.unwrap_err();
    assert_eq!(own.cached_statements_size(), 0);
    drop(own);
    let rows = sqlx::query(SELECT).fetch_all(&database.db).await.unwrap();
    assert_eq!(rows.len(), 3);
}
