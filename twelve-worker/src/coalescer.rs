//! Puts the jobs of several tasks into one commit.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{Mutex, oneshot};
use twelve_core::Error;

use crate::{
    Enqueued,
    engine::{Group, Groups},
    store::{Draft, Store},
};

/// How many commits are under way at once: while one waits for the disk, another is prepared.
const AT_ONCE: usize = 2;

/// One job, and where its producer waits for the answer.
type Waiting = (Draft, oneshot::Sender<Result<Enqueued, Error>>);

/// Collects the jobs of several tasks; it ends with the last producer.
#[derive(Debug)]
pub(crate) struct Coalescer(Group<Waiting>);

impl Coalescer {
    /// Starts it, on the runtime of whoever enqueues first.
    pub(crate) fn start(store: &Arc<dyn Store>) -> Self {
        let (group, groups) = Group::new();
        let groups = Arc::new(Mutex::new(groups));
        let together = Arc::<AtomicUsize>::default();
        for _ in 0..AT_ONCE {
            let (groups, together) = (Arc::clone(&groups), Arc::clone(&together));
            tokio::spawn(run(Arc::clone(store), groups, together));
        }
        Self(group)
    }

    pub(crate) async fn enqueue(&self, draft: Draft) -> Result<Enqueued, Error> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::unavailable("nobody takes jobs any more: the process is ending");
        self.0.add((draft, answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// `together` is how many jobs the last groups of all had: each waits a moment for its share.
async fn run(
    store: Arc<dyn Store>,
    groups: Arc<Mutex<Groups<Waiting>>>,
    together: Arc<AtomicUsize>,
) {
    let mut last = 0;
    loop {
        let share = together.load(Ordering::Relaxed).div_ceil(AT_ONCE);
        let Some(group) = groups.lock().await.next_of(share).await else {
            return;
        };
        together.fetch_add(group.len(), Ordering::Relaxed);
        together.fetch_sub(last, Ordering::Relaxed);
        last = group.len();
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
