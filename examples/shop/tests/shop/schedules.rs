//! What the shop does by the clock: the clock is moved, not waited for.

use serde_json::Value;
use shop::reports::DailySales;
use std::time::Duration;
use twelve::test::TestApp;

use super::{buy, configured, sign_up};

#[twelve::test(shop::app)]
async fn an_order_that_nobody_pays_expires_after_half_an_hour(app: TestApp) {
    let app = configured(app).with_var("PAYMENTS_URL", "http://127.0.0.1:1");
    let token = sign_up(&app).await;
    let order = buy(&app, &token).await;
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    for (minutes, status) in [(29, "pending"), (2, "expired")] {
        app.advance(Duration::from_mins(minutes)).await;
        app.run_schedules().await;
        app.drain_jobs().await;
        let order: Value = app.get(&path).bearer(&token).await.json();
        assert_eq!(order["status"], status);
    }
    let runs = "SELECT count(*) FROM schedule_runs WHERE schedule = 'expire-unpaid'";
    let runs: i64 = sqlx::query_scalar(runs).fetch_one(&app.db()).await.unwrap();
    assert_eq!(runs, 2, "of the ticks that were missed the newest runs");
}

#[twelve::test(shop::app)]
async fn the_report_of_the_day_is_mailed(app: TestApp) {
    let app = configured(app);
    app.run_schedule("daily-sales").await;
    assert_eq!(app.drain_jobs().await.done, 1);
    let report = app.assert_mail::<DailySales>("reports@example.com").await;
    assert!(report.text().contains("Orders: 0"), "{}", report.text());
}
