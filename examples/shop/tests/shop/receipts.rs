//! The mail that a customer gets for a paid order.

use shop::orders::Receipt;
use twelve::test::TestApp;

use super::{LIMIT, SHOP, buy, configured, sign_up_as};

#[twelve::test(shop::app)]
async fn whoever_has_paid_gets_a_receipt(app: TestApp) {
    let app = configured(app);
    let mut payments = app.spawn(SHOP, &["payments"]).unwrap();
    payments.ready(LIMIT).await;
    let app = app.with_var("PAYMENTS_URL", payments.url());
    let token = sign_up_as(&app, "ada@example.com").await;
    let order = buy(&app, &token).await;
    let number = order["id"].as_str().unwrap();
    assert!(app.mails().await.is_empty(), "it is not paid yet");

    assert_eq!(app.drain_jobs().await.done, 1);
    let receipt = app.assert_mail::<Receipt>("ada@example.com").await;
    for part in [receipt.text(), receipt.html().unwrap()] {
        assert!(
            part.contains("Green tea") && part.contains("€13.80") && part.contains(number),
            "{part}"
        );
    }
    assert_eq!(app.mails().await.len(), 1);
}
