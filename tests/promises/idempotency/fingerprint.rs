//! A key belongs to one request: the same bytes to the same place (I4).

use crate::harness::http::ask;
use crate::harness::shop::{Customer, Shop, fresh_key, tea};

#[tokio::test]
async fn a_key_used_for_another_request_is_422() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let original = customer.order(&fresh_key());
    ask(web.port, &original).await.expect(201);

    let body = tea(2).to_string();
    let changed = [
        (
            "the quantity",
            original
                .clone()
                .body("application/json", tea(3).to_string()),
        ),
        (
            "a space in the body",
            original
                .clone()
                .body("application/json", format!("{body} ")),
        ),
        (
            "the content type",
            original
                .clone()
                .body("application/json; charset=utf-8", body.clone()),
        ),
        ("the query", original.clone().target("/orders?gift=yes")),
    ];
    for (what, request) in changed {
        let answer = ask(web.port, &request).await;
        assert_eq!(answer.status, 422, "{what} changed: {answer}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{answer}"
        );
        assert!(!answer.is_replay(), "{answer}");
    }

    // What the fingerprint leaves out may change.
    let other_headers = original
        .clone()
        .header("user-agent", "another/2")
        .header("accept", "*/*");
    assert!(ask(web.port, &other_headers).await.expect(201).is_replay());
    assert!(ask(web.port, &original).await.expect(201).is_replay());
    assert_eq!(shop.database.count("orders").await, 1);
}

/// I5: what an extractor refuses never began, so nothing of it is remembered,
/// its fingerprint neither.
#[tokio::test]
async fn a_refused_request_does_not_use_up_its_key() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let good = customer.order(&fresh_key());
    let refused = [
        (400, good.clone().body("application/json", r#"{"items":["#)),
        (
            422,
            good.clone().body("application/json", r#"{"things":[]}"#),
        ),
        (415, good.clone().body("text/plain", "tea, please")),
        (
            413,
            good.clone().body("application/json", vec![b' '; 12 << 20]),
        ),
        (401, good.clone().bearer("no-such-token")),
    ];
    for (status, request) in refused {
        for _ in 0..2 {
            let answer = ask(web.port, &request).await.expect(status);
            assert!(!answer.is_replay(), "{answer}");
        }
    }
    let placed = ask(web.port, &good).await.expect(201);
    assert!(!placed.is_replay(), "{placed}");
    assert_eq!(shop.database.count("orders").await, 1);
}

/// I5: what the handler itself refuses did begin, and is remembered.
#[tokio::test]
async fn the_handlers_own_refusal_is_remembered() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let unknown = r#"{"items":[{"sku":"no-such-tea","quantity":1}]}"#;
    let request = customer
        .order(&fresh_key())
        .body("application/json", unknown);

    let first = ask(web.port, &request).await;
    assert!((400..500).contains(&first.status), "{first}");
    assert!(!first.is_replay(), "{first}");
    let second = ask(web.port, &request).await;
    assert!(second.is_replay(), "{second}");
    assert_eq!((second.status, &second.body), (first.status, &first.body));
    assert_eq!(second.header("content-type"), first.header("content-type"));

    let good = request.body("application/json", tea(1).to_string());
    ask(web.port, &good).await.expect(422);
    assert_eq!(shop.database.count("orders").await, 0);
}
