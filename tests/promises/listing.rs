//! What a customer reads of orders: all of the own, none of another's.

use crate::harness::http::{Request, ask};
use crate::harness::shop::{Customer, Shop, fresh_key};

#[tokio::test]
async fn a_list_is_read_page_by_page_without_gap_or_repetition() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(customer.buy(web.port, &fresh_key()).await);
    }

    let mut read = Vec::new();
    let mut pages = 0;
    let mut target = "/orders?limit=2".to_owned();
    loop {
        let page = ask(web.port, &customer.get(&target))
            .await
            .expect(200)
            .json();
        let orders = page["orders"].as_array().expect("a list");
        assert!(orders.len() <= 2, "{page}");
        read.extend(
            orders
                .iter()
                .map(|order| order["id"].as_str().expect("an id").to_owned()),
        );
        pages += 1;
        assert!(pages <= 4, "the pages do not end");
        let Some(next) = page["next"].as_str() else {
            break;
        };
        target = format!("/orders?limit=2&after={next}");
    }
    assert!(pages >= 3, "five orders fit on {pages} pages of two");
    read.sort();
    placed.sort();
    assert_eq!(read, placed);
}

#[tokio::test]
async fn another_customers_order_does_not_exist() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let (owner, other) = (
        Customer::sign_up(web.port).await,
        Customer::sign_up(web.port).await,
    );
    let order = owner.buy(web.port, &fresh_key()).await;
    owner.read(web.port, &order).await;
    assert!(other.orders(web.port).await.is_empty());

    // Word for word what an order that nobody placed answers, so that nothing
    // is learned from it.
    let mine = ask(web.port, &other.get(&format!("/orders/{order}")))
        .await
        .expect(404);
    let nobodys = "/orders/00000000-0000-4000-8000-000000000000";
    let nobodys = ask(web.port, &other.get(nobodys)).await.expect(404);
    assert_eq!(mine.json()["type"], nobodys.json()["type"]);
    assert_eq!(mine.json()["detail"], nobodys.json()["detail"]);
}

#[tokio::test]
async fn products_are_public() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let products = ask(web.port, &Request::get("/products")).await.expect(200);
    assert!(
        products.json().to_string().contains("\"tea\""),
        "{products}"
    );
}
