//! `Jobs`: how work is enqueued.

use sqlx::{PgConnection, PgTransaction};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};
use twelve_core::{Context, DbTransaction, Error, FromContext, Needs, Run, Tx, extractable};

use super::{coalescer::Coalescer, waker::Waker};
use crate::{
    job::{
        draft::{Draft, Due, due_now},
        enqueued::Enqueued,
        new_job::IntoNewJob,
    },
    store::{self, Store},
};

/// Enqueues jobs, from any kind of handler.
///
/// ```no_run
/// # use std::time::Duration;
/// # use serde::{Serialize, Deserialize};
/// # use twelve_core::{Error, Tx};
/// # use twelve_worker::{Job, Jobs};
/// # #[derive(Serialize, Deserialize)] struct Remind;
/// # impl Job for Remind { const KIND: &'static str = "remind"; }
/// async fn handler(mut tx: Tx, jobs: Jobs) -> Result<(), Error> {
///     jobs.enqueue(Remind).await?;                                            // now, whatever becomes of `tx`
///     jobs.enqueue_in(&mut tx, Remind.after(Duration::from_secs(60))).await?; // when `tx` commits, or never
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
    is_coalesced: bool,
}

struct Inner {
    store: Arc<dyn Store>,
    waker: Waker,
    /// Present when enqueues are coalesced.
    coalescer: OnceLock<Coalescer>,
}

impl Jobs {
    /// The producer of this process.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `DATABASE_URL` is missing or wrong.
    pub fn of(context: &Context) -> Result<Self, Error> {
        let inner = context.singleton(|| {
            let store = store::open(context.db()?);
            Ok(Inner {
                waker: Waker::new(context, Arc::clone(&store))?,
                store,
                coalescer: OnceLock::new(),
            })
        })?;
        Ok(Self {
            inner,
            is_coalesced: false,
        })
    }

    /// The same, but concurrent calls of [`enqueue`](Self::enqueue) share one commit.
    ///
    /// There is no timer: jobs that arrive during one commit go with the next.
    /// Eight tasks then enqueue about 1.5 times as many jobs a second, and 32 tasks almost four times as many; a single task gains nothing.
    /// Each call still returns when its own job is committed, independent of the others. Unique jobs and jobs due later are not coalesced.
    #[must_use]
    pub fn coalesced(&self) -> Self {
        Self {
            is_coalesced: true,
            ..self.clone()
        }
    }

    /// Enqueues a job, now.
    ///
    /// `Ok` means that the job is committed: it survives a crash of this process and of Postgres.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when Postgres is, and after a cut connection it is then unknown whether the job was enqueued; another error when the job cannot be stored.
    pub async fn enqueue(&self, job: impl IntoNewJob) -> Result<Enqueued, Error> {
        let draft = job.into_new_job().into_draft()?;
        let queues = due_now([&draft]);
        let enqueued = if self.is_coalesced && draft.unique.is_none() && draft.due == Due::Now {
            let coalescer = &self.inner.coalescer;
            let coalescer = coalescer.get_or_init(|| Coalescer::start(&self.inner.store));
            coalescer.enqueue(draft).await?
        } else {
            one(&self.inner.store.enqueue(vec![draft]).await?)?
        };
        self.inner.waker.wake(queues);
        Ok(enqueued)
    }

