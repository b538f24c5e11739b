//! Clocks that are wrong, and set.

use super::ticking::{EVERY_SECOND, Ticking};
use crate::harness::clock::WrongClock;

const HOUR: i64 = 3600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_fires_nothing_twice_and_ticks_go_on() {
    let app = Ticking::released().await;
    app.database.install_clock().await;
    let _worker = app.worker();
    let schedulers = [app.scheduler(), app.scheduler()];
    app.until_ran(EVERY_SECOND, 4, 0).await;

    // Seconds that have been there: they come again, and nothing runs again.
    let before = app.database.now().await;
    app.database.move_clock(-4).await;
    app.until_ran(EVERY_SECOND, 2, before).await;

    // An hour that has not: it goes on at once.
    let before = app.database.now().await;
    app.database.move_clock(-HOUR).await;
    let moved = app.database.now().await;
    let goes_on = async || {
        let ticks = app.record(EVERY_SECOND).await.ticks();
        ticks
            .iter()
            .filter(|tick| **tick < before - HOUR / 2)
            .count()
            >= 3
    };
    crate::harness::wait::until_true("ticks an hour ago", super::ticking::SOON, goes_on).await;
    assert!(app.database.now().await < moved + HOUR / 2);

    // Somebody mends the clock.
    app.database.move_clock(HOUR).await;
    app.until_ran(EVERY_SECOND, 3, before).await;
    let record = app.settled(schedulers, EVERY_SECOND).await;
    println!("{} ticks", record.ticks().len());
    assert_eq!(record.twice(), [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clocks_of_schedulers_do_not_count() {
    let Some(clock) = WrongClock::off_by("-1h") else {
        return;
    };
    let app = Ticking::released().await;
    let scheduler = clock.for_launch(app.launch(["scheduler"])).spawn();
    let _worker = app.worker();
    let began = app.database.now().await;
    app.until_ran(EVERY_SECOND, 3, began).await;
    let before = app.database.now().await;
    clock.set("+2h");
    app.until_ran(EVERY_SECOND, 3, before).await;
    let before = app.database.now().await;
    clock.set("-2h");
    app.until_ran(EVERY_SECOND, 3, before).await;

    let log = scheduler.log();
    let record = app.settled([scheduler], EVERY_SECOND).await;
    let ended = app.database.now().await;
    assert_eq!(record.missing(1, before), [0; 0], "{log}");
    assert_eq!(record.twice(), [0; 0]);
    let of_the_time = |tick: &i64| (began..=ended).contains(tick);
    assert!(record.ticks().iter().all(of_the_time), "{record:?}");
}
