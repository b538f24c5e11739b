//! Payments: the client of the provider, and a sandbox of the provider itself.

mod client;
mod sandbox;

pub use client::{Payments, PaymentsSettings};

use twelve::prelude::*;

/// Registers the client for the jobs, and the sandbox as the process type `payments`.
pub fn register(app: App) -> App {
    app.config::<PaymentsSettings>()
        .config::<sandbox::SandboxSettings>()
        .resource(Payments::connect)
        .http("payments", sandbox::routes())
}
