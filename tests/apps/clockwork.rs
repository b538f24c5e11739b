//! An app that only keeps time, for the tests of schedules.

use twelve::prelude::*;

async fn tick(tick: Tick, mut tx: Tx) -> Result<()> {
    // Its own effect, in the commit of its job.
    sqlx::query("INSERT INTO struck (schedule, at) VALUES ($1, to_timestamp($2::bigint))")
        .bind(tick.schedule())
        .bind(tick.unix_seconds())
        .execute(&mut tx)
        .await?;
    Ok(())
}

fn main() -> ExitCode {
    let every_second = Schedule::cron("every-second", "* * * * * *").missed(Missed::CatchUp(60));
    let leap_day = Schedule::cron("leap-day", "30 2 29 2 *").zone("Europe/Berlin");
    App::new("clockwork")
        .schedule(every_second, tick)
        .schedule(leap_day, tick)
        .main()
}
