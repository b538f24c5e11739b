//! The report of yesterday's sales, by mail.

use sqlx::PgExecutor;
use twelve::{Mailbox, prelude::*};

use crate::{products::Euros, schedule_runs};

/// Who reads the reports.
#[derive(Config)]
pub struct ReportSettings {
    /// Who gets the daily report.
    #[config(env = "REPORTS_TO")]
    to: Mailbox,
}

/// The report: `templates/daily_sales.html` and `templates/daily_sales.txt`.
#[derive(Mail)]
#[mail(
    subject = "Sales of {{ day }}: {{ total }}",
    html = "daily_sales.html",
    text = "daily_sales.txt"
)]
pub struct DailySales {
    #[mail(to)]
    reader: Mailbox,
    day: String,
    orders: i64,
    total: Euros,
}

/// A day is one of Berlin's, as the schedule is: 23 or 25 hours long when the clocks change.
const SALES: &str = "
    WITH day AS (
        SELECT ($1::text::timestamptz AT TIME ZONE 'Europe/Berlin')::date - 1 AS date
    )
    SELECT date::text, count(orders.id), coalesce(sum(total_cents), 0)::bigint
    FROM day LEFT JOIN orders
        ON status = 'paid'
        AND created_at >= date::timestamp AT TIME ZONE 'Europe/Berlin'
        AND created_at < (date + 1)::timestamp AT TIME ZONE 'Europe/Berlin'
    GROUP BY date";

/// Every morning: what was sold the day before. Report and run are one commit, so nobody gets it twice.
pub async fn daily_sales(
    tick: Tick,
    mut tx: Tx,
    mailer: Mailer,
    settings: Conf<ReportSettings>,
) -> Result<()> {
    schedule_runs::record(&mut tx, &tick).await?;
    let report = DailySales::before(&mut tx, &tick, settings.to.clone()).await?;
    mailer.deliver_in(&mut tx, report).await?;
    Ok(())
}

impl DailySales {
    /// The sales of the day before the tick.
    async fn before(
        db: impl PgExecutor<'_>,
        tick: &Tick,
        reader: Mailbox,
    ) -> Result<Self, sqlx::Error> {
        let (day, orders, total) = sqlx::query_as(SALES)
            .bind(tick.to_string())
            .fetch_one(db)
            .await?;
        Ok(Self {
            reader,
            day,
            orders,
            total: Euros(total),
        })
    }
}

impl Preview for DailySales {
    fn preview() -> Self {
        let reader = "Reports <reports@example.com>".parse();
        Self {
            reader: reader.expect("an address"),
            day: "2026-11-20".to_owned(),
            orders: 12,
            total: Euros(34_560),
        }
    }
}
