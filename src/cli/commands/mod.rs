//! The commands, one file each. A new one is a file, a line of `mod` and a line of the list.

mod config;
#[cfg(feature = "dev")]
mod dev;
mod export;
mod health;
mod jobs;
#[cfg(feature = "mail")]
mod mail;
mod ps;
mod release;
mod routes;
mod run;
mod schedules;
#[cfg(feature = "dev")]
mod start;

use super::command::AnyCommand;

/// All commands, in the order of the help.
pub(crate) const COMMANDS: &[AnyCommand] = &[
    AnyCommand::of::<release::Release>(),
    AnyCommand::of::<run::RunTask>(),
    #[cfg(feature = "dev")]
    AnyCommand::of::<start::Start>(),
    #[cfg(feature = "dev")]
    AnyCommand::of::<dev::Dev>(),
    AnyCommand::of::<routes::Routes>(),
    AnyCommand::of::<jobs::Jobs>(),
    AnyCommand::of::<ps::Ps>(),
    #[cfg(feature = "mail")]
    AnyCommand::of::<mail::Mail>(),
    AnyCommand::of::<schedules::Schedules>(),
    AnyCommand::of::<config::Config>(),
    AnyCommand::of::<health::Health>(),
    AnyCommand::of::<export::Export>(),
];
