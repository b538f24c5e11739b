//! A statement whose plan no longer holds is run again on a fresh connection, at once, outside of transactions.

use futures_util::TryStreamExt;
use sqlx::Row;

use crate::database::{Database, SELECT, THINGS, backend, expect_replanning};

#[tokio::test]
async fn whole_rows_are_read_after_a_column_was_added_however_they_are_fetched() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    let select = || sqlx::query(SELECT);
    let warm = || async { select().fetch_all(&db).await.unwrap() };

    warm().await;
    database.add_column().await;
    assert_eq!(select().fetch_one(&db).await.unwrap().len(), 3);

    warm().await;
    database.add_column().await;
    let row = select().fetch_optional(&db).await.unwrap();
    assert_eq!(row.unwrap().len(), 4);

    warm().await;
    database.add_column().await;
    let rows = select().fetch_all(&db).await.unwrap();
    assert_eq!(rows.iter().map(Row::len).collect::<Vec<_>>(), [5; 3]);

    warm().await;
    database.add_column().await;
    let mut rows = select().fetch(&db);
    let mut count = 0;
    while let Some(row) = rows.try_next().await.unwrap() {
        assert_eq!(row.len(), 6);
        count += 1;
    }
    assert_eq!(count, 3);
    drop(rows);

    warm().await;
    database.add_column().await;
    assert_eq!(select().execute(&db).await.unwrap().rows_affected(), 3);
}

#[tokio::test]
async fn what_is_bound_is_bound_again_and_written_once() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    let rename = || {
        sqlx::query("UPDATE things SET name = name || $1 WHERE id = $2 RETURNING *")
            .bind("!")
            .bind(2)
    };
    rename().fetch_one(&db).await.unwrap();
    database.add_column().await;
    let row = rename().fetch_one(&db).await.unwrap();
    assert_eq!(row.get::<String, _>("name"), "two!!");
}

/// The rows that were handed out cannot be taken back, and what has run may not run twice.
#[tokio::test]
async fn a_stream_that_has_begun_to_yield_is_not_repeated() {
    let mut database = Database::with(COUNTED).await;
    let db = database.db.clone();
    let raw = |sql: &'static str| sqlx::raw_sql(sql).execute(&db);
    raw("PREPARE whole AS SELECT * FROM things").await.unwrap();
    database.add_column().await;

    let mut steps = sqlx::raw_sql("SELECT nextval('counter'); EXECUTE whole").fetch(&db);
    assert!(steps.try_next().await.unwrap().is_some());
    expect_replanning(steps.try_next().await.unwrap_err());
    drop(steps);
    assert_eq!(database.number(COUNTER).await, 1);
    // Nor is that connection any use to the next.
    sqlx::query(SELECT).fetch_all(&db).await.unwrap();
}

const COUNTED: &str = "
    CREATE TABLE things (id int, name text);
    CREATE SEQUENCE counter;
    CREATE PROCEDURE count_and_look() LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO things VALUES (1, 'committed');
        COMMIT;
        EXECUTE 'EXECUTE whole';
    END $$;
    CREATE PROCEDURE count_and_pretend() LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO things VALUES (1, 'committed');
        COMMIT;
        RAISE EXCEPTION 'cache lookup failed for type 1' USING ERRCODE = 'XX000';
    END $$";

const COUNTER: &str = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM counter";

/// The statements of one simple query may have committed on their own before one of them fails.
#[tokio::test]
async fn several_statements_in_one_are_not_repeated_when_the_first_has_committed() {
    let mut database = Database::with(COUNTED).await;
    let db = database.db.clone();
    let raw = |sql: &'static str| sqlx::raw_sql(sql).execute(&db);
    raw("PREPARE whole AS SELECT * FROM things").await.unwrap();
    database.add_column().await;
    let several = "BEGIN; INSERT INTO things VALUES (1, 'committed'); COMMIT; EXECUTE whole";
    expect_replanning(raw(several).await.unwrap_err());
    assert_eq!(database.number("SELECT count(*) FROM things").await, 1);
}

/// The same code from within a procedure, which says so in the error's context, comes after a commit of its own.
#[tokio::test]
async fn a_procedure_that_has_committed_is_not_repeated() {
    let mut database = Database::with(COUNTED).await;
    let db = database.db.clone();
    let prepare = sqlx::raw_sql("PREPARE whole AS SELECT * FROM things");
    prepare.execute(&db).await.unwrap();
    database.add_column().await;
    let call = sqlx::query("CALL count_and_look()").execute(&db).await;
    expect_replanning(call.unwrap_err());
    assert_eq!(database.number("SELECT count(*) FROM things").await, 1);
}

/// So does what a procedure finds out about types that are gone, or says it did.
#[tokio::test]
async fn a_procedure_that_has_committed_and_then_misses_a_type_is_not_repeated() {
    let mut database = Database::with(COUNTED).await;
    let db = database.db.clone();
    let call = sqlx::query("CALL count_and_pretend()").execute(&db).await;
    let error = call.unwrap_err();
    assert!(format!("{:?}", twelve_core::Error::from(error)).contains("XX000"));
    assert_eq!(database.number("SELECT count(*) FROM things").await, 1);
}

/// Not every 0A000 comes from replanning: this one is the author's, and costs no connection.
#[tokio::test]
async fn a_feature_that_is_not_supported_stays_the_statements_fault() {
    let database = Database::with(THINGS).await;
    let db = database.db.clone();
    let before = backend(&db).await;
    let wrong = sqlx::query("SELECT count(*) FROM things FOR UPDATE");
    let error = wrong.execute(&db).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "0A000");
    assert!(!twelve_core::Error::from(error).is_unavailable());
    assert_eq!(backend(&db).await, before);
}

/// Postgres says what is wrong before it lets go of the locks; whoever hears of it may come again at once.
#[tokio::test]
async fn when_a_transaction_meets_a_changed_table_its_locks_are_free() {
    let mut database = Database::with(THINGS).await;
    let db = database.db.clone();
    for _ in 0..50 {
        let mut warm = db.begin().await.unwrap();
        sqlx::query(SELECT).fetch_all(&mut warm).await.unwrap();
        warm.commit().await.unwrap();
        database.add_column().await;
        let mut tx = db.begin().await.unwrap();
        sqlx::query("SELECT pg_advisory_xact_lock(n) FROM generate_series(1, 1000) AS n")
            .execute(&mut tx)
            .await
            .unwrap();
        sqlx::query(SELECT).fetch_all(&mut tx).await.unwrap_err();
        let free =
            "SELECT count(*) FROM generate_series(1, 1000) AS n WHERE pg_try_advisory_xact_lock(n)";
        assert_eq!(database.number(free).await, 1000);
    }
}
