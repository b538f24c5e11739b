//! When Postgres fails, at every moment at which it can.

use sqlx::postgres::PgConnectOptions;
use twelve_core::Db;

use super::app::{App, Plan, Then};

#[tokio::test]
async fn without_postgres_the_handler_never_runs() {
    let url = "postgres://nobody@127.0.0.1:1/none";
    let options: PgConnectOptions = url.parse().unwrap();
    let app = App::on(url, Db::new(options, 3));
    let answer = app.order("k", &Plan::default()).await.expect(503);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(app.runs(), 0);
}

#[tokio::test]
async fn a_connection_lost_in_the_handler_leaves_nothing() {
    let app = App::new().await;
    app.order("k", &Plan::then(Then::Disconnect))
        .await
        .expect(503);
    assert_eq!((app.effects().await, app.records().await), (0, 0));
    assert!(
        !app.order("k", &Plan::default())
            .await
            .expect(201)
            .is_replay()
    );
    assert_eq!(app.effects().await, 1);
}

#[tokio::test]
async fn a_refused_commit_leaves_nothing_and_is_not_called_a_success() {
    let app = App::new().await;
    app.order("k", &Plan::then(Then::BreakTheCommit))
        .await
        .expect(500);
    // Whoever hears of it may come again at once: the key is free by then.
    let again = app.order("k", &Plan::default()).await.expect(201);
    assert!(!again.is_replay());
    assert_eq!((app.effects().await, app.records().await), (1, 1));
}

#[tokio::test]
async fn a_statement_that_failed_unnoticed_does_not_become_a_success() {
    let app = App::new().await;
    app.order("k", &Plan::then(Then::IgnoreAFailure))
        .await
        .expect(500);
    assert_eq!((app.effects().await, app.records().await), (0, 0));
    // A refusal that follows from it can be remembered all the same.
    let plan = Plan {
        status: 409,
        then: Then::IgnoreAFailure,
    };
    app.order("other", &plan).await.expect(409);
    assert!(app.order("other", &plan).await.expect(409).is_replay());
}

#[tokio::test]
async fn without_the_table_the_handler_never_runs() {
    let app = App::new().await;
    app.execute("DROP TABLE twelve.idempotency_keys").await;
    app.order("k", &Plan::default()).await.expect(500);
    assert_eq!(app.runs(), 0);
}
