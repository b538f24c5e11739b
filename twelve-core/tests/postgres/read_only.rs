//! A write that is refused because its server or database is read-only is an outage: the next one may work.

use twelve_core::{Error, Tx, TxCell};

use crate::database::{Database, SELECT, THINGS};

const INSERT: &str = "INSERT INTO things VALUES (4, 'four')";

#[tokio::test]
async fn a_write_works_as_soon_as_the_database_takes_writes_again() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    database.set_read_only("on").await;
    let refused = sqlx::query(INSERT).execute(&db).await.unwrap_err();
    assert!(Error::from(refused).is_unavailable());
    database.set_read_only("off").await;
    sqlx::query(INSERT).execute(&db).await.unwrap();
}

#[tokio::test]
async fn reads_are_served_while_writes_are_refused() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    database.set_read_only("on").await;
    for _ in 0..3 {
        let refused = sqlx::query(INSERT).execute(&db).await.unwrap_err();
        assert!(Error::from(refused).is_unavailable());
        let rows = sqlx::query(SELECT).fetch_all(&db).await.unwrap();
        assert_eq!(rows.len(), 3);
    }
}

#[tokio::test]
async fn a_transaction_works_as_soon_as_the_database_takes_writes_again() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    database.set_read_only("on").await;
    let cell = TxCell::default();
    let mut tx = Tx::of(&cell, db.clone()).unwrap();
    let refused = sqlx::query(INSERT).execute(&mut tx).await.unwrap_err();
    assert!(Error::from(refused).is_unavailable());
    drop(tx);
    cell.rollback().await;

    database.set_read_only("off").await;
    let cell = TxCell::default();
    let mut tx = Tx::of(&cell, db).unwrap();
    sqlx::query(INSERT).execute(&mut tx).await.unwrap();
    drop(tx);
    cell.commit().await.unwrap();
}
