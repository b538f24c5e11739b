//! What one connection has met, its siblings of the same age would meet too: they are closed before anyone has them.

use futures_util::future::try_join_all;

use crate::database::{Database, SELECT, THINGS, three_backends};

#[tokio::test]
async fn connections_as_old_as_one_whose_plan_failed_are_not_used_again() {
    let mut database = Database::pooled(3, THINGS).await;
    let db = database.db.clone();
    let before = three_backends(&db).await;
    // Three at once, so that each connection is asked.
    let select = || sqlx::query(SELECT).fetch_all(&db);
    try_join_all([select(), select(), select()]).await.unwrap();
    database.add_column().await;
    try_join_all([select(), select(), select()]).await.unwrap();
    let after = three_backends(&db).await;
    assert!(
        before.iter().all(|backend| !after.contains(backend)),
        "{before:?}, then {after:?}"
    );
}

/// FATAL: the session is over, though its last answer came in order.
#[tokio::test]
async fn a_connection_that_postgres_has_ended_is_not_used_again() {
    let database = Database::with(THINGS).await;
    let db = database.db.clone();
    let end = sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())");
    let ended = end.execute(&db).await.unwrap_err();
    assert!(twelve_core::Error::from(ended).is_unavailable());
    sqlx::query(SELECT).fetch_all(&db).await.unwrap();
}

#[tokio::test]
async fn connections_as_old_as_one_that_is_read_only_are_not_used_again() {
    let mut database = Database::pooled(3, THINGS).await;
    let db = database.db.clone();
    database.set_read_only("on").await;
    let before = three_backends(&db).await;
    let write = || sqlx::query("INSERT INTO things VALUES (4, 'four')").execute(&db);
    let refused = write().await.unwrap_err();
    assert!(twelve_core::Error::from(refused).is_unavailable());
    database.set_read_only("off").await;
    for _ in 0..3 {
        write().await.unwrap();
    }
    let after = three_backends(&db).await;
    assert!(
        before.iter().all(|backend| !after.contains(backend)),
        "{before:?}, then {after:?}"
    );
}
