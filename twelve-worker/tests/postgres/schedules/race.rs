//! Schedulers at once.

use futures_util::future::join_all;
use sqlx::Connection;
use std::time::SystemTime;
use twelve_worker::{
    Priority, Schedules,
    store::{Draft, Due, DueTicks, Fired},
};

use super::{Clockwork, hourly};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_schedulers_there_are_a_tick_enqueues_once() {
    let it = Clockwork::new(hourly()).await;
    let schedulers: Vec<Schedules> = (0..8).map(|_| it.schedules()).collect();
    for hour in 6..24 {
        it.set(&format!("{hour:02}:00:00")).await;
        let fired = join_all(schedulers.iter().map(Schedules::run_due)).await;
        let fired: usize = fired.into_iter().map(Result::unwrap).sum();
        assert_eq!(fired, 1, "at {hour}");
    }
    let expected: Vec<_> = (6..24)
        .map(|hour| format!("2027-01-01T{hour:02}:00:00Z"))
        .collect();
    assert_eq!(it.ticks().await, expected);
}

/// The tick of an hour, as a scheduler decided to fire it.
async fn due_ticks(it: &Clockwork, tick: SystemTime) -> DueTicks {
    let names = ["hourly".to_owned()];
    let timetable = it.schedule_store().timetable(&names).await.unwrap();
    let draft = Draft {
        id: format!("{:032x}", fastrand::u128(..)).parse().unwrap(),
        kind: "schedule.hourly".into(),
        queue: "default".into(),
        payload: "{}".into(),
        max_attempts: 1,
        due: Due::Now,
        priority: Priority::Normal,
        tags: Vec::new(),
        metadata: None,
        unique: None,
    };
    DueTicks {
        schedule: "hourly".into(),
        epoch: timetable.schedules[0].epoch,
        ticks: vec![(tick, draft)],
    }
}

#[tokio::test]
async fn of_two_firings_that_were_decided_on_one_state_one_wins() {
    let it = Clockwork::new(hourly()).await;
    let schedules = it.schedule_store();
    // Of different ticks: the slower scheduler had decided an hour ago.
    let early = due_ticks(&it, SystemTime::UNIX_EPOCH).await;
    let late = due_ticks(&it, SystemTime::now()).await;
    assert_eq!(schedules.fire(late).await.unwrap(), Fired::Enqueued(1));
    assert_eq!(schedules.fire(early).await.unwrap(), Fired::Stale);
    assert_eq!(it.jobs().await, 1);
}

#[tokio::test]
async fn a_tick_that_was_ever_fired_enqueues_nothing() {
    let it = Clockwork::new(hourly()).await;
    let schedules = it.schedule_store();
    let tick = SystemTime::UNIX_EPOCH;
    for enqueued in [1, 0, 0] {
        let due = due_ticks(&it, tick).await;
        assert_eq!(
            schedules.fire(due).await.unwrap(),
            Fired::Enqueued(enqueued)
        );
    }
    assert_eq!(it.jobs().await, 1);
}

#[tokio::test]
async fn what_was_decided_before_a_pause_or_a_change_does_not_fire_after_it() {
    let it = Clockwork::new(hourly()).await;
    let schedules = it.schedule_store();
    let decided = due_ticks(&it, SystemTime::now()).await;
    it.schedules().pause("hourly").await.unwrap();
    assert_eq!(schedules.fire(decided).await.unwrap(), Fired::Stale);
    let decided = due_ticks(&it, SystemTime::now()).await;
    assert_eq!(schedules.fire(decided).await.unwrap(), Fired::Stale);
    let decided = due_ticks(&it, SystemTime::now()).await;
    it.schedules().resume("hourly").await.unwrap();
    assert_eq!(schedules.fire(decided).await.unwrap(), Fired::Stale);
    assert_eq!(it.jobs().await, 0);
}

#[tokio::test]
async fn a_pause_waits_for_what_is_being_fired_and_then_nothing_fires() {
    let it = Clockwork::new(hourly()).await;
    let mut connection = it.connect().await;
    let mut blocker = connection.begin().await.unwrap();
    sqlx::query("LOCK TABLE twelve.jobs")
        .execute(&mut *blocker)
        .await
        .unwrap();
    it.set("06:00:00").await;
    let (firing, pausing) = (it.schedules(), it.schedules());
    let firing = tokio::spawn(async move { firing.run_due().await });
    it.until_blocked(1).await;
    let pausing = tokio::spawn(async move { pausing.pause("hourly").await });
    it.until_blocked(2).await;
    blocker.rollback().await.unwrap();
    assert_eq!(firing.await.unwrap().unwrap(), 1);
    assert!(pausing.await.unwrap().unwrap());
    assert_eq!(it.fired_at("07:00:00").await, 0);
    assert_eq!(it.jobs().await, 1);
}
