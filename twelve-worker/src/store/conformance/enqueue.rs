//! Enqueues.

use sqlx::Connection;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::mpsc;

use super::fixture::{Fixture, draft, until};
use crate::{
    job::{
        draft::{Draft, Due},
        id::JobId,
        priority::Priority,
    },
    store::{listing::Filter, model::Wake, state::State},
};

pub(super) async fn a_job_is_claimed_with_everything_that_it_was_given(it: Fixture) {
    let draft = Draft {
        kind: "refund".into(),
        queue: "billing".into(),
        max_attempts: 7,
        priority: Priority::High,
        tags: vec!["eu".into(), "gift".into()],
        metadata: Some(r#"{"trace": "00-1", "b": 1, "a": 2}"#.into()),
        ..draft()
    };
    let metadata = draft.metadata.clone();
    let id = it.enqueue_draft(draft).await;
    let job = it.claim_one().await;
    assert_eq!(job.lease.job, id);
    assert_eq!((&*job.kind, &*job.queue), ("refund", "billing"));
    assert_eq!((job.attempts, job.max_attempts), (0, 7));
    assert_eq!((job.deferrals, job.is_unique), (0, false));
    assert_eq!(job.metadata, metadata);
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.summary.state, State::Running);
    assert_eq!(details.priority, Priority::High);
    assert_eq!(details.tags, ["eu", "gift"]);
    assert_eq!(
        details.metadata,
        metadata.map(|text| serde_json::from_str(&text).unwrap())
    );
}

pub(super) async fn a_payload_comes_back_as_it_was(it: Fixture) {
    for payload in [
        r#"{"b": 1, "a": -0.0, "a": 1e-7}"#,
        r#""a\u0000b""#,
        r#""é 😀""#,
        "123456789012345678901234567890",
        "null",
    ] {
        let payload = payload.to_owned();
        it.enqueue_draft(Draft {
            payload: payload.clone(),
            ..draft()
        })
        .await;
        assert_eq!(it.claim_one().await.payload, payload);
    }
}

pub(super) async fn a_job_enqueued_in_a_transaction_is_there_when_that_commits(it: Fixture) {
    let mut connection = it.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    let enqueued = it
        .store
        .enqueue_in(&mut transaction, vec![draft(), draft()]);
    enqueued.await.unwrap();
    assert_eq!(it.claim().await.len(), 0);
    transaction.commit().await.unwrap();
    assert_eq!(it.claim().await.len(), 2);
}

pub(super) async fn a_job_enqueued_in_a_transaction_that_rolls_back_is_never_there(it: Fixture) {
    let mut connection = it.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    let (draft, id) = named();
    it.store
        .enqueue_in(&mut transaction, vec![draft])
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    assert!(it.store.show(id).await.unwrap().is_none());
}

pub(super) async fn many_jobs_are_enqueued_all_or_none(it: Fixture) {
    let mut drafts: Vec<_> = (0..2500).map(|_| draft()).collect();
    let twice = drafts[0].clone();
    drafts.push(twice);
    assert!(it.store.enqueue(drafts.clone()).await.is_err());
    let all = Filter::new().limit(3000);
    assert!(it.store.list(&all).await.unwrap().is_empty());
    drafts.pop();
    let ids: Vec<_> = drafts.iter().map(|draft| draft.id).collect();
    let enqueued = it.store.enqueue(drafts).await.unwrap();
    assert!(enqueued.iter().all(|enqueued| enqueued.is_new()));
    let answered: Vec<_> = enqueued.iter().map(|enqueued| enqueued.id()).collect();
    assert_eq!(answered, ids);
    assert_eq!(it.store.list(&all).await.unwrap().len(), 2500);
}

pub(super) async fn a_delayed_job_is_not_claimed_before_its_time(it: Fixture) {
    let (mut draft, id) = named();
    draft.due = Due::After(Duration::from_millis(300));
    it.store.enqueue(vec![draft]).await.unwrap();
    assert_eq!(it.claim().await.len(), 0);
    assert_eq!(it.state(id).await, State::Scheduled);
    let claimed = until("the job to be due", async || it.claim().await.pop()).await;
    assert_eq!(claimed.lease.job, id);
}

pub(super) async fn a_moment_that_has_passed_is_now(it: Fixture) {
    let now = SystemTime::now();
    let (mut past, mut future) = (draft(), draft());
    past.due = Due::At(now - Duration::from_mins(1));
    future.due = Due::At(now + Duration::from_mins(10));
    let expected = past.id;
    it.store.enqueue(vec![past, future]).await.unwrap();
    assert_eq!(it.claim_one().await.lease.job, expected);
}

pub(super) async fn no_delay_is_too_long_to_be_stored(it: Fixture) {
    let (mut draft, id) = named();
    draft.due = Due::After(Duration::MAX);
    it.store.enqueue(vec![draft]).await.unwrap();
    assert_eq!(it.state(id).await, State::Scheduled);
}

pub(super) async fn jobs_of_every_sort_are_enqueued_at_once(it: Fixture) {
    let later = Draft {
        due: Due::After(Duration::from_hours(1)),
        ..draft()
    };
    let noted = Draft {
        metadata: Some("{}".into()),
        ..draft()
    };
    let ids = [later.id, noted.id];
    let drafts = vec![later, noted, draft()];
    assert_eq!(it.store.enqueue(drafts).await.unwrap().len(), 3);
    assert_eq!(it.state(ids[0]).await, State::Scheduled);
    let claimed = it.claim().await;
    assert_eq!(claimed.len(), 2);
    assert_eq!(claimed[0].lease.job, ids[1]);
}

pub(super) async fn a_wake_reaches_those_who_listen(it: Fixture) {
    let (woken, mut wakes) = mpsc::unbounded_channel();
    let listening = it.store.listen(Box::new(move |wake| {
        let queue = match wake {
            Wake::Queue(queue) => Some(queue.to_owned()),
            Wake::Any | Wake::Control => None,
        };
        let _ = woken.send(queue);
    }));
    let listening = tokio::spawn(listening);
    assert_eq!(wakes.recv().await, Some(None), "listening has begun");
    let store = Arc::clone(&it.store);
    store.wake(&["billing".to_owned()]).await.unwrap();
    assert_eq!(wakes.recv().await, Some(Some("billing".to_owned())));
    listening.abort();
}

fn named() -> (Draft, JobId) {
    let draft = draft();
    let id = draft.id;
    (draft, id)
}
