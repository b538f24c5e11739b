//! The SMTP server that mails are handed to, and what it may answer.

use std::sync::Arc;
use twelve_core::{Context, Environment, Error};

use super::{
    delivery::Delivery,
    mailbox::Mailbox,
    message::message,
    send_error::SendError,
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
