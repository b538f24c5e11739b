//! Surveys and promotion.

use std::time::Duration;

use super::fixture::{Fixture, done, draft};
use crate::{
    job::{
        draft::{Draft, Due},
        priority::Priority,
        queues::Queues,
    },
    store::model::Level,
};

const HOUR: Duration = Duration::from_hours(1);

pub(super) async fn a_survey_of_nothing_is_empty(it: Fixture) {
    let survey = it.store.survey(&Queues::all()).await.unwrap();
    assert!(survey.lanes.is_empty() && survey.paused_kinds.is_empty());
    assert_eq!(survey.next_due, None);
}

pub(super) async fn a_survey_has_every_lane_of_a_queue_that_was_ever_used(it: Fixture) {
    it.enqueue().await;
    let job = it.claim_one().await;
    it.ack(&job, done()).await;
    let lanes = it.lanes(&Queues::all()).await;
    assert!(lanes.iter().all(|lane| lane.queue == "default"));
    assert!(lanes.iter().all(|lane| lane.oldest.is_none()));
    let mut levels: Vec<_> = lanes.iter().map(|lane| lane.level).collect();
    levels.sort_unstable();
    assert_eq!(levels, Level::ALL);
}

pub(super) async fn a_survey_tells_where_jobs_wait_and_which_are_older(it: Fixture) {
    for (queue, priority) in [
        ("b", Priority::Low),
        ("a", Priority::High),
        ("b", Priority::Low),
        ("c", Priority::Normal),
    ] {
        let draft = Draft {
            queue: queue.into(),
            priority,
            ..draft()
        };
        it.enqueue_draft(draft).await;
    }
    let mut lanes = it.lanes(&Queues::all_except(["c"])).await;
    assert_eq!(lanes.len(), 2 * Level::ALL.len());
    lanes.retain(|lane| lane.oldest.is_some());
    lanes.sort_by_key(|lane| lane.oldest);
    let lanes: Vec<_> = lanes
        .iter()
        .map(|lane| (&*lane.queue, lane.level))
        .collect();
    let (low, high) = (Priority::Low, Priority::High);
    let expected = [("b", Level::Priority(low)), ("a", Level::Priority(high))];
    assert_eq!(lanes, expected);
}

pub(super) async fn a_survey_tells_when_the_next_job_is_due(it: Fixture) {
    let next_due = async || it.store.survey(&Queues::all()).await.unwrap().next_due;
    it.enqueue_draft(after(HOUR * 2)).await;
    it.enqueue_draft(after(HOUR)).await;
    let due = next_due().await.unwrap();
    assert!(due <= HOUR && due > Duration::from_mins(59), "{due:?}");
    it.enqueue_draft(after(Duration::ZERO)).await;
    assert_eq!(next_due().await, Some(Duration::ZERO));
}

pub(super) async fn what_is_due_is_promoted_to_its_lane_the_longest_due_first(it: Fixture) {
    let mut due = Vec::new();
    for priority in [Priority::Low, Priority::Low, Priority::High] {
        due.push(Draft {
            priority,
            ..after(Duration::ZERO)
        });
    }
    let ids: Vec<_> = due.iter().map(|draft| draft.id).collect();
    for draft in due {
        it.enqueue_draft(draft).await;
    }
    it.enqueue_draft(after(HOUR)).await;
    assert!(it.busy_lanes().await.is_empty());

    assert_eq!(it.store.promote(2).await.unwrap(), 2);
    let low = ("default".to_owned(), Level::Priority(Priority::Low));
    assert_eq!(it.busy_lanes().await, [low]);
    assert_eq!(it.store.promote(2).await.unwrap(), 1);
    assert_eq!(it.store.promote(2).await.unwrap(), 0);
    let claimed = it.claim().await;
    let claimed: Vec<_> = claimed.iter().map(|job| job.lease.job).collect();
    assert_eq!(claimed, [ids[2], ids[0], ids[1]]);
}

pub(super) async fn the_first_job_of_all_is_claimed_by_who_has_looked_before(it: Fixture) {
    it.enqueue_draft(after(HOUR)).await;
    for _ in 0..5 {
        assert!(it.busy_lanes().await.is_empty());
    }
    let id = it.enqueue().await;
    assert_eq!(it.claim_one().await.lease.job, id);
}

pub(super) async fn two_that_promote_at_once_promote_once(it: Fixture) {
    const JOBS: usize = 200;
    let drafts = (0..JOBS).map(|_| after(Duration::ZERO)).collect();
    it.store.enqueue(drafts).await.unwrap();
    let promoting = (0..4).map(async |_| it.store.promote(JOBS).await.unwrap());
    let promoted = futures_util::future::join_all(promoting).await;
    assert_eq!(promoted.iter().sum::<usize>(), JOBS);
    assert_eq!(it.claim().await.len(), JOBS);
}

fn after(delay: Duration) -> Draft {
    Draft {
        due: Due::After(delay),
        ..draft()
    }
}
