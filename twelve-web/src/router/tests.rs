//! The table, its listing and its faults.

use super::*;
use crate::idempotency::{Idempotency, IdempotencyExt};
use twelve_core::{Db, Tx};

async fn ok() {}
async fn with_db(_: Db) {}
async fn by_tx(_: Tx) -> &'static str {
    "scope"
}
async fn pass(_: Tx, request: Request, next: Next) -> axum::response::Response {
    next.run(request).await
}

#[track_caller]
fn only_fault(router: &Router) -> &str {
    match router.faults() {
        [fault] => fault,
        other => panic!("expected one fault: {other:?}"),
    }
}

#[test]
fn the_table_lists_methods_paths_handlers_and_arguments() {
    let api = Router::new().route("/orders/{id}", get(with_db).delete(ok));
    let router = Router::new()
        .nest("/api", api)
        .merge(axum::Router::<()>::new().route("/old", routing::get(ok)));
    let listed: Vec<_> = router
        .routes()
        .iter()
        .map(|route| (route.method(), route.path(), route.is_opaque()))
        .collect();
    assert_eq!(
        listed,
        [
            ("GET", "/api/orders/{id}", false),
            ("DELETE", "/api/orders/{id}", false),
            ("*", "/", true)
        ]
    );
    assert!(router.needs().has::<Db>());
    let route = &router.routes()[0];
    assert_eq!(route.handler(), "twelve_web::router::tests::with_db");
    assert!(route.needs().has::<Db>());
}

#[test]
fn fallbacks_and_middleware_are_listed_wherever_they_stand() {
    let api = Router::new().fallback(with_db).middleware(pass);
    let router = Router::new()
        .nest("/outer", Router::new().nest("/api", api))
        .fallback(ok);
    let paths: Vec<_> = router.routes().iter().map(Route::path).collect();
    assert_eq!(paths, ["/outer/api/*", "/*"]);
    assert_eq!(
        router.middlewares()[0].name(),
        "twelve_web::router::tests::pass"
    );
    assert!(router.needs().has::<Db>() && router.needs().has::<Tx>());
    assert!(router.faults().is_empty(), "{router:?}");
}

#[test]
fn a_wrong_table_is_told_and_does_not_panic() {
    let twice = Router::new().route("/a", get(ok)).route("/a", get(ok));
    assert_eq!(only_fault(&twice), "GET /a: is routed twice");

    let chained = Router::new().route("/a", get(ok).get(ok));
    assert_eq!(only_fault(&chained), "GET /a: is routed twice");

    let overlap = Router::new()
        .route("/{id}", get(ok))
        .route("/{name}", post(ok));
    assert_eq!(
        only_fault(&overlap),
        "POST /{name}: overlaps `/{id}`, which has the same form"
    );

    let slash = Router::new().route("orders", get(ok));
    assert_eq!(only_fault(&slash), "GET orders: a path begins with `/`");

    let old = Router::new().route("/:id", get(ok));
    assert!(only_fault(&old).contains("`{name}`"));

    let health = Router::new().route("/health", get(ok));
    assert!(only_fault(&health).contains("answers `/health` itself"));

    let nested = Router::new().nest("/", Router::new().route("/a", get(ok)));
    assert!(only_fault(&nested).starts_with("nest /:"));

    let scope = ok.idempotent(Idempotency::required(by_tx));
    let scope = Router::new().route("/a", post(scope));
    assert!(only_fault(&scope).contains("scope takes `Tx`"));

    let layer = Router::new().route_layer(axum::Extension(1));
    assert!(only_fault(&layer).starts_with("`route_layer`"));

    let fallbacks = Router::new().fallback(ok).merge(Router::new().fallback(ok));
    assert_eq!(
        only_fault(&fallbacks),
        "/*: two fallbacks, of which only one can answer"
    );
}

#[test]
fn what_only_axum_knows_to_be_wrong_is_told_too() {
    let hidden = axum::Router::<()>::new().route("/a", routing::get(ok));
    let router = Router::new().route("/a", get(ok)).merge(hidden);
    assert!(
        only_fault(&router).contains("Overlapping method route"),
        "{router:?}"
    );

    let wildcard = Router::new()
        .route("/files/{name}", get(ok))
        .route("/files/{*path}", get(ok));
    assert!(wildcard.faults().len() <= 1, "{:?}", wildcard.faults());
}

#[test]
fn all_faults_are_told_at_once() {
    let router = Router::new()
        .route("a", get(ok))
        .route("/ready", get(ok))
        .nest("/api", Router::new().route("b", get(ok)))
        .route("/fine", get(ok));
    assert_eq!(router.faults().len(), 3, "{:?}", router.faults());
}
