//! The control of the fence: what the refused acks of woken workers prevent.

use std::time::Duration;

use rustix::process::Signal;

use super::storm::Way;
use crate::harness::wait::until_true;

/// What takes the fence out: an epoch never rises, so a ticket and an ack hold for ever.
const NO_FENCE: &str = "
CREATE FUNCTION no_fence() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.epoch := OLD.epoch; RETURN NEW; END';
CREATE TRIGGER no_fence BEFORE UPDATE ON twelve.jobs
    FOR EACH ROW EXECUTE FUNCTION no_fence();
-- What the worker that falls asleep was given.
CREATE TABLE lost (number int, pid bigint);
";

/// Errands that were taken back from a worker, and of which that worker left the mark all the same.
const ACCEPTED: &str = "(SELECT FROM marks JOIN lost USING (number, pid)) AS accepted";

/// A worker that sleeps through its own death: when it wakes, its jobs are another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fence_a_woken_worker_would_settle_what_was_taken_from_it() {
    let errands = Way::Straight.errands(200, 2_000).await;
    errands.database.execute(NO_FENCE).await;
    let sleeper = errands.worker();
    until_true("it to be at work", Duration::from_secs(20), async || {
        errands.database.count("starts").await >= 8
    })
    .await;
    sleeper.signal(Signal::STOP);
    for number in errands.held_by(sleeper.id()).await {
        let lost = format!("INSERT INTO lost VALUES ({number}, {})", sleeper.id());
        errands.database.execute(lost).await;
    }

    let heir = errands.worker();
    until_true("the rescue", Duration::from_secs(40), async || {
        heir.log().contains("a worker died")
    })
    .await;
    assert_eq!(errands.database.count(ACCEPTED).await, 0);
    sleeper.signal(Signal::CONT);
    until_true("late acks", Duration::from_secs(20), async || {
        errands.database.count(ACCEPTED).await > 0
    })
    .await;
}
