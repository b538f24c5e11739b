//! Whose turn it is: queues by their weights, and jobs by their priorities.

use std::time::Duration;
use twelve_core::Res;
use twelve_worker::{Job, NewJob, Priority, store::conformance::until};

use crate::app::{App, Stage, Work};

/// Jobs that take longer than a worker looks ahead: each claim takes one.
const LONG: Duration = Duration::from_millis(160);

/// Of these, a worker with one slot has two in its buffer, and claims another one for each that begins.
const SHORT: Duration = Duration::from_millis(55);

/// Every how many claims the oldest job goes first.
const FAIR_EVERY: usize = 8;

/// What the jobs of two queues carry.
const CRITICAL: u32 = 3;
const REPORTS: u32 = 1;

/// With one slot.
async fn app(takes: Duration) -> App {
    App::new(move |Work(number): Work, stage: Res<Stage>| async move {
        stage.saw(number);
        tokio::time::sleep(takes).await;
    })
    .await
    .with("TWELVE_WORKER_CONCURRENCY", "1")
}

impl App {
    /// So many on each of two queues, the older ones on the first.
    async fn enqueue_on(&self, queues: [(&str, u32); 2], jobs: usize) {
        let jobs = queues
            .into_iter()
            .flat_map(|(queue, number)| (0..jobs).map(move |_| Work(number).on_queue(queue)));
        self.jobs.enqueue_many(jobs).await.unwrap();
    }

    /// What began first, in its order.
    async fn first(&self, jobs: usize) -> Vec<u32> {
        until("the jobs to begin", async || {
            let seen = self.stage.seen.lock().unwrap();
            (seen.len() >= jobs).then(|| seen[..jobs].to_vec())
        })
        .await
    }
}

#[tokio::test]
async fn urgent_jobs_run_first_but_the_oldest_waits_for_eight_claims_at_most() {
    let app = app(LONG).await;
    let job = |priority: Priority| Work(priority as u32).priority(priority);
    let mut jobs: Vec<NewJob> = vec![job(Priority::Low), job(Priority::Normal)];
    jobs.extend((0..8).map(|_| job(Priority::High)));
    app.jobs.enqueue_many(jobs).await.unwrap();
    let _worker = app.start();
    let mut turns = app.first(10).await;
    let low = turns.iter().position(|turn| *turn == Priority::Low as u32);
    // Sooner, if the first claims came before the worker was registered: they found nothing.
    let low = low.filter(|turn| (1..FAIR_EVERY).contains(turn));
    turns.remove(low.unwrap_or_else(|| panic!("{turns:?}")));
    assert!(turns.is_sorted(), "{turns:?}");
}

#[tokio::test]
async fn queues_have_their_turns_by_their_weights() {
    const TURNS: usize = 240;
    let app = app(SHORT).await;
    let app = app.with("TWELVE_WORKER_WEIGHTS", "critical=3,reports=1");
    // The oldest are of the queue that has more turns, which so has seven eighths of three quarters, and an eighth.
    app.enqueue_on([("critical", CRITICAL), ("reports", REPORTS)], TURNS)
        .await;
    let _workers = [app.start(), app.start(), app.start(), app.start()];
    let turns = app.first(TURNS).await;
    let critical = turns.iter().filter(|number| **number == CRITICAL).count();
    // Four standard deviations to both sides; without weights it would be nine of sixteen.
    let expected = TURNS * 67 / 100..TURNS * 89 / 100;
    assert!(expected.contains(&critical), "{critical} of {turns:?}");
}

#[tokio::test]
async fn no_weight_lets_the_oldest_wait_for_more_than_eight_claims() {
    let app = app(LONG).await;
    let app = app.with("TWELVE_WORKER_WEIGHTS", "critical=1000,reports=1");
    app.enqueue_on([("reports", REPORTS), ("critical", CRITICAL)], FAIR_EVERY)
        .await;
    let _worker = app.start();
    let turns = app.first(FAIR_EVERY).await;
    assert!(turns.contains(&REPORTS), "{turns:?}");
    let critical = turns.iter().filter(|number| **number == CRITICAL).count();
    assert!(critical >= FAIR_EVERY - 2, "{turns:?}");
}
