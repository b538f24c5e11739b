//! One key, one effect (item 3; `web-lifecycle.md` I1 to I9).

mod bad_keys;
mod crowd;
mod disconnect;
mod fingerprint;
pub(crate) mod kills;
mod replay;
