//! The variables of an HTTP process.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use twelve_core::{Config, Context, Error, Reader};

/// A body takes up to 16 KiB of the budget at once, of a quarter of it.
const LEAST_BUDGET: usize = 128 << 10;

/// What an HTTP process needs to know.
#[doc(hidden)]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where it listens.
    pub address: SocketAddr,
    /// The size of the largest body that it takes, in bytes.
    pub body_limit: usize,
    /// How many bytes of bodies may be in memory at once.
    pub body_budget: usize,
    /// How many connections may be open at once.
    pub max_connections: usize,
    /// How long a client may take over the head of a request.
    pub header_timeout: Duration,
}

impl Settings {
    pub(crate) fn of(context: &Context) -> Result<Self, Error> {
        context
            .environment()
            .load("the HTTP process is not configured")
    }
}

impl Config for Settings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        let port = reader.read("PORT", Some("5000"), "the port to listen on");
        let host: Option<IpAddr> = reader.read("HOST", Some("0.0.0.0"), "the address to listen on");
        let body_limit = reader.read(
            "TWELVE_BODY_LIMIT",
            Some("2097152"),
            "the size of the largest request body that is taken, in bytes",
        );
        let body_budget = reader.read(
            "TWELVE_BODY_BUDGET",
            Some("67108864"),
            "how much memory the bodies of all requests may take at once, in bytes",
        );
        let max_connections = reader.read(
            "TWELVE_MAX_CONNECTIONS",
            Some("10000"),
            "how many connections may be open at once; more wait to be accepted",
        );
        let header_timeout = reader.read(
            "TWELVE_HEADER_TIMEOUT",
            Some("10s"),
            "how long a client may take over the head of a request",
        );
        let settings = Self {
            address: SocketAddr::new(host?, port?),
            body_limit: body_limit?,
            body_budget: body_budget?,
            max_connections: max_connections?,
            header_timeout: header_timeout?,
        };
        if settings.body_budget < LEAST_BUDGET {
            let least = format!("too small: no body could arrive with less than {LEAST_BUDGET}");
            reader.reject("TWELVE_BODY_BUDGET", &least);
            return None;
        }
        if settings.max_connections == 0 {
            reader.reject("TWELVE_MAX_CONNECTIONS", "too few: nobody could connect");
            return None;
        }
        if settings.header_timeout.is_zero() {
            reader.reject(
                "TWELVE_HEADER_TIMEOUT",
                "too short: no request could arrive",
            );
            return None;
        }
        Some(settings)
    }
}
