//! Backing services: each is attached by a URL, and opened on its first use.

pub(crate) mod postgres;
#[cfg(feature = "redis")]
pub(crate) mod redis;
