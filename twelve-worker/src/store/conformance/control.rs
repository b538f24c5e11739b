//! Actions by people: cancel, reschedule, pause; and why a job does not run.

use std::time::Duration;

use super::fixture::{Fixture, draft, until};
use crate::{
    job::{
        draft::{Draft, Due},
        id::JobId,
        queues::Queues,
    },
    store::{
        listing::Filter,
        model::{Ack, FailureText, Lease, Wake},
        state::{Cause, State},
        verbs::Pausable,
        why::Reason,
    },
};

pub(super) async fn a_waiting_job_that_was_cancelled_does_not_run(it: Fixture) {
    let waiting = it.enqueue().await;
    let later = it.enqueue_draft(due(Due::After(HOUR))).await;
    let reason = FailureText::new("no longer wanted");
    let ids = [waiting, later, JobId::new()];
    let mut answer = it.store.cancel(&ids, &reason).await.unwrap();
    answer.cancelled.sort();
    assert_eq!(answer.cancelled, [waiting, later]);
    assert_eq!(answer.requested, []);
    assert_eq!(it.claim().await.len(), 0);
    let details = it.store.show(waiting).await.unwrap().unwrap();
    assert_eq!(details.summary.state, State::Cancelled);
    assert_eq!(details.errors[0].cause, Cause::Cancelled);
    assert_eq!(details.errors[0].message, "no longer wanted");

    it.store.retry(&[waiting]).await.unwrap();
    assert_eq!(it.claim_one().await.lease.job, waiting);
}

pub(super) async fn the_cancellation_of_a_running_job_is_requested(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    let reason = FailureText::new("no longer wanted");
    let answer = it.store.cancel(&[id], &reason).await.unwrap();
    assert_eq!((answer.cancelled.len(), &*answer.requested), (0, &[id][..]));
    assert!(it.store.observe().await.unwrap().cancellations);
    assert_eq!(
        requested(&it, job.lease).await,
        [(job.lease, reason.as_str().to_owned())]
    );
    let why = it.store.why(id).await.unwrap().reasons;
    assert!(
        matches!(&why[..], [Reason::Running { .. }, Reason::Stopping { .. }]),
        "{why:?}"
    );

    it.ack(&job, Ack::Cancel(reason, HOUR)).await;
    assert_eq!(it.state(id).await, State::Cancelled);
    assert!(!it.store.observe().await.unwrap().cancellations);
}

pub(super) async fn a_cancellation_request_outlives_its_worker(it: Fixture) {
    let id = it.enqueue().await;
    it.claim_one_as(it.other).await;
    it.store
        .cancel(&[id], &FailureText::new("no"))
        .await
        .unwrap();
    it.kill(it.other).await;
    let job = it.claim_one().await;
    assert_eq!(requested(&it, job.lease).await.len(), 1);

    // A retry by hand ends the cancellation request.
    it.ack(&job, Ack::Snooze(HOUR)).await;
    it.store.retry(&[id]).await.unwrap();
    let job = it.claim_one().await;
    assert_eq!(requested(&it, job.lease).await, []);
}

pub(super) async fn a_cancellation_request_that_nobody_can_fulfil_is_forgotten(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    it.store
        .cancel(&[id], &FailureText::new("no"))
        .await
        .unwrap();
    it.ack(&job, super::fixture::done()).await;
    it.store.prune(1000).await.unwrap();
    assert!(!it.store.observe().await.unwrap().cancellations);
}

pub(super) async fn a_job_that_was_rescheduled_is_due_at_its_new_time_alone(it: Fixture) {
    let (sooner, later) = (
        it.enqueue_draft(due(Due::After(HOUR))).await,
        it.enqueue().await,
    );
    let running = it
        .enqueue_draft(Draft {
            queue: "b".into(),
            ..draft()
        })
        .await;
    it.take(it.other, &Queues::only(["b"]), 1).await;

    let moved = it
        .store
        .reschedule(&[later, running], Due::After(HOUR))
        .await;
    assert_eq!(moved.unwrap(), [later]);
    assert_eq!(it.state(later).await, State::Scheduled);
    let moved = it.store.reschedule(&[sooner], Due::Now).await;
    assert_eq!(moved.unwrap(), [sooner]);
    assert_eq!(it.claim_one().await.lease.job, sooner);
}

pub(super) async fn nobody_is_offered_the_jobs_of_a_paused_queue(it: Fixture) {
    let queue = Pausable::Queue("default".into());
    assert!(it.store.pause(&queue).await.unwrap());
    assert!(!it.store.pause(&queue).await.unwrap());
    let id = it.enqueue().await;
    assert_eq!(it.claim().await.len(), 0);
    let why = it.store.why(id).await.unwrap().reasons;
    assert!(matches!(&why[..], [Reason::QueuePaused { .. }]), "{why:?}");
    assert_eq!(it.store.paused().await.unwrap()[0].what, queue);

    assert!(it.store.resume(&queue).await.unwrap());
    assert!(!it.store.resume(&queue).await.unwrap());
    assert_eq!(it.claim_one().await.lease.job, id);
}

