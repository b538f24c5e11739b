//! Development and supervision of twelve: what runs an app's processes on one host, and the servers beside them.
//!
//! ```text
//! start ─► dotenv ─► supervisor ─► real processes of the app
//! dev ───► dotenv ─► environment ─► supervisor ─► real processes of the app
//!                        │              └── beside them: catcher
//!                        ▼
//! test kit ──────────► services ─► private Postgres and Redis
//! ```
//!
//! Nothing here knows the app's builder: what it needs of the app is an argument.
//! Only the crate `twelve` promises a stable API: depend on that one.

#[cfg(feature = "catcher")]
pub mod catcher;
#[cfg(any(feature = "supervisor", feature = "environment"))]
pub mod dotenv;
#[cfg(feature = "environment")]
pub mod environment;
#[cfg(feature = "services")]
mod private;
#[cfg(feature = "services")]
pub mod services;
#[cfg(feature = "supervisor")]
pub mod supervisor;
