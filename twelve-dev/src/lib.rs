//! Development and supervision of twelve: what surrounds an app's processes on one host.
//!
//! ```text
//! start ─► dotenv ─► supervisor ─► real processes of the app
//! dev ───► dotenv ─► surroundings ─► supervisor ─► real processes of the app
//!                        │               └── beside them: catcher
//!                        ▼
//! tests ─────────────► services ─► private Postgres and Redis
//! ```
//!
//! Nothing here knows the app's builder: what it needs of the app is an argument.
//! Only the crate `twelve` promises a stable API: depend on that one.

#[cfg(feature = "catcher")]
pub mod catcher;
#[cfg(any(feature = "supervisor", feature = "surroundings"))]
pub mod dotenv;
#[cfg(feature = "services")]
mod private;
#[cfg(feature = "services")]
pub mod services;
#[cfg(feature = "supervisor")]
pub mod supervisor;
#[cfg(feature = "surroundings")]
pub mod surroundings;
