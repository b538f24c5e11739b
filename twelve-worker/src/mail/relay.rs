//! The SMTP server that mails are handed to, and what it may answer.

use std::{fmt, sync::Arc};
use twelve_core::{Context, Environment, Error};

use super::{
    delivery::Delivery,
    mailbox::Mailbox,
    message::message,
    settings::RelaySettings,
    smtp::{pool::Pool, session::Server},
};

/// The server that mails are sent through, with the connections to it.
#[derive(Debug)]
pub struct Relay {
    pool: Pool,
    redirect_to: Option<Mailbox>,
}

impl Relay {
    /// The one of this process.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `SMTP_URL` or `TWELVE_MAIL_REDIRECT_TO` is missing or wrong.
    pub fn of(context: &Context) -> Result<Arc<Self>, Error> {
        context.singleton(|| Self::read(context.environment()))
    }

    fn read(environment: &Environment) -> Result<Self, Error> {
        let settings = RelaySettings::read(environment)?;
        Ok(Self {
            pool: Pool::new(Server::new(settings.server)),
            redirect_to: settings.redirect_to,
        })
    }

    /// Who gets every mail in place of its recipients, if somebody does.
    #[must_use]
    pub fn redirect_to(&self) -> Option<&Mailbox> {
        self.redirect_to.as_ref()
    }

    /// Sends one copy; answers with what the server said.
    ///
    /// # Errors
    ///
    /// The server did not take it: [`SendError`] says what to do about that.
    pub async fn send(&self, delivery: &Delivery) -> Result<String, SendError> {
        let (envelope, message) =
            message(delivery, self.redirect_to.as_ref()).map_err(SendError::Refused)?;
        self.pool.send(&envelope, &message).await
    }

    /// Closes idle connections, for ever.
    pub(super) async fn tidy(&self) -> ! {
        self.pool.tidy().await
    }

    /// Takes leave of the server.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

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
