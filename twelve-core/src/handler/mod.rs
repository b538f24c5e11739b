//! Handlers, and what they are given.
//!
//! ```text
//! Context (one a process) ─► Run (one a call) ─► extractors: the arguments ─► handler
//! ```

mod context;
mod from_context;
mod function;
mod needs;
mod registry;
mod run;

pub use context::{Context, Identity};
pub use from_context::FromContext;
pub(crate) use from_context::extractable;
pub use function::{Arguments, Erased, Handler, IntoEnd};
pub use needs::{Argument, Needs};
pub use registry::Registry;
pub use run::{Request, Run, UnitOfWork};
