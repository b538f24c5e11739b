//! HTTP processes of twelve.
//!
//! ```text
//! http(name, router) ─► ProcessType
//!   server:  listen ─► accept ─► connection ─► request
//!   service: /health, /ready ─► body limit ─► unit of work ─► routes
//!   handler: extract ─► (idempotency: scope ─► claim ─► run ─► store) ─► respond
//! ```
//!
//! Handlers, extractors, responses and layers are axum's.
//! Ours are the router's table, the accept loop that drains, the transaction around every request, and idempotency keys.
//! Only the crate `twelve` promises a stable API: depend on that one.

#![allow(
    clippy::result_large_err,
    reason = "a refusal is a whole response, and is returned once per request"
)]

mod endpoint;
mod extract;
mod handler;
mod idempotency;
mod limit;
mod middleware;
mod router;
mod server;
mod service;
mod settings;
#[cfg(feature = "ws")]
pub mod ws;

pub use axum::middleware::Next;
pub use extract::{Json, Path, Query};
pub use handler::{HttpArguments, HttpHandler, PartsArguments};
pub use idempotency::{Idempotency, IdempotencyExt, Idempotent, IntoScope, migrations};
pub use middleware::{Middleware, MiddlewareArguments};
pub use router::{MethodRouter, Route, Router, delete, get, head, options, patch, post, put};
pub use server::http;
#[doc(hidden)]
pub use server::{bad_port_warning, is_bad_port, listen_on_any_port};
pub use service::{Service, service};
#[doc(hidden)]
pub use settings::Settings;
