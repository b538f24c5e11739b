//! How an app built with twelve is tested: the real app, a database of its own for every test.

mod forecasts;
mod live;
mod orders;
mod page;
mod receipts;
mod schedules;

use serde_json::{Value, json};
use std::time::Duration;
use twelve::test::TestApp;

/// The binary that real processes are started from.
const SHOP: &str = env!("CARGO_BIN_EXE_shop");

/// How long a process may take to be ready, to do its work, or to leave.
const LIMIT: Duration = Duration::from_secs(20);

/// The app with the variables of the shop's own.
fn configured(app: TestApp) -> TestApp {
    app.with_var("PAYMENTS_KEY", "s3cret")
        .with_var("REPORTS_TO", "reports@example.com")
}

/// A new customer's token.
async fn sign_up(app: &TestApp) -> String {
    sign_up_as(app, &format!("{}@example.com", fastrand::u64(..))).await
}

async fn sign_up_as(app: &TestApp, email: &str) -> String {
    let answer = app.post("/customers").json(&json!({"email": email})).await;
    let token: Value = answer.assert_status(201).json();
    token["token"].as_str().unwrap().to_owned()
}

/// Places an order for two packets of tea, and answers with it.
async fn buy(app: &TestApp, token: &str) -> Value {
    let order = app.post("/orders").bearer(token).key(fastrand::u64(..));
    order.json(&two_teas()).await.assert_status(201).json()
}

fn two_teas() -> Value {
    json!({"items": [{"sku": "tea", "quantity": 2}]})
}
