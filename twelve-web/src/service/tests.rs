//! Requests that need no socket and no backing service.

use super::*;
use crate::{
    extract::{Path, Query},
    router::{get, post},
};
use axum::middleware::Next;
use axum::{
    body::Bytes,
    extract::rejection::BytesRejection,
    http::{Request as HttpRequest, StatusCode},
};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::Value;
use twelve_core::{Environment, Identity, Lifecycle, Registry, Shutdown};
use uuid::Uuid;

fn context() -> Context {
    Context::new(
        Identity::new("shop", "web"),
        Environment::default().with("TWELVE_BODY_LIMIT", "10"),
        Lifecycle::default(),
        Registry::default(),
    )
}

#[derive(Deserialize)]
struct Page {
    #[expect(dead_code, reason = "only its form matters")]
    limit: u32,
}

async fn body(body: Bytes) -> Bytes {
    body
}

async fn panics() {
    panic!("on purpose");
}

async fn order(_: Path<Uuid>) {}

async fn page(_: Query<Page>) {}

/// A status with a text, as if every status had content.
async fn status(Path(status): Path<u16>) -> (StatusCode, &'static str) {
    (StatusCode::from_u16(status).unwrap(), "text")
}

async fn sign(_: Shutdown, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let signature = "signed".parse().unwrap();
    response.headers_mut().append("signature", signature);
    response
}

fn routes() -> Router {
    Router::new()
        .route("/body", post(body))
        .route("/panics", get(panics))
        .route("/orders/{id}", get(order))
        .route("/orders", get(page))
        .route("/json", post(async |_: crate::extract::Json<Vec<u8>>| ()))
        .route(
            "/own-words",
            post(async |body: Result<Bytes, BytesRejection>| {
                body.map_err(|_| {
                    (
                        StatusCode::PAYLOAD_TOO_LARGE,
                        "a photo has 10 bytes at most",
                    )
                })
            }),
        )
        .route("/status/{status}", get(status))
        .merge(
            axum::Router::<()>::new()
                .route("/old", axum::routing::get(async || "old"))
                .route("/old", axum::routing::post(body)),
        )
}

async fn ask(context: &Context, method: &str, path: &str, body: &str) -> (u16, Response) {
    send(context, method, path, Body::from(body.to_owned())).await
}

/// A body whose length nobody knows before it has arrived.
fn chunked(body: &'static str) -> Body {
    Body::from_stream(futures_util::stream::iter([Ok::<_, Infallible>(body)]))
}

async fn send(context: &Context, method: &str, path: &str, body: Body) -> (u16, Response) {
    let request = HttpRequest::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let response = service(routes(), context).unwrap().respond(request).await;
    (response.status().as_u16(), response)
}

async fn kind(response: Response) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let document: Value = serde_json::from_slice(&body).unwrap();
    document["type"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let cases = [
        ("GET", "/nothing", "", 404, "not-found"),
        ("DELETE", "/old", "", 405, "method-not-allowed"),
        ("GET", "/orders/not-a-uuid", "", 404, "not-found"),
        ("GET", "/orders/%ff", "", 400, "bad-request"),
        ("GET", "/orders?limit=many", "", 400, "invalid-query"),
        ("GET", "/panics", "", 500, "internal"),
        ("POST", "/body", "12345678901", 413, "body-too-large"),
        ("POST", "/health", "", 405, "method-not-allowed"),
        ("GET", "/ready", "", 503, "not-ready"),
        ("BREW", "/old", "", 501, "method-unknown"),
        ("get", "/health", "", 501, "method-unknown"),
    ];
    for (method, path, body, expected, expected_kind) in cases {
        let (status, response) = ask(&context(), method, path, body).await;
        assert_eq!(status, expected, "{method} {path}");
        assert_eq!(kind(response).await, expected_kind, "{method} {path}");
    }
}

