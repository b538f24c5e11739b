//! Enqueues as a web process does: through `Jobs`.

use anyhow::Result;
use async_trait::async_trait;
use std::ops::Range;
use twelve::{Context, Environment, Jobs};
use twelve_core::{Identity, Lifecycle, Registry};

use super::app::Noop;
use crate::system::Producer;

pub struct Enqueuer {
    jobs: Jobs,
    // The pool lives in it.
    _context: Context,
}

impl Enqueuer {
    /// The context is none of the worker's: no hint within a process can reach it.
    pub fn new(url: &str) -> Result<Self> {
        let context = Context::new(
            Identity::new("bench", "producer"),
            Environment::default().with("DATABASE_URL", url),
            Lifecycle::default(),
            Registry::default(),
        );
        context.lifecycle().ready();
        Ok(Self {
            jobs: Jobs::of(&context)?,
            _context: context,
        })
    }

    /// What its tasks enqueue at the same time goes into one commit.
    pub fn coalesced(self) -> Self {
        Self {
            jobs: self.jobs.coalesced(),
            ..self
        }
    }
}

#[async_trait]
impl Producer for Enqueuer {
    async fn enqueue(&self, id: u64) -> Result<()> {
        self.jobs.enqueue(Noop { id }).await?;
        Ok(())
    }

    async fn enqueue_many(&self, ids: Range<u64>) -> Result<()> {
        self.jobs.enqueue_many(ids.map(|id| Noop { id })).await?;
        Ok(())
    }
}
