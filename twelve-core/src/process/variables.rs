//! The variables of twelve's own that a process reads, derived from the arguments of its handlers.

use std::{any::TypeId, fmt};

use crate::{
    blocking::{self, Blocking},
    config::{Config, Environment, Reader, Variable},
    handler::{Argument, Needs},
    services::postgres::{self, Db, Tx},
};

#[cfg(feature = "redis")]
use crate::services::redis;

/// How the variables of some settings are read.
#[derive(Clone, Copy)]
pub struct Settings {
    id: TypeId,
    load: fn(&mut Reader<'_>),
}

impl Settings {
    /// The variables of `C`.
    #[must_use]
    pub fn of<C: Config>() -> Self {
        Self {
            id: TypeId::of::<C>(),
            load: |reader| drop(C::load(reader)),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settings").field(&self.id).finish()
    }
}

/// An argument of handlers, and settings that are read for it.
#[derive(Clone, Copy, Debug)]
pub struct ReadFor {
    argument: Argument,
    settings: Settings,
}

impl ReadFor {
    /// For an argument `A` the variables of `C` are read.
    #[must_use]
    pub fn argument<A: 'static, C: Config>() -> Self {
        Self {
            argument: Argument::of::<A>(),
            settings: Settings::of::<C>(),
        }
    }

    /// The settings, if there is such an argument.
    #[must_use]
    pub fn settings_for(&self, needs: &Needs) -> Option<Settings> {
        needs
            .iter()
            .any(|need| need == self.argument)
            .then_some(self.settings)
    }
}

/// What is read for the arguments of this crate.
#[must_use]
pub fn read_for_arguments() -> Vec<ReadFor> {
    vec![
        ReadFor::argument::<Db, postgres::Settings>(),
        ReadFor::argument::<Tx, postgres::Settings>(),
        #[cfg(feature = "redis")]
        ReadFor::argument::<redis::Redis, redis::Settings>(),
        ReadFor::argument::<Blocking, blocking::Settings>(),
    ]
}

/// Reads settings, each once.
#[must_use]
pub fn read_variables(
    settings: impl IntoIterator<Item = Settings>,
    environment: &Environment,
) -> Vec<Variable> {
    let mut reader = Reader::new(environment);
    let mut seen = Vec::new();
    for Settings { id, load } in settings {
        if !seen.contains(&id) {
            seen.push(id);
            load(&mut reader);
        }
    }
    reader.into_variables()
}
