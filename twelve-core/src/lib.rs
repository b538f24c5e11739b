//! The core of twelve: what every process type shares.
//!
//! ```text
//! environment ─► config ─┐
//! signals ─► lifecycle ──┤
//! Db, Redis, resources ──┴─► Context ─► Run ─► extractors ─► handler
//! ```
//!
//! This crate knows no jobs, and of HTTP only axum's extractor traits.
//! Only the crate `twelve` promises a stable API: depend on that one.

mod blocking;
pub mod config;
mod context;
mod error;
mod exit;
mod handler;
pub mod health;
mod lifecycle;
pub mod migrations;
mod postgres;
mod problem;
mod process;
#[cfg(feature = "redis")]
mod redis_pool;
mod resource;
mod run;
mod settings;
mod shortage;
#[cfg(feature = "redis")]
mod subscription;
pub mod supervision;
pub mod telemetry;

pub use blocking::{Blocking, Cancelled};
pub use config::{Conf, Config, Environment, Faults, Origin, Reader, Secret, Value, Variable};
pub use context::{Context, Identity, Registry};
pub use error::{Error, Failure, Result, chain, panic_message};
pub use exit::Exit;
pub use handler::{Arguments, Erased, Handler, IntoEnd, takes_two_transactions};
pub use lifecycle::{Budget, Lifecycle, Shutdown, State, Tracked, Tracker};
pub use postgres::{Db, DbConnection, DbTransaction, Slot, Tx};
pub use problem::Problem;
pub use process::{Process, ProcessKind, ProcessType};
#[cfg(feature = "redis")]
pub use redis;
#[cfg(feature = "redis")]
pub use redis_pool::{Redis, RedisConnection};
pub use resource::{Building, IntoResource, Res, Resource};
pub use run::{Argument, FromContext, Needs, Request, Run, UnitOfWork};
pub use settings::service_variables;
#[doc(hidden)]
pub use shortage::is_out_of_descriptors;
#[cfg(feature = "redis")]
pub use subscription::Subscription;

/// What macros expand to; not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use axum_core::extract::{FromRef, FromRequestParts};
    pub use http::request::Parts;
}
