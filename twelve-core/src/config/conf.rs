//! A registered configuration, and the value that handlers take.

use std::{
    any::{Any, TypeId, type_name},
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use super::{Config, Environment, Faults, Reader, Variable};
use crate::error::Error;

/// A configuration, as every handler may take it.
///
/// The process types whose handlers take `Conf<T>` require its variables at boot; the others do not ask for them.
pub struct Conf<T>(Arc<T>);

impl<T> Conf<T> {
    /// Wraps a value, for tests.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Clone for Conf<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Conf<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Conf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A registered configuration with its type erased.
#[derive(Clone)]
pub(crate) struct ConfigSpec {
    /// `TypeId` of `Conf<T>`: what the recorded arguments of a handler hold.
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
    load: fn(&mut Reader<'_>) -> Option<Arc<dyn Any + Send + Sync>>,
    value: Arc<OnceLock<Arc<dyn Any + Send + Sync>>>,
}

impl ConfigSpec {
    pub(crate) fn of<T: Config>() -> Self {
        Self {
            id: TypeId::of::<Conf<T>>(),
            name: type_name::<T>(),
            load: |reader| Some(Arc::new(T::load(reader)?)),
            value: Arc::default(),
        }
    }

    /// Reads every variable; keeps the value when none is wrong.
    pub(crate) fn read(&self, environment: &Environment) -> Vec<Variable> {
        let mut reader = Reader::new(environment);
        if let Some(value) = (self.load)(&mut reader) {
            // Two threads may read at once: they read the same snapshot, so either value will do.
            let _ = self.value.set(value);
        }
        reader.into_variables()
    }

    /// The value, read on its first use.
    pub(super) fn value<T: Config>(&self, environment: &Environment) -> Result<Conf<T>, Error> {
        if self.value.get().is_none()
            && let Some(faults) = Faults::among(self.read(environment))
        {
            return Err(Error::configuration("the configuration is wrong").with_source(faults));
        }
        self.value
            .get()
            .cloned()
            .and_then(|value| value.downcast().ok())
            .map(Conf)
            .ok_or_else(|| Error::configuration("the configuration is wrong"))
    }
}
