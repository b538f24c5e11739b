//! Taking jobs.

use std::collections::HashSet;

use super::fixture::{Fixture, draft};
use crate::{
    Queues, WorkerId,
    store::{Ack, Draft},
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
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(it.enqueue().await);
    }
    for two in ids.chunks(2) {
        let claimed = it.store.claim(it.worker, &Queues::all(), 2).await.unwrap();
        let claimed: Vec<_> = claimed.iter().map(|job| job.lease.job).collect();
        assert_eq!(claimed, two);
    }
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
        let claimed = it.store.claim(it.worker, &queues, 100).await.unwrap();
        let claimed: Vec<_> = claimed.iter().map(|job| &*job.queue).collect();
        assert_eq!(claimed, expected, "{queues}");
    }
}

pub(super) async fn no_queue_starves_another(it: Fixture) {
    for queues in [Queues::all(), Queues::only(["crowded", "lonely"])] {
        let crowd = (0..100).map(|_| on("crowded")).collect();
        it.store.enqueue(crowd).await.unwrap();
        let lonely = it.enqueue_draft(on("lonely")).await;
        let mut found = false;
        // By chance alone, this fails once in 2^50 runs.
        for _ in 0..50 {
            let claimed = it.store.claim(it.worker, &queues, 1).await.unwrap();
            found |= claimed[0].lease.job == lonely;
        }
        assert!(found, "{queues}");
    }
}

pub(super) async fn claimers_at_once_never_share_a_job(it: Fixture) {
    const JOBS: usize = 400;
    let drafts = (0..JOBS).map(|n| on(["a", "b"][n % 2])).collect();
    it.store.enqueue(drafts).await.unwrap();
    let claimers = (0..4).map(async |n| {
        let worker = if n % 2 == 0 { it.worker } else { it.other };
        let mut ids = Vec::new();
        // A claimer that finds nothing may have met only locked rows: all jobs are claimed when the others end.
        for _ in 0..JOBS {
            let claimed = it.store.claim(worker, &Queues::all(), 7).await.unwrap();
            ids.extend(claimed.iter().map(|job| job.lease.job));
        }
        ids
    });
    let ids = futures_util::future::join_all(claimers).await.concat();
    assert_eq!(ids.len(), JOBS);
    assert_eq!(ids.into_iter().collect::<HashSet<_>>().len(), JOBS);
}

pub(super) async fn every_claim_has_a_higher_epoch(it: Fixture) {
    it.enqueue().await;
    let mut epoch = 0;
    for _ in 0..3 {
        let job = it.claim_one().await;
        assert!(job.lease.epoch > epoch);
        epoch = job.lease.epoch;
        it.ack(&job, Ack::Snooze(std::time::Duration::ZERO)).await;
    }
}

fn on(queue: &str) -> Draft {
    Draft {
        queue: queue.into(),
        ..draft()
    }
}
