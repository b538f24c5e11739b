//! The recorded results of steps.

use std::time::Duration;

use super::fixture::Fixture;
use crate::store::model::{Ack, FailureText, Recorded};

pub(super) async fn the_first_result_of_a_step_is_kept_across_attempts(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    assert_eq!(it.store.step(id, "charge").await.unwrap(), None);
    let record = it.store.record_step(job.lease, "charge", "1");
    assert_eq!(record.await.unwrap(), Recorded::First);
    it.ack(&job, Ack::Retry(Duration::ZERO, FailureText::new("no")))
        .await;

    let job = it.claim_one().await;
    let known = it.store.step(id, "charge").await.unwrap();
    assert_eq!(known.as_deref(), Some("1"));
    let record = it.store.record_step(job.lease, "charge", "2");
    assert_eq!(record.await.unwrap(), Recorded::Before("1".into()));
    let record = it.store.record_step(job.lease, "mail", "3");
    assert_eq!(record.await.unwrap(), Recorded::First);
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.steps, ["charge", "mail"]);
}

pub(super) async fn a_result_whose_lease_is_lost_is_refused(it: Fixture) {
    let id = it.enqueue().await;
    let stale = it.claim_one().await;
    it.kill(it.worker).await;
    let refused = it.store.record_step(stale.lease, "charge", "1");
    assert_eq!(refused.await.unwrap(), Recorded::Refused);
    let job = it.claim_one_as(it.other).await;
    let refused = it.store.record_step(stale.lease, "charge", "1");
    assert_eq!(refused.await.unwrap(), Recorded::Refused);
    assert_eq!(it.store.step(id, "charge").await.unwrap(), None);
    let record = it.store.record_step(job.lease, "charge", "2");
    assert_eq!(record.await.unwrap(), Recorded::First);
}

pub(super) async fn a_result_comes_back_as_it_was(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    let result = r#"{"b": "a\u0000b", "a": -0.0}"#;
    let record = it.store.record_step(job.lease, "charge", result);
    assert_eq!(record.await.unwrap(), Recorded::First);
    let known = it.store.step(id, "charge").await.unwrap();
    assert_eq!(known.as_deref(), Some(result));
}
