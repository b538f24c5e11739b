//! `Blocking`: a bounded number of threads for work that uses a core, or blocks its thread.

use std::{sync::Arc, thread};
use tokio::{sync::Semaphore, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Reader},
    error::{Error, panic_message},
    handler::{Context, FromContext, Needs, Run, extractable},
};

const NOT_CONFIGURED: &str = "the threads for blocking work are not configured";

/// The most blocking threads that tokio starts; file access and name look-ups use them too.
const MOST_THREADS: usize = 512;

/// Runs work that would block a thread of the runtime: a long computation, a library that blocks.
///
/// A handler that computes for longer than about a millisecond keeps its thread from other requests, from timers and from the heartbeat.
/// This moves such work to a thread of its own.
/// `TWELVE_BLOCKING_THREADS` of them, by default one for each core, may work at once in a process; more wait their turn, first come, first served.
///
/// ```
/// use twelve_core::{Blocking, Result};
///
/// async fn add_up(blocking: Blocking) -> Result<String> {
///     let sum: u64 = blocking.run(|| (0..1_000_000).sum()).await?;
///     Ok(sum.to_string())
/// }
/// ```
///
/// # Cancellation
///
/// A caller that is dropped (its job took too long, its client has left, the drain is overdue) leaves the queue.
/// Work that has begun cannot be stopped from outside: it keeps its thread and its permit until it ends, and its result is dropped.
/// The process does not wait for it to exit.
/// [`run_cancellable`](Self::run_cancellable) tells the work, so that it can end by itself.
#[derive(Clone, Debug)]
pub struct Blocking(Arc<Semaphore>);

/// Tells blocking work that its caller has gone.
#[derive(Clone, Debug)]
pub struct Cancelled(CancellationToken);

impl Cancelled {
    /// Has the caller gone? Cheap enough to ask in an inner loop.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Resolves when the caller has gone.
    pub async fn until_set(&self) {
        self.0.cancelled().await;
    }
}

impl Blocking {
    fn of(context: &Context) -> Result<Self, Error> {
        let made = context.singleton(|| {
            let settings: Settings = context.environment().load(NOT_CONFIGURED)?;
            Ok(Self(Arc::new(Semaphore::new(settings.threads))))
        })?;
        Ok(Self::clone(&made))
    }

    /// Does this work on a thread where it may block, once there is room for it.
    ///
    /// # Errors
    ///
    /// The work panicked; the error says with what.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.run_cancellable(|_| work()).await
    }

    /// The same for work that asks now and then whether it is still wanted.
    ///
    /// ```
    /// # use twelve_core::{Blocking, Result};
    /// # async fn a_handler(blocking: Blocking) -> Result<()> {
    /// let sum = blocking
    ///     .run_cancellable(|cancelled| (0..1_000_000_u64).take_while(|_| !cancelled.is_set()).sum::<u64>())
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The work panicked; the error says with what.
    pub async fn run_cancellable<T: Send + 'static>(
        &self,
        work: impl FnOnce(Cancelled) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let closing = |error| Error::unavailable("the process is closing").with_source(error);
        let place = Arc::clone(&self.0).acquire_owned().await.map_err(closing)?;
        let token = CancellationToken::new();
        let cancelled = Cancelled(token.clone());
        let _caller = token.drop_guard();
        let running = spawn_blocking(move || {
            let _place = place;
            work(cancelled)
        });
        running.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => Error::internal(format!(
                "blocking work panicked: {}",
                panic_message(&*panic).unwrap_or("without a message")
            )),
            Err(error) => Error::unavailable("the process is closing").with_source(error),
        })
    }
}

impl<K: Send + Sync + 'static> FromContext<K> for Blocking {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<K>) -> Result<Self, Error> {
        Self::of(run.context())
    }
}

extractable!(impl for Blocking);

/// How much may be done at once.
#[derive(Debug)]
pub(crate) struct Settings {
    threads: usize,
}

impl Config for Settings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let default = cores.min(MOST_THREADS).to_string();
        let threads = reader.read(
            "TWELVE_BLOCKING_THREADS",
            Some(&default),
            "how many pieces of blocking work one process does at once; by default one for each core",
        )?;
        if !(1..=MOST_THREADS).contains(&threads) {
            reader.reject(
                "TWELVE_BLOCKING_THREADS",
                format!("not a number from 1 to {MOST_THREADS}"),
            );
            return None;
        }
        Some(Self { threads })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Environment,
        handler::{Identity, Registry},
        lifecycle::Lifecycle,
    };
    use std::{sync::mpsc, time::Duration};
    use tokio::time::timeout;

    /// Longer than anything here takes.
    const BOUND: Duration = Duration::from_secs(10);

    fn blocking(threads: &str) -> Result<Blocking, Error> {
        let environment = Environment::default().with("TWELVE_BLOCKING_THREADS", threads);
        Blocking::of(&Context::new(
            Identity::new("shop", "compute"),
            environment,
            Lifecycle::default(),
            Registry::default(),
        ))
    }

    #[tokio::test]
    async fn the_result_comes_back() {
        let blocking = blocking("").unwrap();
        assert_eq!(blocking.run(|| 6 * 7).await.unwrap(), 42);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_that_names_it_and_costs_no_place() {
        let blocking = blocking("1").unwrap();
        for _ in 0..2 {
            let error = blocking.run(|| panic!("the kettle is dry")).await;
            let error = error.map(|never: ()| never).unwrap_err();
            assert_eq!(
                error.to_string(),
                "blocking work panicked: the kettle is dry"
            );
        }
    }

    #[tokio::test]
    async fn more_than_the_threads_wait_their_turn() {
        let blocking = blocking("1").unwrap();
        let (go, gate) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let blocking = blocking.clone();
            async move { blocking.run(move || gate.recv().is_ok()).await }
        });
        while blocking.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let early = timeout(Duration::from_millis(50), blocking.run(|| ())).await;
        assert!(early.is_err(), "it did not wait");
        go.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        timeout(BOUND, blocking.run(|| ())).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn abandoned_work_hears_of_it_and_keeps_its_place_until_it_ends() {
        let blocking = blocking("1").unwrap();
        let (told, hears) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let work = blocking.run_cancellable(move |cancelled| {
            while !cancelled.is_set() {
                thread::yield_now();
            }
            told.send(()).unwrap();
            gate.recv()
        });
        let given_up = timeout(Duration::from_millis(20), work).await;
        assert!(given_up.is_err());
        hears.recv_timeout(BOUND).unwrap();
        assert_eq!(blocking.0.available_permits(), 0);
        go.send(()).unwrap();
        timeout(BOUND, blocking.run(|| ())).await.unwrap().unwrap();
    }

    #[test]
    fn a_wrong_number_of_threads_is_a_fault_of_configuration() {
        for threads in ["0", "513", "all"] {
            assert!(blocking(threads).unwrap_err().is_configuration());
        }
    }
}
