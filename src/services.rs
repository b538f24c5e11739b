//! Private Postgres and Redis servers for development and tests.
//!
//! `myapp dev` and the test kit start real servers from the binaries that are installed, one set for each worktree, and share them among all processes that ask.
//! Everything here blocks: call it before the runtime starts, or from a thread that may block.

#[doc(inline)]
pub use twelve_dev::services::{Directory, Error, Server, Services, Stop, Wanted};
