//! Brings the shop up, talks to it, hurts it, and shows its logs when a test
//! fails.

pub(crate) mod binaries;
pub(crate) mod clock;
mod control;
pub(crate) mod database;
pub(crate) mod gate;
pub(crate) mod guardian;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod pgbouncer;
pub(crate) mod port;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod redis;
pub(crate) mod relay;
pub(crate) mod seed;
pub(crate) mod shop;
pub(crate) mod smtp;
pub(crate) mod standby;
pub(crate) mod steady;
pub(crate) mod wait;
