//! Schedulers that die or fail between a tick and its job.

use sqlx::Connection;
use std::pin::pin;
use twelve_worker::{Schedule, store::conformance::until};

use super::{Clockwork, hourly, registry};

#[tokio::test]
async fn a_scheduler_that_dies_before_its_commit_has_fired_nothing() {
    let it = Clockwork::new(hourly()).await;
    let mut connection = it.connect().await;
    let mut blocker = connection.begin().await.unwrap();
    // The tick is written, its job is not.
    sqlx::query("LOCK TABLE twelve.jobs")
        .execute(&mut *blocker)
        .await
        .unwrap();
    it.set("06:00:00").await;
    let doomed = it.schedules();
    let doomed = tokio::spawn(async move { doomed.run_due().await });
    it.until_blocked(1).await;
    it.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        .await;
    assert!(doomed.await.unwrap().is_err());
    blocker.rollback().await.unwrap();
    assert_eq!(it.count("SELECT count(*) FROM twelve.ticks").await, 0);
    assert_eq!(it.jobs().await, 0);
    assert_eq!(it.fired_at("06:00:00").await, 1);
}

#[tokio::test]
async fn a_scheduler_that_is_frozen_before_its_commit_does_not_hold_the_schedule_for_ever() {
    let it = Clockwork::new(hourly()).await;
    let mut connection = it.connect().await;
    let mut blocker = connection.begin().await.unwrap();
    // It waits where it has the schedule's lock.
    sqlx::query("LOCK TABLE twelve.ticks IN EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    it.set("06:00:00").await;
    let frozen = it.schedules();
    let mut firing = pin!(frozen.run_due());
    tokio::select! {
        _ = &mut firing => panic!("it does not wait for the lock"),
        () = it.until_blocked(1) => {}
    }
    // From here on nobody polls it: it is as one that was sent SIGSTOP.
    blocker.rollback().await.unwrap();
    let other = it.schedules();
    until("another scheduler to fire", async || {
        other.run_due().await.ok().filter(|enqueued| *enqueued == 1)
    })
    .await;
    assert!(firing.await.is_err());
    assert_eq!(it.jobs().await, 1);
}

#[tokio::test]
async fn a_schedule_that_cannot_be_fired_is_rolled_back_and_keeps_no_other_from_it() {
    let it = Clockwork::unknown(hourly()).await;
    let both = it.schedules_of(&registry([
        Schedule::cron("broken", "0 * * * *"),
        Schedule::cron("sound", "0 * * * *"),
    ]));
    it.set("05:30:00").await;
    both.register().await.unwrap();
    it.execute("ALTER TABLE twelve.jobs ADD CONSTRAINT no CHECK (kind <> 'schedule.broken')")
        .await;
    it.set("06:00:00").await;
    let error = both.run_due().await.unwrap_err();
    assert!(
        error.to_string().contains("`broken` could not be fired"),
        "{error}"
    );
    let fired: Vec<String> = sqlx::query_scalar("SELECT schedule FROM twelve.ticks")
        .fetch_all(&it.db())
        .await
        .unwrap();
    assert_eq!(fired, ["sound"]);
    it.execute("ALTER TABLE twelve.jobs DROP CONSTRAINT no")
        .await;
    assert_eq!(both.run_due().await.unwrap(), 1);
}
