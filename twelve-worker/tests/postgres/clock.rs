//! The database's clock, which says what is due, is set back an hour.

use std::time::Duration;
use twelve_core::Res;
use twelve_worker::{Job, store::conformance::until};

use crate::app::{App, Stage, Work};

const HOUR_BACK: &str = "UPDATE twelve_test.clock SET ahead = ahead - interval '1 hour'";
const HOUR_AHEAD: &str = "UPDATE twelve_test.clock SET ahead = ahead + interval '1 hour'";
const UNFINISHED: &str = "SELECT count(*) FROM twelve.jobs";

async fn until_seen(app: &App, numbers: &[u32]) {
    until("jobs", async || {
        let mut seen = app.stage.seen.lock().unwrap().clone();
        seen.sort_unstable();
        (seen == numbers).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_clock_of_the_database_that_is_set_back_stops_nothing_and_hastens_nothing() {
    let app = App::new(async |Work(number): Work, stage: Res<Stage>| stage.saw(number)).await;
    // Nobody has claimed it when the clock is set.
    app.jobs.enqueue(Work(1)).await.unwrap();
    let minute = Duration::from_mins(1);
    app.jobs.enqueue(Work(8).after(minute)).await.unwrap();
    app.execute(HOUR_BACK).await;
    let worker = app.start();
    until_seen(&app, &[1]).await;

    // The worker has seen the time before, too.
    app.execute(HOUR_AHEAD).await;
    app.jobs.enqueue(Work(2)).await.unwrap();
    until_seen(&app, &[1, 2]).await;
    app.execute(HOUR_BACK).await;
    app.jobs.enqueue(Work(3)).await.unwrap();
    let soon = Work(4).after(Duration::from_millis(1));
    app.jobs.enqueue(soon).await.unwrap();
    app.jobs.enqueue(Work(9).after(minute)).await.unwrap();
    until_seen(&app, &[1, 2, 3, 4]).await;
    // A job is seen before its end is recorded.
    until("two to be left", async || {
        (app.count(UNFINISHED).await == 2).then_some(())
    })
    .await;

    // A minute by the clock that was set back; the older one has an hour more to wait.
    app.execute("UPDATE twelve_test.clock SET ahead = ahead + interval '1 minute'")
        .await;
    until_seen(&app, &[1, 2, 3, 4, 9]).await;
    app.execute(HOUR_AHEAD).await;
    until_seen(&app, &[1, 2, 3, 4, 8, 9]).await;
    until("nothing to be left", async || {
        (app.count(UNFINISHED).await == 0).then_some(())
    })
    .await;
    worker.stop().await;
}
