//! What is remembered, and what a repeated request is answered (I4 to I7, I9).

use axum::{body::Body, http::Request};
use std::sync::atomic::Ordering;

use super::app::{App, Plan, Then, order, raw};

#[tokio::test]
async fn a_success_is_done_once_and_replayed() {
    for status in [200, 201, 204, 303] {
        let app = App::new().await;
        let plan = Plan::status(status);
        let first = app.order("k", &plan).await.expect(status);
        assert!(!first.is_replay());
        assert_eq!(first.header("set-cookie"), Some("a=b"));
        for _ in 0..2 {
            let replay = app.order("k", &plan).await.expect(status);
            assert!(replay.is_replay(), "{replay:?}");
            assert_eq!(replay.body, first.body);
            assert_eq!(replay.header("location"), Some("/orders/1"));
            assert_eq!(replay.header("set-cookie"), None);
        }
        assert_eq!((app.runs(), app.effects().await), (1, 1));
        assert_eq!(app.shared.commits.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_refusal_of_the_handlers_own_is_remembered_and_its_writes_are_not() {
    let app = App::new().await;
    for status in [400, 404, 409, 410, 422] {
        let key = status.to_string();
        let plan = Plan::status(status);
        let first = app.order(&key, &plan).await.expect(status);
        let replay = app.order(&key, &plan).await.expect(status);
        assert!(!first.is_replay() && replay.is_replay());
        assert_eq!(replay.body, first.body);
    }
    assert_eq!(
        (app.runs(), app.effects().await, app.records().await),
        (5, 0, 5)
    );
    // What was to be done after the commit belongs to writes that were undone.
    assert_eq!(app.shared.commits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_about_the_attempt_is_forgotten() {
    let app = App::new().await;
    let statuses = [401, 403, 408, 413, 425, 429, 500, 502, 503];
    for status in statuses {
        let key = status.to_string();
        for _ in 0..2 {
            let answer = app.order(&key, &Plan::status(status)).await.expect(status);
            assert!(!answer.is_replay());
        }
    }
    assert_eq!(app.runs(), statuses.len() * 2);
    assert_eq!((app.effects().await, app.records().await), (0, 0));
}

#[tokio::test]
async fn a_key_is_not_used_up_by_a_failure() {
    let app = App::new().await;
    app.order("k", &Plan::status(500)).await.expect(500);
    app.order("k", &Plan::then(Then::Panic)).await.expect(500);
    app.ask(raw("ada", "k", "application/json", "{"))
        .await
        .expect(400);
    app.ask(raw("ada", "k", "application/json", r#"{"status":"x"}"#))
        .await
        .expect(422);
    app.ask(raw("ada", "k", "text/plain", "{}"))
        .await
        .expect(415);
    assert_eq!((app.effects().await, app.records().await), (0, 0));
    let good = app.order("k", &Plan::default()).await.expect(201);
    assert!(!good.is_replay());
    assert_eq!(app.effects().await, 1);
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let app = App::new().await;
    app.order("k", &Plan::default()).await.expect(201);
    let plan = serde_json::to_string(&Plan::default()).unwrap();
    let mut elsewhere = order("ada", "k", &Plan::default());
    *elsewhere.uri_mut() = "/orders?gift=yes".parse().unwrap();
    let mut other_route = order("ada", "k", &Plan::default());
    *other_route.uri_mut() = "/optional".parse().unwrap();
    let others = [
        raw("ada", "k", "application/json", format!("{plan} ")),
        raw("ada", "k", "application/json; charset=utf-8", plan),
        elsewhere,
        other_route,
    ];
    for other in others {
        let answer = app.ask(other).await.expect(422);
        assert_eq!(answer.kind(), "idempotency-key-reused");
    }
    let mut same = order("ada", "k", &Plan::default());
    same.headers_mut()
        .insert("user-agent", "other/2".parse().unwrap());
    assert!(app.ask(same).await.expect(201).is_replay());
    assert_eq!(app.effects().await, 1);
}

#[tokio::test]
async fn a_key_is_missing_malformed_or_optional() {
    let app = App::new().await;
    let without = |path: &str| {
        Request::post(path)
            .header("customer", "ada")
            .header("content-type", "application/json")
            .body(Body::from("{}"))
            .unwrap()
    };
    let missing = app.ask(without("/orders")).await.expect(400);
    assert_eq!(missing.kind(), "idempotency-key-missing");
    let invalid = app.order("one two", &Plan::default()).await.expect(400);
    assert_eq!(invalid.kind(), "idempotency-key-invalid");
    assert_eq!(app.runs(), 0);

    for _ in 0..2 {
        assert!(!app.ask(without("/optional")).await.expect(201).is_replay());
    }
    assert_eq!((app.effects().await, app.records().await), (2, 0));
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_done() {
    let app = App::new().await;
    for then in [Then::AnswerALot, Then::Stream] {
        let answer = app.order("k", &Plan::then(then)).await.expect(500);
        assert_eq!(answer.kind(), "response-too-large");
    }
    assert_eq!((app.effects().await, app.records().await), (0, 0));
}

#[tokio::test]
async fn a_safe_method_ignores_the_key() {
    let app = App::new().await;
    for _ in 0..2 {
        let mut reading = order("ada", "k", &Plan::default());
        *reading.method_mut() = axum::http::Method::GET;
        assert!(!app.ask(reading).await.expect(201).is_replay());
    }
    assert_eq!((app.runs(), app.records().await), (2, 0));
}

#[tokio::test]
async fn a_handler_without_a_transaction_is_remembered_too() {
    let app = App::new().await;
    let request = || {
        let mut request = order("ada", "k", &Plan::default());
        *request.uri_mut() = "/without-tx".parse().unwrap();
        request
    };
    assert!(!app.ask(request()).await.expect(202).is_replay());
    assert!(app.ask(request()).await.expect(202).is_replay());
    assert_eq!(app.runs(), 1);
}
