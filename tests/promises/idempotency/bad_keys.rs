//! Keys that are missing or malformed.

use crate::harness::http::{Request, ask};
use crate::harness::shop::{Customer, Shop, fresh_key, tea};

#[tokio::test]
async fn an_order_without_a_key_is_400() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let answer = ask(
        web.port,
        &Request::post("/orders", &tea(1)).bearer(&customer.token),
    )
    .await;
    let problem = answer.expect(400).json();
    assert!(
        problem
            .to_string()
            .to_lowercase()
            .contains("idempotency-key"),
        "{problem}"
    );
    assert_eq!(shop.database.count("orders").await, 0);
}

#[tokio::test]
async fn a_malformed_key_is_400() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let order = Request::post("/orders", &tea(1)).bearer(&customer.token);
    let malformed: [(&str, Vec<u8>); 7] = [
        ("empty", Vec::new()),
        ("quoted and empty", b"\"\"".to_vec()),
        ("256 characters", vec![b'k'; 256]),
        ("a space inside", b"one two".to_vec()),
        ("not ASCII", "schlüssel".as_bytes().to_vec()),
        ("not UTF-8", vec![b'k', 0xff]),
        ("an open quote", b"\"key".to_vec()),
    ];
    for (what, key) in malformed {
        let answer = ask(web.port, &order.clone().key(key)).await;
        assert_eq!(answer.status, 400, "{what}: {answer}");
    }
    let two = order
        .clone()
        .key(fresh_key())
        .second_header("idempotency-key", "another");
    ask(web.port, &two).await.expect(400);
    assert_eq!(shop.database.count("orders").await, 0);
}

#[tokio::test]
async fn keys_up_to_255_characters_quoted_or_bare_are_accepted() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;

    ask(web.port, &customer.order("k")).await.expect(201);
    let long = "l".repeat(255);
    ask(web.port, &customer.order(&long)).await.expect(201);
    ask(web.port, &customer.order("!#$%&'()*+,-./:;<=>?@[]^_`{|}~"))
        .await
        .expect(201);

    // The draft's form is a quoted string; both spellings are one key.
    let bare = fresh_key();
    let first = ask(web.port, &customer.order(&bare)).await.expect(201);
    let quoted = ask(web.port, &customer.order(&format!("\"{bare}\"")))
        .await
        .expect(201);
    assert!(quoted.is_replay());
    assert_eq!(quoted.body, first.body);
    assert_eq!(shop.database.count("orders").await, 4);
}
