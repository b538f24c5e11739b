//! Resources: values of the author's, built lazily, once per process.

mod extract;
mod spec;

pub(crate) use spec::ResourceSpec;
pub use spec::{Building, IntoResource};

use std::{fmt, ops::Deref, sync::Arc};

/// A resource of the author's, built by the function that was registered with `.resource(…)`.
pub struct Res<T>(Arc<T>);

impl<T> Res<T> {
    /// Wraps a value, for tests.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Clone for Res<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Res<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Res<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a resource can be: anything that threads may share.
pub trait Resource: Send + Sync + 'static {}

impl<T: Send + Sync + 'static> Resource for T {}
