//! One request, one transaction, with and without a key, in our routes and in axum's.

use std::sync::atomic::Ordering;

use axum::{body::Body, http::Request};
use twelve_core::Db;

use super::app::{Answer, App, Plan, Then, database};

async fn post(app: &App, path: &str, plan: &Plan) -> Answer {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(serde_json::to_vec(plan).unwrap()))
        .unwrap();
    app.ask(request).await
}

#[tokio::test]
async fn a_good_answer_commits_and_a_bad_one_rolls_back() {
    let app = App::new().await;
    for path in ["/plain", "/legacy"] {
        let before = app.effects().await;
        post(&app, path, &Plan::status(404)).await.expect(404);
        post(&app, path, &Plan::status(500)).await.expect(500);
        assert_eq!(app.effects().await, before, "{path}");
        post(&app, path, &Plan::status(201)).await.expect(201);
        post(&app, path, &Plan::status(303)).await.expect(303);
        assert_eq!(app.effects().await, before + 2, "{path}");
    }
    assert_eq!(app.shared.commits.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_panic_rolls_back() {
    let app = App::new().await;
    post(&app, "/plain", &Plan::then(Then::Panic))
        .await
        .expect(500);
    assert_eq!(app.effects().await, 0);
}

#[tokio::test]
async fn what_cannot_be_committed_is_not_called_a_success() {
    let app = App::new().await;
    for then in [Then::BreakTheCommit, Then::IgnoreAFailure] {
        post(&app, "/plain", &Plan::then(then)).await.expect(500);
    }
    assert_eq!(app.effects().await, 0);
    assert_eq!(app.shared.commits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_request_without_statements_opens_no_connection() {
    let app = App::new().await;
    let request = Request::get("/up").body(Body::empty()).unwrap();
    app.ask(request).await.expect(200);
    let ours = app
        .count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'shop/web'")
        .await;
    assert_eq!(ours, 0);
}

#[tokio::test]
async fn a_statement_that_postgres_refuses_costs_no_connection() {
    let db = Db::new(database().await, 3);
    let pid = async || {
        let pid = sqlx::query_scalar("SELECT pg_backend_pid()");
        pid.fetch_one(&db).await.unwrap()
    };
    let before: i32 = pid().await;
    let refused = sqlx::query("SELECT 1 / 0").execute(&db).await;
    assert!(refused.unwrap_err().as_database_error().is_some());
    assert_eq!(pid().await, before);
}
