//! Errors that a program can tell apart (RFC 9457).

use serde_json::{Value, json};

use crate::harness::http::{Answer, Request, ask};
use crate::harness::shop::{Customer, Shop, fresh_key, tea};

/// Checks that an answer is a problem document of its own status and answers
/// its type.
#[track_caller]
fn problem(answer: Answer, status: u16) -> String {
    let answer = answer.expect(status);
    let content_type = answer.header("content-type").unwrap_or_default();
    assert_eq!(content_type, "application/problem+json", "{answer}");
    let document = answer.json();
    assert_eq!(document["status"], status, "{document}");
    assert!(
        document["title"]
            .as_str()
            .is_some_and(|title| !title.is_empty()),
        "{document}"
    );
    let kind = document["type"].as_str().unwrap_or_default().to_owned();
    assert!(
        !kind.is_empty() && kind != "about:blank",
        "no type of its own: {document}"
    );
    kind
}

#[tokio::test]
async fn every_failure_is_a_problem_with_a_stable_type_of_its_own() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let order = |body: &str| customer.order(&fresh_key()).body("application/json", body);

    let cases = [
        (401, Request::get("/orders")),
        (404, Request::get("/no-such-page")),
        (
            404,
            customer.get("/orders/00000000-0000-4000-8000-000000000000"),
        ),
        (405, Request::new("DELETE", "/products")),
        (
            413,
            order(&format!(
                r#"{{"items":[],"note":"{}"}}"#,
                "x".repeat(12 << 20)
            )),
        ),
        (
            415,
            customer
                .order(&fresh_key())
                .body("text/plain", "two packets of tea"),
        ),
        (422, order(r#"{"items":[{"sku":"tea","quantity":"many"}]}"#)),
        (422, order(r#"{"things":[]}"#)),
        (400, order(r#"{"items":[{"sku":"tea""#)),
        (400, customer.get("/orders?limit=many")),
    ];
    for (status, request) in cases {
        let first = problem(ask(web.port, &request).await, status);
        let second = problem(ask(web.port, &request).await, status);
        assert_eq!(first, second, "the type changes from answer to answer");
    }
}

#[tokio::test]
async fn different_failures_of_one_status_have_different_types() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let key = fresh_key();
    ask(web.port, &customer.order(&key)).await.expect(201);

    let no_key = Request::post("/orders", &tea(1)).bearer(&customer.token);
    let no_key = problem(ask(web.port, &no_key).await, 400);
    let no_json = customer.order(&fresh_key()).body("application/json", "{");
    let no_json = problem(ask(web.port, &no_json).await, 400);
    assert_ne!(no_key, no_json);

    let other_body = Request::post("/orders", &tea(3))
        .bearer(&customer.token)
        .key(&key);
    let other_body = problem(ask(web.port, &other_body).await, 422);
    let wrong_shape = Request::post("/orders", &json!({ "things": [] })).bearer(&customer.token);
    let wrong_shape = problem(ask(web.port, &wrong_shape.key(fresh_key())).await, 422);
    assert_ne!(other_body, wrong_shape);
}

#[tokio::test]
async fn only_a_good_token_opens_the_door() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    ask(web.port, &customer.get("/orders")).await.expect(200);

    let bad = [
        None,
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Bearer no-such-token".to_owned()),
        Some(format!("Bearer {}x", customer.token)),
        Some(format!("Basic {}", customer.token)),
        Some(customer.token.clone()),
    ];
    for authorization in bad {
        for request in [
            Request::get("/orders"),
            Request::post("/orders", &tea(1)).key(fresh_key()),
        ] {
            let request = match &authorization {
                Some(value) => request.header("authorization", value),
                None => request,
            };
            let answer = ask(web.port, &request).await;
            assert!(
                answer.header("www-authenticate").is_some(),
                "RFC 9110 11.6.1: {answer}"
            );
            problem(answer, 401);
        }
    }
    assert_eq!(shop.database.count("orders").await, 0);
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_told_which_are() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let answer = ask(web.port, &Request::new("DELETE", "/orders")).await;
    let allow = answer.header("allow").unwrap_or_default().to_owned();
    problem(answer, 405);
    assert!(
        allow.contains("GET") && allow.contains("POST"),
        "Allow: {allow}"
    );
}

#[tokio::test]
async fn absurd_input_is_refused_and_breaks_nothing() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let items =
        |items: Value| Request::post("/orders", &json!({ "items": items })).bearer(&customer.token);
    let item = |sku: Value, quantity: Value| json!({ "sku": sku, "quantity": quantity });
    let customers = |email: Value| Request::post("/customers", &json!({ "email": email }));

    let absurd = [
        items(json!([])),
        items(json!([item(json!("tea"), json!(0))])),
        items(json!([item(json!("tea"), json!(-1))])),
        items(json!([item(json!("tea"), json!(1.5))])),
        items(json!([item(json!("tea"), json!(i64::MAX))])),
        items(json!([item(json!("no-such-sku"), json!(1))])),
        // Postgres has no NUL in its texts.
        items(json!([item(json!("te\0a"), json!(1))])),
        items(json!(vec![item(json!("tea"), json!(1_000_000)); 1_000])),
        customers(json!("a\0b@example.com")),
        customers(json!("")),
        customers(json!(7)),
        customers(json!("x".repeat(100_000))),
        customer.get("/orders/not-an-id"),
        customer.get("/orders/%00"),
        customer.get("/orders/%ff"),
        customer.get("/orders?limit=99999999999999999999"),
        customer.get("/orders?after=no-such-cursor"),
    ];
    for request in absurd {
        let answer = ask(web.port, &request.clone().key(fresh_key())).await;
        assert!((400..500).contains(&answer.status), "{request:?}\n{answer}");
        problem(answer.clone(), answer.status);
    }
    assert_eq!(shop.database.count("orders").await, 0);
    ask(web.port, &customer.order(&fresh_key()))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_second_sign_up_of_an_email_does_not_open_the_firsts_orders() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let sign_up = Request::post("/customers", &json!({ "email": "ada@example.com" }));
    let first = ask(web.port, &sign_up).await.expect(201).json();
    let first = Customer {
        token: first["token"].as_str().expect("a token").to_owned(),
    };
    first.buy(web.port, &fresh_key()).await;

    let second = ask(web.port, &sign_up).await;
    if second.status == 201 {
        let second = Customer {
            token: second.json()["token"].as_str().expect("a token").to_owned(),
        };
        assert!(
            second.orders(web.port).await.is_empty(),
            "anybody's orders for the price of an email"
        );
    } else {
        assert!(second.status < 500, "{second}");
        problem(second.clone(), second.status);
    }
}

#[tokio::test]
async fn the_payment_provider_speaks_problems_too() {
    let shop = Shop::released().await;
    let provider = shop.payments(&[]).await;
    let port = provider.server.port;
    problem(
        ask(
            port,
            &Request::post("/charges", &json!({})).key(fresh_key()),
        )
        .await,
        401,
    );
    problem(ask(port, &Request::get("/nothing")).await, 404);
}
