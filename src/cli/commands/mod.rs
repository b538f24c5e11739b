//! The commands, one file each.

pub(super) mod config;
#[cfg(feature = "dev")]
pub(super) mod dev;
pub(super) mod export;
pub(super) mod health;
pub(super) mod jobs;
#[cfg(feature = "mail")]
pub(super) mod mail;
pub(super) mod ps;
pub(super) mod release;
pub(super) mod routes;
pub(super) mod run;
pub(super) mod schedules;
#[cfg(feature = "dev")]
pub(super) mod start;
