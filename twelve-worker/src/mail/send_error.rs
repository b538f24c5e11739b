//! Why a mail was not taken, and so what becomes of its job.

use std::fmt;
use twelve_core::Error;

/// Why a mail was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The server cannot be reached, or the connection broke before the mail was on its way: an outage of a backing service.
    Unreachable(String),
    /// The server will not have us, whatever the mail: credentials, certificate, a greeting that refuses. Not the mail's fault.
    Misconfigured(String),
    /// Not now (4xx); or the connection broke while the mail was on its way, so that it may have arrived.
    Later(String),
    /// Never (5xx).
    Refused(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(text)
            | Self::Misconfigured(text)
            | Self::Later(text)
            | Self::Refused(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for SendError {}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match &error {
            SendError::Unreachable(_) => Self::unavailable("the SMTP server is unavailable"),
            SendError::Misconfigured(_) => {
                Self::configuration("the SMTP server and SMTP_URL do not fit each other")
            }
            SendError::Later(_) => Self::internal("the SMTP server did not take the mail now"),
            SendError::Refused(_) => Self::internal("the SMTP server refused the mail"),
        }
        .with_source(error)
    }
}
