//! Schedulers die, and others take their place.

use std::ops::Range;
use std::time::Duration;

use super::ticking::{EVERY_SECOND, SOON, Ticking};
use crate::harness::process::{Process, at_a_moment};
use crate::harness::seed;
use crate::harness::wait::until_true;

/// Two schedulers of which one after the other is killed, at random moments, and replaced at once.
pub(super) async fn kill_in_turn(
    start: impl Fn() -> Process,
    kills: usize,
    pause_ms: Range<u64>,
) -> [Process; 2] {
    let mut random = seed::random("the kills");
    let mut schedulers = [start(), start()];
    for turn in 0..kills {
        at_a_moment(Duration::from_millis(random.u64(pause_ms.clone()))).await;
        let victim = &mut schedulers[turn % 2];
        victim.expect_running();
        victim.kill();
        *victim = start();
    }
    schedulers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tick_runs_once_though_schedulers_are_killed() {
    let app = Ticking::released().await;
    let _worker = app.worker();
    let schedulers = kill_in_turn(|| app.scheduler(), 10, 300..1_200).await;
    let last_kill = app.database.now().await;
    app.until_ran(EVERY_SECOND, 1, last_kill).await;

    let record = app.settled(schedulers, EVERY_SECOND).await;
    println!("{} ticks", record.ticks().len());
    assert_eq!(record.missing(1, last_kill), [0; 0]);
    assert_eq!(record.twice(), [0; 0]);
}

/// What takes the fence and the unique row out: the epoch stands still, and no two ticks are the same.
const NO_FENCE: &str = "
CREATE FUNCTION no_fence() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.epoch := OLD.epoch; RETURN NEW; END';
CREATE TRIGGER no_fence BEFORE UPDATE ON twelve.schedules
    FOR EACH ROW EXECUTE FUNCTION no_fence();
CREATE FUNCTION not_unique() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.tick := NEW.tick + random() * interval ''100 us''; RETURN NEW; END';
CREATE TRIGGER not_unique BEFORE INSERT ON twelve.ticks
    FOR EACH ROW EXECUTE FUNCTION not_unique();
";

/// The control: without the mechanism the same two schedulers fire twice, and the test sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_fence_and_unique_row_ticks_would_run_twice() {
    let app = Ticking::released().await;
    app.database.execute(NO_FENCE).await;
    let _running = [app.worker(), app.scheduler(), app.scheduler()];
    until_true("a tick that ran twice", SOON, async || {
        !app.record(EVERY_SECOND).await.twice().is_empty()
    })
    .await;
}
