//! The heartbeat: shows all workers that this process is alive.
//!
//! It has a thread, a runtime and a connection of its own.
//! So the process does not seem dead when handlers block every runtime thread or hold every connection.

use std::{io, sync::Arc, thread, time::Duration};
use tokio::{
    runtime,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use twelve_core::{Error, Lifecycle, State};

use super::Engine;
use crate::{
    enqueue::waker::Hint,
    store::{
        HeartbeatWriter,
        model::{Beat, Profile},
        retry::{RetryBackoff, with_timeout},
    },
};

/// From one beat to the next. A worker counts as dead when three of them are missing.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// How long one beat may take, connecting included.
const BEAT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long stopping waits for a beat that is being written.
const STOP: Duration = Duration::from_secs(1);

/// A running heartbeat; it stops when this is dropped.
pub(crate) struct Heartbeat {
    stop: DropGuard,
    stopped: CancellationToken,
}

impl Heartbeat {
    pub(crate) fn start(engine: &Engine) -> Result<Self, Error> {
        Self::of(HeartbeatTask {
            writer: engine.store.heartbeat_writer(),
            worker: engine.profile(),
            hint: Arc::clone(&engine.hint),
            lifecycle: engine.context.lifecycle().clone(),
            was_known: false,
        })
    }

    fn of(task: HeartbeatTask) -> Result<Self, Error> {
        let refused =
            |error: io::Error| Error::internal("the heartbeat cannot start").with_source(error);
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(refused)?;
        let stop = CancellationToken::new();
        let stopped = CancellationToken::new();
        // Dropped at the thread's end, even if that is a panic.
        let tell = stopped.clone().drop_guard();
        let token = stop.clone();
        thread::Builder::new()
            .name("twelve-heartbeat".into())
            .spawn(move || {
                let _tell = tell;
                runtime.block_on(token.run_until_cancelled(task.run()));
            })
            .map_err(refused)?;
        Ok(Self {
            stop: stop.drop_guard(),
            stopped,
        })
    }

    /// Waits until the heartbeat ends although nobody stopped it.
    pub(super) async fn has_failed(&self) {
        self.stopped.cancelled().await;
    }

    /// Stops, and waits until no beat is being written.
    pub(super) async fn stop(self) {
        drop(self.stop);
        // A beat that takes longer registers the worker again; other workers then find that its heartbeat is missing.
        let _ = timeout(STOP, self.stopped.cancelled()).await;
    }
}

/// What the thread of the heartbeat runs.
struct HeartbeatTask {
    writer: Box<dyn HeartbeatWriter>,
    worker: Profile,
    hint: Arc<Hint>,
    lifecycle: Lifecycle,
    was_known: bool,
}

impl HeartbeatTask {
    async fn run(mut self) {
        let mut backoff = RetryBackoff::default();
        loop {
            let is_draining = self.lifecycle.state() >= State::Drain;
            match with_timeout(BEAT_TIMEOUT, self.writer.beat(&self.worker, is_draining)).await {
                Ok(beat) => {
                    backoff.reset();
                    self.note(beat);
                    // A drain is written at once, so that listings show it.
                    tokio::select! {
                        () = sleep(EVERY) => {}
                        () = self.lifecycle.draining(), if !is_draining => {}
                    }
                }
                Err(error) => backoff.pause("the heartbeat", &error).await,
            }
        }
    }

    fn note(&mut self, beat: Beat) {
        if beat == Beat::Known {
            return;
        }
        let worker = &self.worker.id;
        if self.was_known {
            tracing::warn!(%worker, "the worker was declared dead, and its jobs were taken back: it is registered again");
        } else {
            tracing::info!(%worker, queues = %self.worker.queues, "the worker is registered");
        }
        self.was_known = true;
        // Claims of an unregistered worker find nothing, so claim again now.
        self.hint.give();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        job::{id::WorkerId, queues::Queues},
        store::Answer,
    };

    struct Panics;

    impl HeartbeatWriter for Panics {
        fn beat<'a>(&'a mut self, _worker: &'a Profile, _is_draining: bool) -> Answer<'a, Beat> {
            panic!("the connection has no arms");
        }
    }

    #[tokio::test]
    async fn a_heartbeat_that_panics_is_noticed() {
        let task = HeartbeatTask {
            writer: Box::new(Panics),
            worker: Profile {
                id: WorkerId::new(),
                process_type: "worker".into(),
                host: "test".into(),
                pid: 1,
                release: None,
                concurrency: 1,
                queues: Queues::all(),
                kinds: Vec::new(),
            },
            hint: Arc::default(),
            lifecycle: Lifecycle::default(),
            was_known: false,
        };
        let heartbeat = Heartbeat::of(task).unwrap();
        let noticed = timeout(BEAT_TIMEOUT, heartbeat.has_failed()).await;
        assert!(noticed.is_ok());
    }
}
