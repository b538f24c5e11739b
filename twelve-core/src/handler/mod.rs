//! Handlers, and what they are given.
//!
//! ```text
//! Context (one a process) ─► Run (one a call) ─► extractors: the arguments ─► handler
//! ```

mod context;
mod function;
mod run;

pub use context::{Context, Identity, Registry};
pub use function::{Arguments, Erased, Handler, IntoEnd, takes_two_transactions};
pub(crate) use run::extractable;
pub use run::{Argument, FromContext, Needs, Request, Run, UnitOfWork};
