//! What the arguments of handlers need, so that the wiring is checked and only what is used is required.

use std::any::{TypeId, type_name};

/// What the arguments of handlers need.
#[derive(Clone, Debug, Default)]
pub struct Needs(Vec<Argument>);

/// The type of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Which type.
    pub id: TypeId,
    /// Its name, for people.
    pub name: &'static str,
}

impl Needs {
    /// Records an argument of type `T`.
    pub fn add<T: 'static>(&mut self) {
        self.0.push(Argument::of::<T>());
    }

    /// Records all that another handler needs.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// Is there an argument of type `T`?
    #[must_use]
    pub fn has<T: 'static>(&self) -> bool {
        self.0.contains(&Argument::of::<T>())
    }

    /// Is there an argument that is among the others?
    #[must_use]
    pub fn has_any_of(&self, others: &Self) -> bool {
        self.iter().any(|need| others.0.contains(&need))
    }

    /// The arguments.
    pub fn iter(&self) -> impl Iterator<Item = Argument> {
        self.0.iter().copied()
    }
}

impl Argument {
    /// The type `T`.
    #[must_use]
    pub fn of<T: 'static>() -> Self {
        Self {
            id: TypeId::of::<T>(),
            name: type_name::<T>(),
        }
    }

    /// The `T` of a wrapper, by the name of the type: an HTTP argument need not implement a trait of ours.
    ///
    /// The name only serves the message about an argument that is *not* registered; registered ones are found by [`TypeId`].
    pub(crate) fn inside(&self, wrapper_of_unit: &str) -> Option<&'static str> {
        let prefix = wrapper_of_unit.strip_suffix("()>")?;
        self.name.strip_prefix(prefix)?.strip_suffix('>')
    }
}
