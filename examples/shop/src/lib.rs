//! A shop: customers place orders, a job charges them, and no order is ever charged twice.
//!
//! ```text
//! POST /orders ─► order + job, one commit ─► worker ─► payment provider ─► order paid + receipt, one commit
//!                                                                             ├─► live: the customer sees it
//!                                                                             └─► mailer: the receipt is sent
//! ```
//!
//! Read on in [`orders`], where the two commits are.

#![allow(
    clippy::missing_errors_doc,
    clippy::unused_async,
    reason = "handlers and resources are async by contract, and their errors are the problems that they answer"
)]

pub mod customers;
pub mod forecasts;
pub mod live;
pub mod orders;
pub mod page;
pub mod payments;
pub mod products;
pub mod reports;
pub mod schedule_runs;
pub mod schedules;

use twelve::prelude::*;

/// Everything the shop is.
pub fn app() -> App {
    App::new("shop")
        .migrations(sqlx::migrate!())
        .web(
            Router::new()
                .merge(page::routes())
                .merge(customers::routes())
                .merge(products::routes())
                .merge(orders::routes())
                .merge(forecasts::routes()),
        )
        .config::<page::PageSettings>()
        .with(live::register)
        .with(forecasts::register)
        .with(payments::register)
        .with(schedules::register)
        .job(orders::charge_order)
        .mail_from("Shop <shop@example.com>")
        .mail::<orders::Receipt>()
        .mail::<reports::DailySales>()
        .task("add-customer", customers::add_customer)
}
