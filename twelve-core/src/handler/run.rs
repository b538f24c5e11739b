//! One run of a handler, and the extractors that it takes its arguments from.

use std::any::{TypeId, type_name};

use axum_core::extract::FromRef;
use http::request::Parts;

use super::Context;
use crate::{config::Conf, error::Error, resource::Res, services::postgres::Slot};

/// One run of a handler of kind `K`: a request, a job, a task, a process.
///
/// `K` carries what only that kind of handler has, such as a job's attempt.
/// So an extractor that needs it implements `FromContext<K>` for that `K` alone, and anything else is a compile error.
#[derive(Debug)]
pub struct Run<K> {
    context: Context,
    slot: Slot,
    kind: K,
}

/// The kind of an HTTP handler's run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request;

/// A kind of run whose `Tx` somebody commits when the handler succeeds.
///
/// Building a resource is none: it outlives every transaction.
#[diagnostic::on_unimplemented(
    message = "`Tx` cannot be an argument of this handler",
    label = "a `{Self}` run is no unit of work: nothing would commit its `Tx`",
    note = "use `Db` for statements outside a transaction"
)]
pub trait UnitOfWork: Send + Sync + 'static {}

impl UnitOfWork for Request {}

impl<K> Run<K> {
    /// A run with an empty [`Slot`].
    #[must_use]
    pub fn new(context: Context, kind: K) -> Self {
        Self {
            context,
            slot: Slot::default(),
            kind,
        }
    }

    /// The process's context.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Where this run's transaction waits to be used, and to be committed.
    #[must_use]
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// What only this kind of handler has.
    #[must_use]
    pub fn kind(&self) -> &K {
        &self.kind
    }
}

impl Run<Request> {
    /// The run of an HTTP request.
    #[must_use]
    pub fn request<S>(parts: &Parts, state: &S) -> Self
    where
        Context: FromRef<S>,
    {
        Self {
            context: Context::from_ref(state),
            slot: parts.extensions.get().cloned().unwrap_or_default(),
            kind: Request,
        }
    }
}

/// An argument of a handler that is not HTTP's own.
///
/// Derive it for a struct of extractors: the struct then works in HTTP handlers too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of this handler",
    label = "not available to `{K}` handlers",
    note = "handlers take `Db`, `Redis`, `Tx`, `Jobs`, `Mailer`, `Res<T>`, `Conf<T>`, `Blocking`, `Shutdown` and types with `#[derive(FromContext)]`",
    note = "axum's extractors cannot be fields of a struct with `#[derive(FromContext)]`: other handlers have no request",
    note = "`Path`, `Query`, `HeaderMap` and the like need a request, `JobId`, `Attempt`, `Steps` and `Cancel` need a job, `Tick` needs a schedule, `Args<T>` needs a task"
)]
pub trait FromContext<K>: Sized + Send + 'static {
    /// Says what this argument needs, so that the wiring is checked and only what is used is required.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }

    /// Makes the argument.
    fn from_context(run: &Run<K>) -> impl Future<Output = Result<Self, Error>> + Send;
}

/// Writes axum's `FromRequestParts` for a type that implements [`FromContext`].
///
/// A blanket impl would be shorter, but the trait is axum's.
#[doc(hidden)]
#[macro_export]
macro_rules! extractable {
    (impl $(<$parameter:ident: $bound:path>)? for $type:ty) => {
        impl<S, $($parameter: $bound)?> $crate::__private::FromRequestParts<S> for $type
        where
            S: Send + Sync,
            $crate::Context: $crate::__private::FromRef<S>,
        {
            type Rejection = $crate::Error;

            async fn from_request_parts(
                parts: &mut $crate::__private::Parts,
                state: &S,
            ) -> Result<Self, $crate::Error> {
                let run = $crate::Run::request(parts, state);
                <Self as $crate::FromContext<$crate::Request>>::from_context(&run).await
            }
        }
    };
}
pub(crate) use extractable;

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

    /// The `T` of a `Res<T>`.
    #[must_use]
    pub fn resource(&self) -> Option<&'static str> {
        self.inside(type_name::<Res<()>>())
    }

    /// The `T` of a `Conf<T>`.
    #[must_use]
    pub fn config(&self) -> Option<&'static str> {
        self.inside(type_name::<Conf<()>>())
    }

    /// An HTTP argument is known by its type alone, without a trait of ours on it: its name tells the wrapper.
    ///
    /// The name is only used to find what was *not* registered; what was, is found by [`TypeId`].
    fn inside(&self, wrapper_of_unit: &str) -> Option<&'static str> {
        let prefix = wrapper_of_unit.strip_suffix("()>")?;
        self.name.strip_prefix(prefix)?.strip_suffix('>')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_tells_what_it_wraps() {
        assert_eq!(Argument::of::<Res<u8>>().resource(), Some("u8"));
        assert_eq!(
            Argument::of::<Conf<Option<u8>>>().config(),
            Some("core::option::Option<u8>")
        );
        assert_eq!(Argument::of::<Conf<u8>>().resource(), None);
    }
}
