//! Administration: listings, retries and discards.

use std::time::Duration;

use super::fixture::{Fixture, done, draft};
use crate::{
    job::{
        draft::{Draft, Due},
        id::JobId,
    },
    store::{
        listing::Filter,
        model::{Ack, FailureText},
        state::State,
    },
};

pub(super) async fn a_retry_grants_all_attempts_again_and_their_numbers_go_on(it: Fixture) {
    let id = it.enqueue().await;
    for _ in 0..2 {
        let job = it.claim_one().await;
        it.ack(&job, Ack::Retry(Duration::ZERO, FailureText::new("no")))
            .await;
    }
    let job = it.claim_one().await;
    it.ack(&job, Ack::Fail(FailureText::new("no"))).await;

    let retried = it.store.retry(&[id, JobId::new()]).await.unwrap();
    assert_eq!(retried, [id]);
    let job = it.claim_one().await;
    assert_eq!((job.attempt(), job.max_attempts), (4, 6));
    it.ack(&job, Ack::Fail(FailureText::new("no"))).await;
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.errors.len(), 4);
}

pub(super) async fn a_running_job_can_neither_be_retried_nor_discarded(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    assert!(it.store.retry(&[id]).await.unwrap().is_empty());
    let discarded = it.store.discard(&[id], &FailureText::new("no")).await;
    assert!(discarded.unwrap().is_empty());
    it.ack(&job, done()).await;
    assert!(it.store.retry(&[id]).await.unwrap().is_empty());
}

pub(super) async fn a_job_that_was_discarded_by_hand_does_not_run(it: Fixture) {
    let id = it.enqueue().await;
    let reason = FailureText::new("by mistake");
    let discarded = it.store.discard(&[id], &reason).await.unwrap();
    assert_eq!(discarded, [id]);
    assert_eq!(it.claim().await.len(), 0);
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.errors[0].message, "by mistake");
    it.store.retry(&[id]).await.unwrap();
    assert_eq!(it.claim_one().await.lease.job, id);
}

pub(super) async fn a_listing_shows_what_its_filter_says(it: Fixture) {
    let charged = it.enqueue().await;
    let job = it.claim_one().await;
    it.ack(&job, done()).await;
    let mail = it.enqueue_draft(on("mail", Due::Now)).await;
    let late = Due::After(Duration::from_hours(1));
    let later = it.enqueue_draft(on("mail", late)).await;

    for (filter, expected) in [
        (Filter::new(), vec![later, mail, charged]),
        (Filter::new().limit(1), vec![later]),
        (Filter::new().queue("mail"), vec![later, mail]),
        (Filter::new().state(State::Waiting), vec![mail]),
        (Filter::new().state(State::Scheduled), vec![later]),
        (
            Filter::new().state(State::Scheduled).state(State::Done),
            vec![later, charged],
        ),
        (
            Filter::new().kind("charge").state(State::Done),
            vec![charged],
        ),
        (Filter::new().kind("refund"), vec![]),
    ] {
        let listed = it.store.list(&filter).await.unwrap();
        let ids: Vec<_> = listed.iter().map(|job| job.id).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    let listed = it.store.list(&Filter::new().limit(1)).await.unwrap();
    let json = serde_json::to_value(&listed[0]).unwrap();
    assert_eq!(json["state"], "scheduled");
    assert!(json["run_at"].as_str().unwrap().ends_with('Z'));
}

fn on(queue: &str, due: Due) -> Draft {
    Draft {
        queue: queue.to_owned().into(),
        due,
        ..draft()
    }
}
