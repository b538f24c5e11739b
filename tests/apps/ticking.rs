//! An app whose schedules write down their ticks, for the tests of schedules: the shop's know only minutes.

use twelve::{Missed, prelude::*};

async fn record(tick: Tick, mut tx: Tx) -> Result<()> {
    sqlx::query("INSERT INTO runs (schedule, tick) VALUES ($1, $2::text::timestamptz)")
        .bind(tick.schedule())
        .bind(tick.to_string())
        .execute(&mut tx)
        .await?;
    Ok(())
}

fn main() -> ExitCode {
    let every_second = Schedule::cron("every-second", "* * * * * *");
    let every_five_minutes = |name| Schedule::cron(name, "*/5 * * * *");
    App::new("ticking")
        .migrations(sqlx::migrate!("tests/apps/ticking"))
        .schedule(every_second.missed(Missed::CatchUp(1000)), record)
        .schedule(every_five_minutes("skip").missed(Missed::Skip), record)
        .schedule(every_five_minutes("once"), record)
        .schedule(
            every_five_minutes("catch-up").missed(Missed::CatchUp(3)),
            record,
        )
        .main()
}
