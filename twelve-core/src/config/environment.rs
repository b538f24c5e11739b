//! The variables of this process, as they were when it started.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    sync::Arc,
};

use super::{Config, Faults, Reader};
use crate::Error;

/// A snapshot of the environment.
///
/// Everything reads this and never the process's own environment, so a test can give each app its own.
#[derive(Clone, Debug, Default)]
pub struct Environment(Arc<BTreeMap<OsString, OsString>>);

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The same, with one variable more.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        Arc::make_mut(&mut self.0).insert(name.into(), value.into());
        self
    }

    /// Reads a whole configuration.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] with `message`, and every variable that is wrong as its cause.
    pub fn load<T: Config>(&self, message: &'static str) -> Result<T, Error> {
        let mut reader = Reader::new(self);
        let config = T::load(&mut reader);
        config.ok_or_else(|| {
            let error = Error::configuration(message);
            match Faults::among(reader.into_variables()) {
                Some(faults) => error.because(faults),
                None => error,
            }
        })
    }

    /// A variable's value; a variable that is set to nothing counts as not set.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.0
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// All variables, by name: what a child process is given.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(Arc::new(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        ))
    }
}
