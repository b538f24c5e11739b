//! Unique keys.

use futures_util::future::join_all;
use sqlx::Connection;
use std::{collections::HashSet, time::Duration};

use super::fixture::{Fixture, done, draft, until};
use crate::{
    job::{
        draft::{Draft, Due},
        enqueued::Enqueued,
        id::JobId,
        queues::Queues,
        unique::Unique,
    },
    store::{
        model::{Ack, FailureText},
        state::State,
    },
};

const HOUR: Duration = Duration::from_hours(1);

pub(super) async fn a_second_job_is_kept_out_and_the_answer_names_the_first(it: Fixture) {
    let first = enqueue(&it, Unique::key("a")).await;
    assert!(first.is_new());
    let second = enqueue(&it, Unique::key("a")).await;
    assert!(second.was_kept());
    assert_eq!(second.id(), first.id());
    assert!(enqueue(&it, Unique::key("b")).await.is_new());
    let claimed = it.claim().await;
    assert_eq!(claimed.len(), 2);
    assert!(claimed.iter().all(|job| job.is_unique));
}

pub(super) async fn a_second_job_is_refused_and_nothing_else_is_enqueued_with_it(it: Fixture) {
    enqueue(&it, Unique::key("a")).await;
    let drafts = vec![draft(), of(Unique::key("a").reject())];
    let refused = it.store.enqueue(drafts).await.unwrap_err();
    assert!(refused.is_duplicate(), "{refused:?}");
    it.claim_one().await;
}

