//! The variables of mails: who sends, and through which server.

use twelve_core::{Config, Environment, Error, Needs, Reader, Variable};

use super::{Mailbox, Mailer, Relay, smtp::SmtpUrl};

/// The variable that names the sender of mails.
pub const FROM: &str = "TWELVE_MAIL_FROM";

/// What processes that deliver mails to the queue read.
#[derive(Clone, Debug)]
pub struct SenderSettings {
    from: Mailbox,
}

impl SenderSettings {
    pub(super) fn read(environment: &Environment) -> Result<Self, Error> {
        environment.load("mails have no sender")
    }

    /// Who sends mails that do not say otherwise.
    #[must_use]
    pub fn from(&self) -> &Mailbox {
        &self.from
    }
}

impl Config for SenderSettings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        let from = reader.read(FROM, None, "the sender of mails")?;
        Some(Self { from })
    }
}

/// What processes that send mails read.
#[derive(Clone, Debug)]
pub(super) struct RelaySettings {
    pub(super) server: SmtpUrl,
    pub(super) redirect_to: Option<Mailbox>,
}

impl RelaySettings {
    pub(super) fn read(environment: &Environment) -> Result<Self, Error> {
        environment.load("mails cannot be sent")
    }
}

impl Config for RelaySettings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        let server = reader.read("SMTP_URL", None, "the server that mails are sent through");
        let redirect_to = reader.read(
            "TWELVE_MAIL_REDIRECT_TO",
            None,
            "who gets every mail in place of its recipients, as on a staging system",
        );
        Some(Self {
            server: server?,
            redirect_to: redirect_to?,
        })
    }
}

/// Reads the variables of mails, as far as the arguments of handlers need them.
#[must_use]
pub fn variables(needs: &Needs, environment: &Environment) -> Vec<Variable> {
    let mut reader = Reader::new(environment);
    if needs.has::<Mailer>() || needs.has::<SenderSettings>() {
        let _ = SenderSettings::load(&mut reader);
    }
    if needs.has::<Relay>() {
        let _ = RelaySettings::load(&mut reader);
    }
    reader.into_variables()
}
