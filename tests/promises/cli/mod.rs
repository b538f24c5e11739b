//! The command line (items 3 and 4 of "What to build").

mod arguments;
mod configuration;
mod listings;
mod mail;
mod operations;

use crate::harness::binaries;
use crate::harness::process::{Finished, Launch};
use crate::harness::shop::{COMMAND_BOUND, NO_REDIS, PAYMENTS_KEY};

const PASSWORD: &str = "promises-database-password-0815";

/// A command that needs no service.
async fn run<const N: usize>(arguments: [&str; N]) -> Finished {
    let vars = [
        (
            "DATABASE_URL",
            &*format!("postgres://shop:{PASSWORD}@127.0.0.1:1/shop"),
        ),
        ("PAYMENTS_KEY", PAYMENTS_KEY),
        ("PAYMENTS_URL", "http://127.0.0.1:9"),
        ("REDIS_URL", NO_REDIS),
        ("REPORTS_TO", "reports@example.com"),
        ("SMTP_URL", "smtp://127.0.0.1:9"),
    ];
    Launch::new(binaries::shop())
        .args(arguments)
        .vars(&vars)
        .run(COMMAND_BOUND)
        .await
}