pub(super) async fn a_second_job_replaces_one_that_has_not_started(it: Fixture) {
    let replace = || Unique::key("a").replace();
    let first = enqueue(&it, replace()).await;
    let second = Draft {
        payload: r#"{"order":2}"#.into(),
        queue: "other".into(),
        max_attempts: 9,
        metadata: Some("{}".into()),
        ..of(replace())
    };
    let replaced = it.store.enqueue(vec![second]).await.unwrap()[0];
    assert!(replaced.was_replaced());
    assert_eq!(replaced.id(), first.id());

    let batch = it.take(it.worker, &Queues::only(["default"]), 10).await;
    assert_eq!((batch.jobs.len(), batch.taken), (0, 1), "it is outdated");
    let job = it.claim_one().await;
    assert_eq!(job.lease.job, first.id());
    assert_eq!((&*job.payload, &*job.queue), (r#"{"order":2}"#, "other"));
    assert_eq!((job.attempt(), job.max_attempts), (1, 9));
    assert_eq!(job.metadata.as_deref(), Some("{}"));
    it.ack(&job, done()).await;
    assert_eq!(it.claim().await.len(), 0);
}

pub(super) async fn a_replaced_job_is_due_when_the_second_is(it: Fixture) {
    let at = std::time::SystemTime::now() + HOUR;
    let replace = |due| Draft {
        due,
        ..of(Unique::key("a").replace())
    };
    let later = Due::At(at);
    let id = it.enqueue_draft(replace(later)).await;
    // Rescheduling to the same moment must not conflict with its own ticket.
    for due in [later, Due::After(HOUR * 2)] {
        let replaced = it.store.enqueue(vec![replace(due)]).await.unwrap()[0];
        assert!(replaced.was_replaced());
        assert_eq!(it.state(id).await, State::Scheduled);
        assert_eq!(it.claim().await.len(), 0);
    }
    it.store.enqueue(vec![replace(Due::Now)]).await.unwrap();
    assert_eq!(it.claim_one().await.lease.job, id);
    // And one that waits becomes one that is scheduled.
    let job = it.claim_one_of(Unique::key("b").replace()).await;
    it.store.release(&[job]).await.unwrap();
    let draft = Draft {
        due: later,
        ..of(Unique::key("b").replace())
    };
    assert!(it.store.enqueue(vec![draft]).await.unwrap()[0].was_replaced());
    assert_eq!(it.claim().await.len(), 0);
}

pub(super) async fn a_job_that_runs_is_not_replaced_and_its_key_passes_on(it: Fixture) {
    let replace = || Unique::key("a").replace();
    let first = enqueue(&it, replace()).await;
    let job = it.claim_one().await;
    let second = enqueue(&it, replace()).await;
    assert!(second.is_new());
    assert_ne!(second.id(), first.id());
    it.ack(&job, done()).await;
    let third = enqueue(&it, Unique::key("a")).await;
    assert!(third.was_kept(), "the second has the key");
    assert_eq!(third.id(), second.id());
    assert_eq!(it.claim_one().await.lease.job, second.id());
}

pub(super) async fn a_job_that_has_started_is_followed_by_its_replacement_within_the_period(
    it: Fixture,
) {
    let replace = || Unique::key("a").within(HOUR).replace();
    enqueue(&it, replace()).await;
    let job = it.claim_one().await;
    assert!(enqueue(&it, replace()).await.is_new(), "it runs");
    it.ack(&job, done()).await;
    let job = it.claim_one().await;
    it.ack(&job, done()).await;
    let third = enqueue(&it, replace()).await;
    assert!(third.is_new(), "it has ended");
    let kept = enqueue(&it, Unique::key("a").within(HOUR)).await;
    assert_eq!(kept.id(), third.id());
}

pub(super) async fn a_job_that_waits_for_its_next_attempt_is_replaced(it: Fixture) {
    let replace = || Unique::key("a").replace();
    let first = enqueue(&it, replace()).await;
    // Its claim is not over, for there is another job in it.
    it.enqueue().await;
    let jobs = it.claim().await;
    let no = FailureText::new("no");
    it.ack(&jobs[0], Ack::Retry(HOUR, no)).await;
    let second = enqueue(&it, replace()).await;
    assert!(second.was_replaced());
    let job = it.claim_one().await;
    assert_eq!(job.lease.job, first.id());
    assert_eq!((job.attempt(), job.max_attempts), (2, 4), "three more");
}

pub(super) async fn a_key_is_held_until_the_job_has_ended(it: Fixture) {
    let no = || FailureText::new("no");
    for (end, is_free) in [
        (done(), true),
        (Ack::Discard(no(), HOUR), true),
        (Ack::Cancel(no(), HOUR), true),
        (Ack::Fail(no()), true),
        (Ack::Undecodable(no()), true),
        (Ack::Snooze(HOUR), false),
        (Ack::Retry(HOUR, no()), false),
    ] {
        let first = enqueue(&it, Unique::key("a")).await;
        assert!(first.is_new(), "{end:?}");
        let job = it.claim_one().await;
        assert!(enqueue(&it, Unique::key("a")).await.was_kept(), "it runs");
        it.ack(&job, end).await;
        let next = enqueue(&it, Unique::key("a")).await;
        assert_eq!(next.is_new(), is_free);
        let discarded = it.store.discard(&[next.id()], &no()).await;
        assert_eq!(discarded.unwrap(), [next.id()], "which frees it, too");
    }
}

pub(super) async fn a_job_whose_key_another_holds_is_not_retried(it: Fixture) {
    let no = || FailureText::new("no");
    for end in [
        Ack::Discard(no(), HOUR),
        Ack::Cancel(no(), HOUR),
        Ack::Fail(no()),
        Ack::Undecodable(no()),
    ] {
        let first = enqueue(&it, Unique::key("a")).await.id();
        it.ack(&it.claim_one().await, end).await;
        let second = enqueue(&it, Unique::key("a")).await;
        assert!(second.is_new());
        let before = it.state(first).await;
        assert_eq!(
            it.store.retry(&[first, second.id()]).await.unwrap(),
            [second.id()]
        );
        assert_eq!(it.state(first).await, before, "it stays as it is");
        let job = it.claim_one().await;
        assert_eq!(job.lease.job, second.id());
        it.ack(&job, done()).await;
        assert_eq!(it.store.retry(&[first]).await.unwrap(), [first]);
        it.ack(&it.claim_one().await, done()).await;
    }
}

pub(super) async fn a_retried_job_takes_its_key_again(it: Fixture) {
    let first = enqueue(&it, Unique::key("a")).await.id();
    let no = FailureText::new("no");
    it.store.cancel(&[first], &no).await.unwrap();
    assert_eq!(it.store.retry(&[first]).await.unwrap(), [first]);
    assert_eq!(enqueue(&it, Unique::key("a")).await.id(), first);
    let job = it.claim_one().await;
    assert!(job.is_unique);
    assert!(enqueue(&it, Unique::key("a")).await.was_kept(), "it runs");
    it.ack(&job, done()).await;
    assert!(enqueue(&it, Unique::key("a")).await.is_new());

    let until_started = || Unique::key("b").until_started();
    let first = enqueue(&it, until_started()).await.id();
    it.store.cancel(&[first], &no).await.unwrap();
    assert_eq!(it.store.retry(&[first]).await.unwrap(), [first]);
    assert_eq!(enqueue(&it, until_started()).await.id(), first);
    it.claim().await;
    assert!(enqueue(&it, until_started()).await.is_new(), "it runs");
}

pub(super) async fn a_retried_job_keeps_the_key_that_it_holds_for_its_period(it: Fixture) {
    let unique = || Unique::key("a").within(HOUR);
    let first = enqueue(&it, unique()).await.id();
    let job = it.claim_one().await;
    it.ack(&job, Ack::Fail(FailureText::new("no"))).await;
    assert_eq!(it.store.retry(&[first]).await.unwrap(), [first]);
    it.ack(&it.claim_one().await, done()).await;
    assert_eq!(enqueue(&it, unique()).await.id(), first);
}

pub(super) async fn of_several_ended_jobs_with_one_key_one_is_retried(it: Fixture) {
    let no = FailureText::new("no");
    let mut ended = Vec::new();
    for key in ["a", "a", "b", "a"] {
        let id = enqueue(&it, Unique::key(key)).await.id();
        it.store.discard(&[id], &no).await.unwrap();
        ended.push(id);
    }
    let mut retried = it.store.retry(&ended).await.unwrap();
    retried.sort();
    assert_eq!(retried, [ended[0], ended[2]], "the oldest of each");
    assert_eq!(it.claim().await.len(), 2);
}

pub(super) async fn of_a_retry_and_an_enqueue_at_once_one_job_comes(it: Fixture) {
    for round in 0..10 {
        let key = format!("{round}");
        let first = enqueue(&it, Unique::key(&*key)).await.id();
        let no = FailureText::new("no");
        it.store.cancel(&[first], &no).await.unwrap();
        let first = [first];
        let (retried, enqueued) =
            tokio::join!(it.store.retry(&first), enqueue(&it, Unique::key(&*key)));
        assert_ne!(retried.unwrap().len() == 1, enqueued.is_new());
        it.ack(&it.claim_one().await, done()).await;
    }
}

pub(super) async fn a_key_that_is_held_until_the_start_is_free_when_the_job_runs(it: Fixture) {
    let until_started = || Unique::key("a").until_started();
    let first = enqueue(&it, until_started()).await;
    assert!(enqueue(&it, until_started()).await.was_kept());
    let job = it.claim_one().await;
    let second = enqueue(&it, until_started()).await;
    assert!(second.is_new());
    // The end of the first must not release the second's key.
    it.ack(&job, done()).await;
    assert!(enqueue(&it, until_started()).await.was_kept());
    assert_ne!(first.id(), second.id());
}

pub(super) async fn a_key_that_is_held_until_the_start_is_free_after_its_period_though_the_job_runs(
    it: Fixture,
) {
    let unique = || {
        Unique::key("a")
            .until_started()
            .within(Duration::from_millis(1500))
    };
    let first = enqueue(&it, unique()).await;
    it.claim_one().await;
    assert!(enqueue(&it, unique()).await.was_kept());
    let second = until("the period to be over", async || {
        let enqueued = enqueue(&it, unique()).await;
        enqueued.is_new().then_some(enqueued.id())
    });
    assert_ne!(second.await, first.id());
}

pub(super) async fn a_key_is_held_for_its_period_even_if_the_job_has_ended(it: Fixture) {
    let unique = || Unique::key("a").within(Duration::from_millis(1500));
    let first = enqueue(&it, unique()).await;
    let job = it.claim_one().await;
    it.ack(&job, done()).await;
    let second = enqueue(&it, unique()).await;
    assert!(second.was_kept());
    assert_eq!(second.id(), first.id());
    let third = until("the period to be over", async || {
        let enqueued = enqueue(&it, unique()).await;
        enqueued.is_new().then_some(enqueued.id())
    })
    .await;
    assert_eq!(it.claim_one().await.lease.job, third);
}

pub(super) async fn a_job_that_has_not_ended_holds_its_key_longer_than_its_period(it: Fixture) {
    let unique = || Unique::key("a").within(Duration::from_millis(1));
    let first = enqueue(&it, unique()).await;
    let longer = Draft {
        due: Due::After(Duration::from_millis(2)),
        ..draft()
    };
    it.enqueue_draft(longer).await;
    until("the period to be over", async || {
        let promoted = it.store.promote(1).await.unwrap();
        (promoted > 0).then_some(())
    })
    .await;
    it.store.prune(10).await.unwrap();
    assert!(enqueue(&it, unique()).await.was_kept(), "it waits");
    let job = it.claim().await.remove(0);
    assert_eq!(job.lease.job, first.id());
    it.store.prune(10).await.unwrap();
    assert!(enqueue(&it, unique()).await.was_kept(), "it runs");
    it.ack(&job, done()).await;
    assert!(enqueue(&it, unique()).await.is_new());
}

pub(super) async fn of_many_that_are_enqueued_at_once_one_is_new(it: Fixture) {
    for round in 0..5 {
        let key = format!("{round}");
        let enqueuing = (0..20).map(|_| enqueue(&it, Unique::key(&*key)));
        let enqueued = join_all(enqueuing).await;
        let new: Vec<_> = enqueued.iter().filter(|one| one.is_new()).collect();
        assert_eq!(new.len(), 1);
        let ids: HashSet<JobId> = enqueued.iter().map(|one| one.id()).collect();
        assert_eq!(ids.len(), 1);
        let job = it.claim_one().await;
        assert_eq!(job.lease.job, new[0].id());
        it.ack(&job, done()).await;
    }
}

pub(super) async fn of_many_replacements_at_once_one_job_comes(it: Fixture) {
    for round in 0..5 {
        let replace = || Unique::key(format!("{round}")).replace();
        let enqueued = join_all((0..20).map(|_| enqueue(&it, replace()))).await;
        assert_eq!(enqueued.iter().filter(|one| one.is_new()).count(), 1);
        let job = it.claim_one().await;
        it.ack(&job, done()).await;
        assert_eq!(it.claim().await.len(), 0);
    }
}

pub(super) async fn batches_that_share_keys_in_another_order_do_not_deadlock(it: Fixture) {
    const KEYS: std::ops::Range<usize> = 0..50;
    let batch = |at: usize| of(Unique::key(format!("{at}")));
    let one = it.store.enqueue(KEYS.map(batch).collect());
    let other = it.store.enqueue(KEYS.rev().map(batch).collect());
    let (one, other) = tokio::join!(one, other);
    let ids = |answers: &[Enqueued]| answers.iter().map(|one| one.id()).collect::<Vec<_>>();
    let (one, mut other) = (ids(&one.unwrap()), ids(&other.unwrap()));
    other.reverse();
    assert_eq!(one, other);
}

pub(super) async fn a_key_that_was_taken_in_a_transaction_is_free_when_that_rolls_back(
    it: Fixture,
) {
    let mut connection = it.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    let first = it
        .store
        .enqueue_in(&mut transaction, vec![of(Unique::key("a"))]);
    assert!(first.await.unwrap()[0].is_new());
    let waiting = enqueue(&it, Unique::key("a"));
    let rolling_back = transaction.rollback();
    let (second, rolled_back) = tokio::join!(waiting, rolling_back);
    rolled_back.unwrap();
    assert!(second.is_new());
    it.claim_one().await;
}

impl Fixture {
    /// The lease of a new job with this key, which is claimed.
    async fn claim_one_of(&self, unique: Unique) -> crate::store::model::Lease {
        self.enqueue_draft(of(unique)).await;
        self.claim_one().await.lease
    }
}

async fn enqueue(it: &Fixture, unique: Unique) -> Enqueued {
    it.store.enqueue(vec![of(unique)]).await.unwrap()[0]
}

#[allow(clippy::needless_pass_by_value, reason = "each is made for its call")]
fn of(unique: Unique) -> Draft {
    let draft = draft();
    let unique = unique.key_of(&draft.kind, &draft.payload).unwrap();
    Draft {
        unique: Some(unique),
        ..draft
    }
}
