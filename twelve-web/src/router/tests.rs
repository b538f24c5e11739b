//! The table, its listing and its faults.

use super::*;
use twelve_core::{Db, Tx};

async fn ok() {}
async fn with_db(_: Db) {}
async fn two(_: Tx, _: Tx) {}

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
    let json = serde_json::to_value(router.routes()).unwrap();
    assert_eq!(json[0]["handler"], "twelve_web::router::tests::with_db");
    assert!(json[0]["arguments"][0].as_str().unwrap().ends_with("::Db"));
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

    let two = Router::new().route("/a", post(two));
    assert!(only_fault(&two).contains("two `Tx`"));

    let layer = Router::new().route_layer(axum::Extension(1));
    assert!(only_fault(&layer).starts_with("`route_layer`"));

    let fallbacks = Router::new().fallback(ok).merge(Router::new().fallback(ok));
    assert!(only_fault(&fallbacks).starts_with("two routers with a fallback"));
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
