//! What has run by the clock.

use sqlx::PgExecutor;
use twelve::Tick;

/// Notes that a schedule has run for a tick, in its own commit: twice would show.
pub async fn record(db: impl PgExecutor<'_>, tick: &Tick) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO schedule_runs (schedule, tick) VALUES ($1, $2::text::timestamptz)")
        .bind(tick.schedule())
        .bind(tick.to_string())
        .execute(db)
        .await?;
    Ok(())
}
