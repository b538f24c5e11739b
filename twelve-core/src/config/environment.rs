//! The variables of this process, as they were when it started.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    sync::Arc,
};

/// A snapshot of the environment.
///
/// Everything reads this and never the process's own environment, so a test can give each app its own.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Arc<BTreeMap<OsString, OsString>>,
    defaults: Arc<BTreeMap<String, String>>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The same, with one variable more.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        Arc::make_mut(&mut self.variables).insert(name.into(), value.into());
        self
    }

    /// The same, with what a configuration finds in a variable that is not set.
    ///
    /// It takes the place of the default that the configuration itself may have, and is not passed on to child processes.
    #[must_use]
    pub fn with_default(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.defaults).insert(name.into(), value.into());
        self
    }

    /// What was given by [`with_default`](Self::with_default).
    pub(super) fn default_of(&self, name: &str) -> Option<&str> {
        self.defaults.get(name).map(String::as_str)
    }

    /// A variable's value; a variable that is set to nothing counts as not set.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// Is this variable given, be it by itself or by the file that `NAME_FILE` names?
    ///
    /// A default is not asked for, and the file is not looked at.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.var(name).is_some() || self.var(&format!("{name}_FILE")).is_some()
    }

    /// All variables, by name: what a child process is given.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (&**name, &**value))
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        Self {
            variables: Arc::new(variables.collect()),
            defaults: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_set_by_its_file_too_and_not_by_nothing() {
        let environment = [("A", "a"), ("B_FILE", "/b"), ("C", ""), ("D_FILE", "")];
        let environment: Environment = environment.into_iter().collect();
        let environment = environment.with_default("E", "e");
        let set = ["A", "B", "C", "D", "E"].map(|name| environment.is_set(name));
        assert_eq!(set, [true, true, false, false, false]);
    }
}
