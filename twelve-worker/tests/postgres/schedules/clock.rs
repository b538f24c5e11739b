//! Clocks that are set, and schedules that are changed.

use super::{Clockwork, hourly, registry};
use twelve_worker::Schedule;

#[tokio::test]
async fn a_clock_that_was_set_back_fires_no_tick_again() {
    let it = Clockwork::new(hourly()).await;
    for (time, enqueued) in [
        ("06:00:00", 1),
        ("07:00:00", 1),
        ("06:30:00", 0),
        ("06:00:00", 0),
        ("07:00:00", 0),
        ("07:59:59", 0),
        ("08:00:00", 1),
    ] {
        assert_eq!(it.fired_at(time).await, enqueued, "at {time}");
    }
}

#[tokio::test]
async fn a_clock_that_was_years_ahead_for_a_moment_does_not_silence_a_schedule() {
    let it = Clockwork::new(hourly()).await;
    for (time, enqueued) in [
        ("06:00:00", 1),
        ("2037-01-01 00:00:00", 1),
        ("06:30:00", 0),
        ("07:00:00", 1),
        ("08:00:00", 1),
        // Reached at last, and not fired again.
        ("2037-01-01 00:00:00", 0),
        ("2037-01-01 01:00:00", 1),
    ] {
        assert_eq!(it.fired_at(time).await, enqueued, "at {time}");
    }
}

#[tokio::test]
async fn a_schedule_that_was_first_seen_by_a_clock_ahead_begins_when_that_is_set_back() {
    let it = Clockwork::unknown(hourly()).await;
    it.set("2037-01-01 00:30:00").await;
    it.schedules().register().await.unwrap();
    assert_eq!(it.fired_at("06:30:00").await, 0);
    assert_eq!(it.fired_at("07:00:00").await, 1);
}

#[tokio::test]
async fn another_expression_or_zone_fires_nothing_that_lies_behind() {
    let at_six = Schedule::cron("daily", "0 6 * * *");
    let it = Clockwork::new(at_six.clone()).await;
    for (changed, tomorrow) in [
        (Schedule::cron("daily", "0 7 * * *"), "2027-01-02 07:00:00"),
        (at_six.zone("Asia/Kathmandu"), "2027-01-03 00:15:00"),
    ] {
        let deployed = it.schedules_of(&registry([changed]));
        if tomorrow.starts_with("2027-01-02") {
            it.set("08:00:00").await;
        }
        deployed.register().await.unwrap();
        assert_eq!(deployed.run_due().await.unwrap(), 0);
        it.set(tomorrow).await;
        assert_eq!(deployed.run_due().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_restart_of_the_same_release_makes_up_for_what_it_missed() {
    let it = Clockwork::new(hourly()).await;
    it.set("08:30:00").await;
    it.schedules().register().await.unwrap();
    assert_eq!(it.fired_at("08:30:00").await, 1);
    assert_eq!(it.ticks().await, ["2027-01-01T08:00:00Z"]);
}

#[tokio::test]
async fn an_old_release_beside_a_new_one_changes_nothing_of_it() {
    let it = Clockwork::new(hourly()).await;
    let old = it.schedules();
    let new = it.schedules_of(&registry([Schedule::cron("hourly", "30 * * * *")]));
    it.set("05:30:00").await;
    new.register().await.unwrap();
    for (time, by_old, by_new) in [("06:00:00", 1, 0), ("06:30:00", 0, 1), ("07:00:00", 1, 0)] {
        it.set(time).await;
        assert_eq!(new.run_due().await.unwrap(), by_new, "at {time}");
        assert_eq!(old.run_due().await.unwrap(), by_old, "at {time}");
    }
    let unchanged = "SELECT count(*) FROM twelve.schedules WHERE cron = '30 * * * *' AND since = '2027-01-01 05:30Z'";
    assert_eq!(it.count(unchanged).await, 1);
}

#[tokio::test]
async fn a_schedule_that_somebody_deleted_begins_anew() {
    let it = Clockwork::new(hourly()).await;
    assert_eq!(it.fired_at("06:00:00").await, 1);
    it.execute("DELETE FROM twelve.schedules").await;
    assert_eq!(it.fired_at("08:30:00").await, 0);
    assert_eq!(it.fired_at("09:00:00").await, 1);
}
