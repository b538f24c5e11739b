//! Which variables are read for the arguments that handlers take of this crate.

use twelve_core::{PostgresSettings, ReadFor};

use crate::{
    admin::Admin, engine::settings::Waking, enqueue::jobs::Jobs, schedule::admin::Schedules,
};

#[cfg(feature = "mail")]
use crate::mail::{
    mailer::Mailer,
    relay::Relay,
    settings::{RelaySettings, SenderSettings},
};

/// What is read for the arguments of this crate.
#[must_use]
pub fn read_for_arguments() -> Vec<ReadFor> {
    vec![
        ReadFor::argument::<Jobs, PostgresSettings>(),
        ReadFor::argument::<Jobs, Waking>(),
        ReadFor::argument::<Admin, PostgresSettings>(),
        ReadFor::argument::<Admin, Waking>(),
        ReadFor::argument::<Schedules, PostgresSettings>(),
        ReadFor::argument::<Schedules, Waking>(),
        #[cfg(feature = "mail")]
        ReadFor::argument::<Mailer, PostgresSettings>(),
        #[cfg(feature = "mail")]
        ReadFor::argument::<Mailer, Waking>(),
        #[cfg(feature = "mail")]
        ReadFor::argument::<Mailer, SenderSettings>(),
        #[cfg(feature = "mail")]
        ReadFor::argument::<SenderSettings, SenderSettings>(),
        #[cfg(feature = "mail")]
        ReadFor::argument::<Relay, RelaySettings>(),
    ]
}
