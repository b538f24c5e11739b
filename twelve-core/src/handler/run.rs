//! One run of a handler.

use axum_core::extract::FromRef;
use http::request::Parts;

use super::Context;
use crate::services::postgres::TxCell;

/// One run of a handler of kind `K`: a request, a job, a task, a process.
///
/// `K` carries what only that kind of handler has, such as a job's attempt.
/// So an extractor that needs it implements `FromContext<K>` for that `K` alone, and anything else is a compile error.
#[derive(Debug)]
pub struct Run<K> {
    context: Context,
    cell: TxCell,
    kind: K,
}

/// The kind of an HTTP handler's run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request;

/// A kind of run whose `Tx` is committed when the handler succeeds.
///
/// Building a resource is not one: a resource outlives every transaction.
#[diagnostic::on_unimplemented(
    message = "`Tx` cannot be an argument of this handler",
    label = "a `{Self}` run is no unit of work: nothing would commit its `Tx`",
    note = "use `Db` for statements outside a transaction"
)]
pub trait UnitOfWork: Send + Sync + 'static {}

impl UnitOfWork for Request {}

impl<K> Run<K> {
    /// A run with an empty [`TxCell`].
    #[must_use]
    pub fn new(context: Context, kind: K) -> Self {
        Self {
            context,
            cell: TxCell::default(),
            kind,
        }
    }

    /// The process's context.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The cell of this run's transaction.
    #[must_use]
    pub fn tx_cell(&self) -> &TxCell {
        &self.cell
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
            cell: parts.extensions.get().cloned().unwrap_or_default(),
            kind: Request,
        }
    }
}
