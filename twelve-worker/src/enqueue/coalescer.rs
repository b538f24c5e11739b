//! Coalesces concurrent enqueues: the jobs of several tasks share one commit.

use std::{iter, sync::Arc};
use tokio::sync::oneshot;
use twelve_core::Error;

use crate::{
    group_commit::{Group, Groups},
    job::{draft::Draft, enqueued::Enqueued},
    store::Store,
};

/// One job, and where its producer waits for the answer.
type Waiting = (Draft, oneshot::Sender<Result<Enqueued, Error>>);

/// Collects the jobs of several tasks; it ends with the last producer.
#[derive(Debug)]
pub(crate) struct Coalescer(Group<Waiting>);

impl Coalescer {
    /// Starts it, on the current runtime.
    pub(crate) fn start(store: &Arc<dyn Store>) -> Self {
        let (group, groups) = Group::new();
        tokio::spawn(run(Arc::clone(store), groups));
        Self(group)
    }

    pub(crate) async fn enqueue(&self, draft: Draft) -> Result<Enqueued, Error> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::unavailable("nobody takes jobs any more: the process is ending");
        self.0.add((draft, answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Each group waits a moment to become as large as the last one, since the same tasks are likely to enqueue again.
async fn run(store: Arc<dyn Store>, mut groups: Groups<Waiting>) {
    let mut awaited = 0;
    while let Some(group) = groups.next_of(awaited).await {
        awaited = group.len();
        add(&*store, group).await;
    }
}

/// Adds a group in one commit.
///
/// A job that cannot be stored must not fail the jobs of other tasks: a group that is refused is bisected until that job is alone.
async fn add(store: &dyn Store, group: Vec<Waiting>) {
    let mut groups = vec![group];
    while let Some(mut group) = groups.pop() {
        let drafts = group.iter().map(|(draft, _)| draft.clone()).collect();
        match store.enqueue(drafts).await {
            Ok(enqueued) => answer(group, enqueued.into_iter().map(Ok)),
            // An outage concerns every job of the group, and the commit may have taken effect.
            Err(error) if group.len() == 1 || error.is_unavailable() => {
                answer(group, iter::repeat_with(|| Err(error.clone())));
            }
            Err(_) => {
                groups.push(group.split_off(group.len() / 2));
                groups.push(group);
            }
        }
    }
}

fn answer(group: Vec<Waiting>, mut answers: impl Iterator<Item = Result<Enqueued, Error>>) {
    for (_, producer) in group {
        // The producer may have been cancelled meanwhile.
        let _ = producer.send(answers.next().unwrap_or_else(|| Err(unanswered())));
    }
}

fn unanswered() -> Error {
    Error::internal("the store did not say what became of the job")
}
