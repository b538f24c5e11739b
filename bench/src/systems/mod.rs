//! The systems, in the order in which they run and are shown.

mod apalis;
mod awa;
mod graphile;
mod raw;
mod raw_twelve;
pub mod twelve;

use crate::system::System;

/// All systems.
pub static ALL: [&dyn System; 6] = [
    &raw::Raw,
    &raw_twelve::RawTwelve,
    &twelve::Twelve,
    &graphile::Graphile,
    &apalis::Apalis,
    &awa::Awa,
];

/// The system of this name.
pub fn named(name: &str) -> Option<&'static dyn System> {
    ALL.into_iter().find(|system| system.name() == name)
}