/// Its length is not known beforehand, so that only the extractor finds out.
#[tokio::test]
async fn a_body_that_turns_out_too_large_is_a_problem_whoever_reads_it() {
    for path in ["/body", "/json", "/old"] {
        let (status, response) = send(&context(), "POST", path, chunked("12345678901")).await;
        assert_eq!(status, 413, "{path}");
        assert_eq!(kind(response).await, "body-too-large", "{path}");
    }
    let (status, response) = send(&context(), "POST", "/own-words", chunked("12345678901")).await;
    assert_eq!(status, 413);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "a photo has 10 bytes at most");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_problem_whoever_reads_it() {
    for path in ["/body", "/json", "/old"] {
        let broken = [Ok("[1,"), Err(std::io::Error::other("reset"))];
        let broken = Body::from_stream(futures_util::stream::iter(broken));
        let (status, response) = send(&context(), "POST", path, broken).await;
        assert_eq!(status, 400, "{path}");
        assert_eq!(kind(response).await, "unreadable-body", "{path}");
    }
}

/// RFC 9110, sections 8.6, 9.3.2 and 15.3.6.
#[tokio::test]
async fn an_answer_has_content_and_a_length_only_where_it_may() {
    for method in ["GET", "HEAD"] {
        for path in ["/status/204", "/status/205", "/status/304"] {
            let (_, response) = ask(&context(), method, path, "").await;
            let length = response.headers().get("content-length").cloned();
            assert_eq!(length, None, "{method} {path}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "", "{method} {path}");
        }
    }
    // HEAD has what GET has, but the content.
    for path in [
        "/status/200",
        "/status/404",
        "/health",
        "/nothing",
        "/ready",
    ] {
        let (_, get) = ask(&context(), "GET", path, "").await;
        let (_, head) = ask(&context(), "HEAD", path, "").await;
        assert_eq!(get.status(), head.status(), "{path}");
        assert_eq!(
            get.headers()["content-type"],
            head.headers()["content-type"],
            "{path}"
        );
        let body = get.into_body().collect().await.unwrap().to_bytes();
        let length = body.len().to_string();
        assert_eq!(head.headers()["content-length"], length, "{path}");
        let none = head.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(none, "", "{path}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_told_which_are() {
    let (_, response) = ask(&context(), "DELETE", "/body", "").await;
    assert_eq!(response.headers()["allow"], "POST");
}

#[tokio::test]
async fn a_body_within_the_limit_passes() {
    let (status, response) = ask(&context(), "POST", "/body", "1234567890").await;
    assert_eq!(status, 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "1234567890");
}

#[tokio::test]
async fn a_middleware_wraps_the_routes_before_it_and_finds_the_context() {
    let routes = Router::new()
        .nest("/in", Router::new().route("/", get(async || "in")))
        .middleware(sign)
        .route("/out", get(async || "out"));
    let ask = async |path: &str| {
        let request = HttpRequest::get(path).body(Body::empty()).unwrap();
        let service = service(routes.clone(), &context()).unwrap();
        let response = service.respond(request).await;
        (
            response.status().as_u16(),
            response.headers().contains_key("signature"),
        )
    };
    assert_eq!(ask("/in").await, (200, true));
    assert_eq!(ask("/nothing").await, (404, true));
    assert_eq!(ask("/out").await, (200, false));
}

#[tokio::test]
async fn readiness_follows_the_lifecycle_and_liveness_does_not() {
    let context = context();
    let lifecycle = context.lifecycle();
    let both = async || {
        let (health, response) = ask(&context, "GET", "/health", "").await;
        assert_eq!(response.headers()["cache-control"], "no-store");
        (health, ask(&context, "HEAD", "/ready", "").await.0)
    };
    assert_eq!(both().await, (200, 503));
    lifecycle.ready();
    assert_eq!(both().await, (200, 200));
    lifecycle.begin_announce();
    assert_eq!(both().await, (200, 503));
}

#[test]
fn a_wrong_table_does_not_become_a_service() {
    let wrong = Router::new().route("/health", get(panics));
    let error = service(wrong, &context()).unwrap_err();
    assert!(error.is_configuration());
}
