//! Attacks from a few connections, and what they must not do.
//!
//! Each runs against the shop, as a real process, while honest clients use it: the process keeps its memory and its connections to Postgres within bounds, goes on serving, and drains in order in the middle of the attack.
//! `ground` has what all attacks share, `http2` a client that sends any frames it likes.
//! The full halves are ignored: `script/soak` runs them, with release builds.

mod bodies;
mod descriptors;
mod ground;
mod http2;
mod idle;
mod pings;
mod pooler;
mod statements;
mod taken_back;
