//! Puts the jobs of several tasks into one commit.

use std::sync::Arc;
use tokio::sync::oneshot;
use twelve_core::Error;

use crate::{
    Enqueued,
    engine::{Group, Groups},
    store::{Draft, Store},
};

/// One job, and where its producer waits for the answer.
type Waiting = (Draft, oneshot::Sender<Result<Enqueued, Error>>);

/// Collects the jobs of several tasks; it ends with the last producer.
#[derive(Debug)]
pub(crate) struct Coalescer(Group<Waiting>);

impl Coalescer {
    /// Starts it, on the runtime of whoever enqueues first.
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

/// Those whose jobs were in the last group probably come again: each group waits a moment for as many.
async fn run(store: Arc<dyn Store>, mut groups: Groups<Waiting>) {
    let mut awaited = 0;
    while let Some(group) = groups.next_of(awaited).await {
        awaited = group.len();
        let (drafts, producers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let mut answers = store.enqueue(drafts).await.map(Vec::into_iter);
        for producer in producers {
            let answer = match &mut answers {
                Ok(enqueued) => enqueued.next().ok_or_else(unanswered),
                Err(error) => Err(error.clone()),
            };
            // A producer that has gone does not want its answer any more.
            let _ = producer.send(answer);
        }
    }
}

fn unanswered() -> Error {
    Error::internal("the store did not say what became of the job")
}
