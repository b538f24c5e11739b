//! Statements that their author has prepared: `PgStatement` carries what was known of its columns then.

use sqlx::{Executor, Row, Statement};

use crate::database::{Database, SELECT, THINGS};

#[tokio::test]
async fn a_prepared_statement_is_run_again_after_a_column_was_added() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    let prepared = (&db)
        .prepare(sqlx::SqlSafeStr::into_sql_str(SELECT))
        .await
        .unwrap();
    prepared.query().fetch_all(&db).await.unwrap();
    database.add_column().await;
    let rows = prepared.query().fetch_all(&db).await.unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.get("name")).collect();
    assert_eq!(names, ["one", "two", "three"]);
}

/// Its columns are others now: an error would do, another column's value would not. Nor may others inherit what it believes.
#[tokio::test]
async fn a_prepared_statement_never_reads_one_column_for_another() {
    let mut database = Database::with(PAIRS).await;
    let db = database.db.clone();
    let prepared = (&db)
        .prepare(sqlx::SqlSafeStr::into_sql_str(PAIR))
        .await
        .unwrap();
    prepared.query().fetch_one(&db).await.unwrap();
    database.operate(SWAPPED).await;
    if let Ok(row) = prepared.query().fetch_one(&db).await {
        assert_eq!(row.get::<i32, _>("one"), 1);
        assert_eq!(row.get::<i32, _>("two"), 2);
    }
    let row = sqlx::query(PAIR).fetch_one(&db).await.unwrap();
    assert_eq!(row.get::<i32, _>("one"), 1);
    assert_eq!(row.get::<i32, _>("two"), 2);
}

const PAIR: &str = "SELECT * FROM pair";

const PAIRS: &str = "CREATE TABLE pair AS SELECT 1 AS one, 2 AS two";

const SWAPPED: &str = "
    BEGIN;
    DROP TABLE pair;
    CREATE TABLE pair AS SELECT 2 AS two, 1 AS one, 3 AS three;
    COMMIT";

/// As a pooler does that knows no prepared statements.
#[tokio::test]
async fn a_statement_that_somebody_has_thrown_away_is_prepared_anew() {
    let database = Database::with(THINGS).await;
    let db = database.db.clone();
    sqlx::query(SELECT).fetch_all(&db).await.unwrap();
    let throw_away = sqlx::raw_sql("DEALLOCATE ALL").execute(&db);
    throw_away.await.unwrap();
    assert_eq!(sqlx::query(SELECT).fetch_all(&db).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_text_that_leaves_a_failed_transaction_behind_spoils_nothing() {
    let database = Database::with(THINGS).await;
    let db = database.db.clone();
    let text = sqlx::raw_sql("BEGIN; SELECT 1 / 0; COMMIT").execute(&db);
    text.await.unwrap_err();
    sqlx::query(SELECT).fetch_all(&db).await.unwrap();
}

/// The next one who had the connection would be in the transaction, and its commit would be nobody's.
#[tokio::test]
async fn what_belongs_to_a_connection_is_refused_where_nobody_has_one() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    for (text, sentence) in [
        ("BEGIN", "db.begin()"),
        (" start transaction read only;", "db.begin()"),
        ("-- by hand\n/* as ever */ begin", "db.begin()"),
        ("LISTEN things", "PgListener"),
    ] {
        let refused = (&db).execute(text).await.expect_err(text);
        let refused = format!("{:?}", twelve_core::Error::from(refused));
        assert!(refused.contains(sentence), "{text}: {refused}");
        let prepared = sqlx::query(text).fetch_optional(&db).await;
        prepared.expect_err(text);
    }
    sqlx::query("DELETE FROM things")
        .execute(&db)
        .await
        .unwrap();
    assert_eq!(database.number("SELECT count(*) FROM things").await, 0);

    // Where somebody has one, they are what they always were.
    let mut own = db.acquire().await.unwrap();
    (&mut own).execute("LISTEN things").await.unwrap();
    (&mut own).execute("BEGIN").await.unwrap();
    (&mut own).execute("ROLLBACK").await.unwrap();
}
