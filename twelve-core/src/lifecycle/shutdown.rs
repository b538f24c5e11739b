//! The extractor that tells a handler when to stop.

use super::{Lifecycle, State};
use crate::{
    error::Error,
    handler::{FromContext, Run, extractable},
};

/// Tells a handler that its process is draining, so that a long one can end in time.
#[derive(Clone, Debug)]
pub struct Shutdown(Lifecycle);

impl Shutdown {
    /// Resolves when the process begins to drain.
    pub async fn begun(&self) {
        self.0.draining().await;
    }

    /// Has the process begun to drain?
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.state() >= State::Drain
    }

    /// Awaits `future`, but gives up when the process begins to drain.
    pub async fn race<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.begun() => None,
            output = future => Some(output),
        }
    }
}

impl<K: Send + Sync + 'static> FromContext<K> for Shutdown {
    async fn from_context(run: &Run<K>) -> Result<Self, Error> {
        Ok(Self(run.context().lifecycle().clone()))
    }
}

extractable!(impl for Shutdown);
