//! What every handler of a process shares.

use futures_util::future::BoxFuture;
use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use crate::{config::Environment, error::Error, lifecycle::Lifecycle};

/// The shared state of one process: its environment, its lifecycle, and its singletons.
///
/// A singleton is the one value of its type: a pool of connections, the resources of the app.
/// It is made on its first use, so nothing is opened before.
/// Each stands beside its type: `Context::db` beside `Db`.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    identity: Identity,
    environment: Environment,
    lifecycle: Lifecycle,
    singletons: RwLock<Singletons>,
    on_close: Mutex<Vec<BoxFuture<'static, ()>>>,
}

type Singletons = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

fn find<T: Send + Sync + 'static>(singletons: &Singletons) -> Option<Arc<T>> {
    let value = singletons.get(&TypeId::of::<T>())?;
    Arc::clone(value).downcast().ok()
}

/// Which process this is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Identity {
    /// The app's name.
    pub app: String,
    /// The process type, such as `web`.
    pub process_type: String,
}

impl Identity {
    /// A process of this type of this app.
    #[must_use]
    pub fn new(app: impl Into<String>, process_type: impl Into<String>) -> Self {
        Self {
            app: app.into(),
            process_type: process_type.into(),
        }
    }
}

impl Context {
    /// A context without singletons.
    pub(super) fn bare(identity: Identity, environment: Environment, lifecycle: Lifecycle) -> Self {
        Self(Arc::new(Inner {
            identity,
            environment,
            lifecycle,
            singletons: RwLock::default(),
            on_close: Mutex::default(),
        }))
    }

    /// Which process this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The variables that this process was started with.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.0.environment
    }

    /// Where this process stands between start and exit.
    #[must_use]
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.0.lifecycle
    }

    /// The one value of type `T` in this process, made on first use.
    ///
    /// # Errors
    ///
    /// Those of `make`; they are not kept, so the next caller tries again.
    pub fn singleton<T, F>(&self, make: F) -> Result<Arc<T>, Error>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> Result<T, Error>,
    {
        match self.find() {
            Some(known) => Ok(known),
            // Without the lock, since making one may ask for another.
            None => Ok(self.keep(make()?)),
        }
    }

    pub(super) fn find<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let singletons = self.0.singletons.read();
        find(&singletons.unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps this value, unless another thread was first: then both use that one.
    pub(super) fn keep<T: Send + Sync + 'static>(&self, value: T) -> Arc<T> {
        let singletons = self.0.singletons.write();
        let mut singletons = singletons.unwrap_or_else(PoisonError::into_inner);
        find(&singletons).unwrap_or_else(|| {
            let value = Arc::new(value);
            singletons.insert(TypeId::of::<T>(), value.clone());
            value
        })
    }

    /// Has `close` await this too: a singleton that has something open closes it.
    pub(crate) fn on_close(&self, closing: impl Future<Output = ()> + Send + 'static) {
        let on_close = self.0.on_close.lock();
        let mut on_close = on_close.unwrap_or_else(PoisonError::into_inner);
        on_close.push(Box::pin(closing));
    }

    /// Waits for what still runs in the background, then closes what was opened.
    pub async fn close(&self) {
        self.lifecycle().tracker().idle().await;
        let on_close = {
            let on_close = self.0.on_close.lock();
            std::mem::take(&mut *on_close.unwrap_or_else(PoisonError::into_inner))
        };
        for closing in on_close {
            closing.await;
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.0.identity).finish()
    }
}