pub(super) async fn the_jobs_of_a_paused_kind_are_held_back_and_come_back_in_their_order(
    it: Fixture,
) {
    let kind = Pausable::Kind("charge".into());
    it.store.pause(&kind).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(it.enqueue().await);
    }
    let other = it
        .enqueue_draft(Draft {
            kind: "refund".into(),
            ..draft()
        })
        .await;
    assert_eq!(it.claim_one().await.lease.job, other);
    assert_eq!(it.state(ids[0]).await, State::Waiting);

    it.store.resume(&kind).await.unwrap();
    let claimed: Vec<_> = it.claim().await.iter().map(|job| job.lease.job).collect();
    assert_eq!(claimed, ids);
}

pub(super) async fn a_claim_that_knows_only_of_a_pause_that_is_over_holds_nothing_back(
    it: Fixture,
) {
    let kind = Pausable::Kind("charge".into());
    it.store.pause(&kind).await.unwrap();
    let id = it.enqueue().await;
    let outdated = it.plan(it.worker, &Queues::all(), 10).await;
    assert_eq!(outdated.paused_kinds, ["charge"]);
    it.store.resume(&kind).await.unwrap();
    let batch = it.store.claim(&outdated).await.unwrap();
    assert_eq!(batch.jobs[0].lease.job, id);
}

pub(super) async fn a_filter_is_walked_in_batches_to_its_end(it: Fixture) {
    let tagged = |n: usize| Draft {
        tags: vec![if n.is_multiple_of(2) { "even" } else { "odd" }.into()],
        ..draft()
    };
    let mut even = Vec::new();
    for n in 0..10 {
        let id = it.enqueue_draft(tagged(n)).await;
        even.extend((n % 2 == 0).then_some(id));
    }
    let filter = Filter::new().tag("even").state(State::Waiting);
    assert_eq!(it.store.count(&filter).await.unwrap(), 5);
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        // The last one came after the walk had begun.
        let batch = it.store.matching(&filter, after, even[3], 3).await.unwrap();
        let Some(end) = batch.last() else { break };
        after = Some(*end);
        walked.extend(batch);
    }
    assert_eq!(walked, even[..4]);
}

pub(super) async fn workers_hear_of_control_apart_from_jobs(it: Fixture) {
    let (heard, mut wakes) = tokio::sync::mpsc::unbounded_channel();
    let listening = it.store.listen(Box::new(move |wake| {
        let _ = heard.send(match wake {
            Wake::Any => "any".to_owned(),
            Wake::Control => "control".to_owned(),
            Wake::Queue(queue) => queue.to_owned(),
        });
    }));
    let listening = tokio::spawn(listening);
    assert_eq!(wakes.recv().await.as_deref(), Some("any"));
    it.store
        .pause(&Pausable::Queue("mail".into()))
        .await
        .unwrap();
    let told = until("control", async || wakes.try_recv().ok()).await;
    assert_eq!(told, "control");
    listening.abort();
}

pub(super) async fn why_knows_who_would_take_a_job(it: Fixture) {
    let unknown = it.store.why(JobId::new()).await.unwrap();
    assert_eq!(
        (unknown.state, &unknown.reasons[..]),
        (None, &[Reason::Unknown][..])
    );
    let first = it.enqueue().await;
    let second = it.enqueue().await;
    let reasons = async |job| it.store.why(job).await.unwrap().reasons;
    assert_eq!(reasons(first).await, [Reason::Next]);
    let behind = Reason::Behind {
        jobs: 1,
        at_least: false,
    };
    assert_eq!(reasons(second).await, [behind]);
    let strange = it
        .enqueue_draft(Draft {
            kind: "refund".into(),
            ..draft()
        })
        .await;
    let no_handler = Reason::NoHandler {
        kind: "refund".into(),
    };
    assert_eq!(reasons(strange).await[0], no_handler);

    let claimed = it.take(it.other, &Queues::all(), 1).await;
    assert!(matches!(
        reasons(claimed.jobs[0].lease.job).await[0],
        Reason::Running { .. }
    ));
    let workers = it.store.workers().await.unwrap();
    let other = workers.iter().find(|worker| worker.id == it.other).unwrap();
    assert_eq!((other.held, &*other.queues.to_string()), (1, "all"));
    it.kill(it.other).await;
    assert_eq!(reasons(first).await[0], Reason::Suspect);
    it.kill(it.worker).await;
    let no_worker = Reason::NoWorker {
        queue: "default".into(),
    };
    assert_eq!(reasons(second).await, [no_worker]);
}

const HOUR: Duration = Duration::from_hours(1);

async fn requested(it: &Fixture, lease: Lease) -> Vec<(Lease, String)> {
    it.store.cancellations(&[lease]).await.unwrap()
}

fn due(due: Due) -> Draft {
    Draft { due, ..draft() }
}
