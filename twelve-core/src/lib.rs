//! The core of twelve: what every process type shares.
//!
//! ```text
//! environment ─► config ─┐
//! signals ─► lifecycle ──┤
//! services, resources ───┴─► Context ─► Run ─► extractors ─► handler
//! ```
//!
//! In reading order: `error`, `config`, `lifecycle`, `handler`, `services`, `resource`, `blocking`, `process`; `migrations` and `telemetry` stand alone.
//!
//! This crate knows no jobs, and of HTTP only axum's extractor traits.
//! Only the crate `twelve` promises a stable API: depend on that one.

mod blocking;
pub mod config;
mod error;
mod handler;
mod lifecycle;
pub mod migrations;
mod process;
mod resource;
mod services;
pub mod telemetry;

pub use blocking::{Blocking, Cancelled};
pub use config::{Conf, Config, Environment, Faults, Origin, Reader, Secret, Value, Variable};
#[doc(hidden)]
pub use error::is_out_of_descriptors;
pub use error::{Error, Exit, Failure, Problem, Result, chain, panic_message};
pub use handler::{
    Argument, Arguments, Context, Erased, FromContext, Handler, Identity, IntoEnd, Needs, Registry,
    Request, Run, UnitOfWork,
};
pub use lifecycle::{Budget, Lifecycle, Shutdown, State, Tracked, Tracker};
pub use process::{
    Process, ProcessKind, ProcessType, ReadFor, health, read_for_arguments, read_variables,
    supervision,
};
#[cfg(feature = "redis")]
pub use redis;
pub use resource::{Building, IntoResource, Res, Resource};
#[doc(hidden)]
pub use services::postgres::Settings as PostgresSettings;
pub use services::postgres::{Db, DbConnection, DbTransaction, Tx, TxCell, takes_two_transactions};
#[cfg(feature = "redis")]
pub use services::redis::{Redis, RedisConnection, Subscription};

/// What macros expand to; not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use axum_core::extract::{FromRef, FromRequestParts};
    pub use http::request::Parts;
}