    /// Enqueues a job in a transaction: it is there when the transaction commits, and never if it does not.
    ///
    /// With `&mut Tx` workers are woken by the commit.
    /// An sqlx transaction of your own does not wake them: call [`wake`](Self::wake) after its commit, or polling finds the job within a second.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue). A failed statement aborts the transaction.
    pub async fn enqueue_in<'c>(
        &self,
        within: impl Into<Within<'c>>,
        job: impl IntoNewJob,
    ) -> Result<Enqueued, Error> {
        let draft = job.into_new_job().into_draft()?;
        one(&self.add_in(within.into(), vec![draft]).await?)
    }

    /// Enqueues many jobs, all or none, a thousand in one statement.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue).
    pub async fn enqueue_many<J: IntoNewJob>(
        &self,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<Vec<Enqueued>, Error> {
        let drafts = drafts(jobs)?;
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let queues = due_now(&drafts);
        let enqueued = self.inner.store.enqueue(drafts).await?;
        self.inner.waker.wake(queues);
        Ok(enqueued)
    }

    /// Enqueues many jobs in a transaction, a thousand in one statement.
    ///
    /// # Errors
    ///
    /// As [`enqueue_in`](Self::enqueue_in).
    pub async fn enqueue_many_in<'c, J: IntoNewJob>(
        &self,
        within: impl Into<Within<'c>>,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<Vec<Enqueued>, Error> {
        let drafts = drafts(jobs)?;
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        self.add_in(within.into(), drafts).await
    }

    /// Tells workers everywhere that there may be jobs: for after the commit of a transaction of your own.
    pub fn wake(&self) {
        // The empty name stands for all queues.
        self.inner.waker.wake(vec![String::new()]);
    }

    /// Tells workers everywhere that there are jobs on these queues.
    pub(crate) fn wake_queues(&self, queues: Vec<String>) {
        self.inner.waker.wake(queues);
    }

    async fn add_in(&self, within: Within<'_>, drafts: Vec<Draft>) -> Result<Vec<Enqueued>, Error> {
        let queues = due_now(&drafts);
        match within.0 {
            Target::Own(transaction) => {
                let connection = transaction.limited_connection()?;
                self.inner.store.enqueue_in(connection, drafts).await
            }
            Target::Connection(connection) => self.inner.store.enqueue_in(connection, drafts).await,
            Target::Tx(tx) => {
                let connection = tx.limited_connection().await?;
                let enqueued = self.inner.store.enqueue_in(connection, drafts).await?;
                let waker = self.inner.waker.clone();
                tx.after_commit(move || waker.wake(queues));
                Ok(enqueued)
            }
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }
}

fn drafts<J: IntoNewJob>(jobs: impl IntoIterator<Item = J>) -> Result<Vec<Draft>, Error> {
    jobs.into_iter()
        .map(|job| job.into_new_job().into_draft())
        .collect()
}

/// The answer for the one job that was enqueued.
fn one(enqueued: &[Enqueued]) -> Result<Enqueued, Error> {
    let answer = enqueued.first().copied();
    answer.ok_or_else(|| Error::internal("the store did not say what became of the job"))
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Jobs").field(&self.inner.store).finish()
    }
}

impl<K: Send + Sync + 'static> FromContext<K> for Jobs {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<K>) -> Result<Self, Error> {
        Self::of(run.context())
    }
}

extractable!(impl for Jobs);

/// The transaction in which a job is enqueued: `&mut Tx`, `&mut DbTransaction`, `&mut PgConnection` or `&mut sqlx::Transaction<Postgres>`.
#[derive(Debug)]
pub struct Within<'c>(Target<'c>);

#[derive(Debug)]
enum Target<'c> {
    Tx(&'c mut Tx),
    Own(&'c mut DbTransaction),
    Connection(&'c mut PgConnection),
}

impl<'c> From<&'c mut Tx> for Within<'c> {
    fn from(tx: &'c mut Tx) -> Self {
        Self(Target::Tx(tx))
    }
}

impl<'c> From<&'c mut DbTransaction> for Within<'c> {
    fn from(transaction: &'c mut DbTransaction) -> Self {
        Self(Target::Own(transaction))
    }
}

impl<'c> From<&'c mut PgConnection> for Within<'c> {
    fn from(connection: &'c mut PgConnection) -> Self {
        Self(Target::Connection(connection))
    }
}

impl<'c> From<&'c mut PgTransaction<'_>> for Within<'c> {
    fn from(transaction: &'c mut PgTransaction<'_>) -> Self {
        Self(Target::Connection(transaction))
    }
}
