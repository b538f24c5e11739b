//! Claims.

use std::{collections::HashSet, time::Duration};

use super::fixture::{Fixture, done, draft};
use crate::{
    job::{
        draft::Draft,
        id::{JobId, WorkerId},
        priority::Priority,
        queues::Queues,
    },
    store::model::{Ack, Batch, Level},
};

pub(super) async fn nobody_claims_what_another_holds(it: Fixture) {
    it.enqueue().await;
    it.claim_one().await;
    assert_eq!(it.claim().await.len(), 0);
    assert_eq!(it.claim_as(it.other).await.len(), 0);
}

pub(super) async fn a_worker_that_is_not_registered_claims_nothing(it: Fixture) {
    let id = it.enqueue().await;
    assert_eq!(it.claim_as(WorkerId::new()).await.len(), 0);
    assert_eq!(it.claim_one().await.lease.job, id);
}

pub(super) async fn a_claim_takes_the_oldest_and_no_more_than_its_limit(it: Fixture) {
    let mut enqueued = Vec::new();
    for _ in 0..5 {
        enqueued.push(it.enqueue().await);
    }
    for two in enqueued.chunks(2) {
        let batch = it.take(it.worker, &Queues::all(), 2).await;
        assert_eq!((ids(&batch), batch.taken), (two.to_vec(), two.len()));
    }
    let nothing = it.take(it.worker, &Queues::all(), 2).await;
    assert_eq!((nothing.jobs.len(), nothing.taken), (0, 0));
}

pub(super) async fn a_claim_takes_from_its_lanes_in_their_order(it: Fixture) {
    let mut enqueued = Vec::new();
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        let draft = Draft {
            priority,
            ..draft()
        };
        enqueued.push(it.enqueue_draft(draft).await);
    }
    enqueued.reverse();
    let batch = it.take(it.worker, &Queues::all(), 2).await;
    assert_eq!(ids(&batch), enqueued[..2]);
    let leases: Vec<_> = batch.jobs.iter().map(|job| job.lease).collect();
    it.store.release(&leases).await.unwrap();

    let mut plan = it.plan(it.worker, &Queues::all(), 10).await;
    plan.lanes.reverse();
    let batch = it.store.claim(&plan).await.unwrap();
    let expected = [enqueued[2], enqueued[0], enqueued[1]];
    assert_eq!(ids(&batch), expected, "low, then the released jobs");
}

pub(super) async fn a_claim_takes_from_no_lane_but_its_own(it: Fixture) {
    it.enqueue().await;
    let mut plan = it.plan(it.worker, &Queues::all(), 10).await;
    plan.lanes
        .retain(|lane| lane.level != Level::Priority(Priority::Normal));
    assert_eq!(it.store.claim(&plan).await.unwrap().taken, 0);
    plan.lanes.clear();
    assert_eq!(it.store.claim(&plan).await.unwrap().taken, 0);
    it.claim_one().await;
}

pub(super) async fn a_worker_claims_from_its_own_queues_alone(it: Fixture) {
    for queue in ["a", "b", "c", "d"] {
        it.enqueue_draft(on(queue)).await;
    }
    for (queues, expected) in [
        (Queues::only(["b", "absent"]), vec!["b"]),
        (Queues::all_except(["a", "absent"]), vec!["c", "d"]),
        (Queues::only(["b"]), vec![]),
        (Queues::all(), vec!["a"]),
    ] {
        let claimed = it.take(it.worker, &queues, 100).await.jobs;
        let mut claimed: Vec<_> = claimed.iter().map(|job| &*job.queue).collect();
        claimed.sort_unstable();
        assert_eq!(claimed, expected, "{queues}");
    }
}

pub(super) async fn claimers_at_once_never_share_a_job(it: Fixture) {
    const JOBS: usize = 400;
    let drafts = (0..JOBS).map(|n| on(["a", "b"][n % 2])).collect();
    it.store.enqueue(drafts).await.unwrap();
    let claimers = (0..4).map(async |n| {
        let worker = if n % 2 == 0 { it.worker } else { it.other };
        let mut claimed = Vec::new();
        // A claim that finds nothing may have skipped locked tickets; the other claimers take those jobs.
        for _ in 0..JOBS / 4 {
            claimed.extend(ids(&it.take(worker, &Queues::all(), 7).await));
        }
        claimed
    });
    let ids = futures_util::future::join_all(claimers).await.concat();
    assert_eq!(ids.len(), JOBS);
    assert_eq!(ids.into_iter().collect::<HashSet<_>>().len(), JOBS);
}

pub(super) async fn every_claim_has_a_higher_epoch(it: Fixture) {
    it.enqueue().await;
    let mut before = None;
    for _ in 0..3 {
        let job = it.claim_one().await;
        assert!(Some(job.lease.epoch) > before);
        before = Some(job.lease.epoch);
        it.ack(&job, Ack::Snooze(Duration::ZERO)).await;
    }
}

pub(super) async fn an_outdated_entry_is_taken_off_and_gives_no_job(it: Fixture) {
    let id = it.enqueue().await;
    for _ in 0..2 {
        // Each makes a new ticket.
        it.store.retry(&[id]).await.unwrap();
    }
    let batch = it.take(it.worker, &Queues::all(), 2).await;
    assert_eq!((batch.jobs.len(), batch.taken), (0, 2));
    let batch = it.take(it.worker, &Queues::all(), 2).await;
    assert_eq!((ids(&batch), batch.taken), (vec![id], 1));
    it.ack(&batch.jobs[0], done()).await;
}

pub(super) async fn a_job_that_is_released_goes_first(it: Fixture) {
    let low = Draft {
        priority: Priority::Low,
        ..draft()
    };
    let low = it.enqueue_draft(low).await;
    let job = it.claim_one().await;
    let high = Draft {
        priority: Priority::High,
        ..draft()
    };
    let high = it.enqueue_draft(high).await;
    it.store.release(&[job.lease]).await.unwrap();
    let returned = ("default".to_owned(), Level::Returned);
    assert_eq!(it.busy_lanes().await[0], returned);
    let batch = it.take(it.worker, &Queues::all(), 10).await;
    assert_eq!(ids(&batch), [low, high]);
}

fn ids(batch: &Batch) -> Vec<JobId> {
    batch.jobs.iter().map(|job| job.lease.job).collect()
}

fn on(queue: &str) -> Draft {
    Draft {
        queue: queue.to_owned().into(),
        ..draft()
    }
}
