//! Read-only by the author's own words: a mistake, on a server that takes writes.

use sqlx::Executor;
use twelve_core::{Error, Tx, TxCell};

use crate::database::{Database, THINGS, backend};

const INSERT: &str = "INSERT INTO things VALUES (4, 'four')";

#[tokio::test]
async fn a_transaction_that_its_author_made_read_only_is_no_outage() {
    let database = Database::with(THINGS).await;
    let db = database.db.clone();
    let before = backend(&db).await;
    let cell = TxCell::default();
    let mut tx = Tx::of(&cell, db.clone()).unwrap();
    (&mut tx)
        .execute("SET TRANSACTION READ ONLY")
        .await
        .unwrap();
    let refused = (&mut tx).execute(INSERT).await.unwrap_err();
    assert!(!Error::from(refused).is_unavailable());
    drop(tx);
    cell.rollback().await;
    assert_eq!(backend(&db).await, before, "closed for nothing");
}

/// The same in one simple query, outside of `Tx`.
#[tokio::test]
async fn a_block_that_its_author_made_read_only_is_no_outage() {
    let database = Database::with(THINGS).await;
    let db = database.db.clone();
    let block = "BEGIN READ ONLY; INSERT INTO things VALUES (4, 'four'); COMMIT";
    let refused = sqlx::raw_sql(block).execute(&db).await.unwrap_err();
    assert!(!Error::from(refused).is_unavailable());
}
