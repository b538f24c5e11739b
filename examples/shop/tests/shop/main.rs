//! How an app built with twelve is tested: the real app, a database of its own for every test.

mod forecasts;
mod live;
mod orders;
mod page;

use serde_json::{Value, json};
use std::time::Duration;
use twelve::test::TestApp;

/// The binary that real processes are started from.
const SHOP: &str = env!("CARGO_BIN_EXE_shop");

/// How long a process may take to be ready, to do its work, or to leave.
const LIMIT: Duration = Duration::from_secs(20);

/// A new customer's token.
async fn sign_up(app: &TestApp) -> String {
    let email = format!("{}@example.com", fastrand::u64(..));
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
