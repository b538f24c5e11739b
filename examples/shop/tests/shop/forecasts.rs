//! Forecasts, and the worker of their own that computes them.

use serde_json::{Value, json};
use std::time::Duration;
use twelve::test::{Signal, TestApp};

use super::{LIMIT, SHOP, buy, sign_up};

/// A killed worker's jobs run again within 30 s.
const RESCUED: Duration = Duration::from_mins(1);

async fn ask(app: &TestApp, token: &str, sku: &str, days: i32) -> String {
    let wish = json!({"sku": sku, "days": days});
    let asked = app.post("/forecasts").bearer(token).json(&wish).await;
    let asked = asked.assert_status(202);
    assert_eq!(asked.json::<Value>()["status"], "queued");
    asked.header("location").unwrap().to_owned()
}

async fn read(app: &TestApp, token: &str, path: &str) -> Value {
    let shown = app.get(path).bearer(token).await;
    shown.assert_status(200).json()
}

async fn until(app: &TestApp, token: &str, path: &str, status: &str, limit: Duration) -> Value {
    let reached = async {
        loop {
            let forecast = read(app, token, path).await;
            if forecast["status"] == status {
                return forecast;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reached = tokio::time::timeout(limit, reached).await;
    reached.unwrap_or_else(|_| panic!("not {status} within {limit:?}"))
}

#[twelve::test(shop::app)]
async fn a_forecast_is_promised_and_kept(app: TestApp) {
    let token = sign_up(&app).await;
    buy(&app, &token).await;
    let app = app.with_var("PAYMENTS_KEY", "s3cret");
    let app = app.with_var("PAYMENTS_URL", "http://127.0.0.1:1");
    let (one, same) = (
        ask(&app, &token, "tea", 2).await,
        ask(&app, &token, "tea", 2).await,
    );
    let none = ask(&app, &token, "cup", 2).await;
    app.drain_jobs().await;

    let one = read(&app, &token, &one).await;
    assert_eq!((&one["sku"], &one["days"]), (&json!("tea"), &json!(2)));
    assert_eq!(one["status"], "done");
    assert_eq!(one["result"]["low"], 0);
    assert_eq!(one["result"], read(&app, &token, &same).await["result"]);
    let nothing = json!({"low": 0, "likely": 0, "high": 0});
    assert_eq!(read(&app, &token, &none).await["result"], nothing);

    let somebody = sign_up(&app).await;
    let path = format!("/forecasts/{}", one["id"].as_str().unwrap());
    let shown = app.get(&path).bearer(&somebody).await;
    shown.assert_problem(404, "not-found");
}

#[twelve::test(shop::app)]
async fn a_forecast_that_makes_no_sense_is_refused(app: TestApp) {
    let token = sign_up(&app).await;
    for (sku, days, problem) in [
        ("tea", 0, "invalid-forecast"),
        ("tea", 366, "invalid-forecast"),
        ("tea", -1, "invalid-forecast"),
        ("gold", 1, "unknown-product"),
    ] {
        let wish = json!({"sku": sku, "days": days});
        let asked = app.post("/forecasts").bearer(&token).json(&wish).await;
        asked.assert_problem(422, problem);
    }
    let wish = json!({"sku": "tea", "days": 1});
    let asked = app.post("/forecasts").json(&wish).await;
    asked.assert_problem(401, "unauthorized");
}

#[twelve::test(shop::app)]
async fn a_forecast_is_done_once_though_its_worker_is_killed(app: TestApp) {
    let token = sign_up(&app).await;
    let path = ask(&app, &token, "tea", 30).await;
    let mut killed = app.spawn(SHOP, &["compute"]).unwrap();
    killed.ready(LIMIT).await;
    until(&app, &token, &path, "running", LIMIT).await;
    killed.signal(Signal::Kill);
    killed.exit_code(LIMIT).await;
    assert_eq!(read(&app, &token, &path).await["status"], "running");

    let mut other = app.spawn(SHOP, &["compute"]).unwrap();
    until(&app, &token, &path, "done", RESCUED).await;
    other.signal(Signal::Term);
    assert_eq!(other.exit_code(LIMIT).await, 0);
}
