//! What happens by the clock.

use std::time::Duration;
use twelve::prelude::*;

use crate::{orders, reports};

/// Registers the schedules.
pub fn register(app: App) -> App {
    let every_minute = Schedule::cron("expire-unpaid", "* * * * *");
    let every_morning = Schedule::cron("daily-sales", "0 6 * * *").zone("Europe/Berlin");
    app.config::<reports::ReportSettings>()
        .schedule(every_minute, orders::expire_unpaid)
        .schedule(
            // Whoever waits for the report does not mind a minute; the database does not mind either.
            every_morning.jitter(Duration::from_mins(1)),
            reports::daily_sales,
        )
}
