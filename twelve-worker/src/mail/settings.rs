//! The variables of mails: who sends, and through which server.

use twelve_core::{Config, Environment, Error, Reader};

use super::{mailbox::Mailbox, smtp::url::SmtpUrl};

/// The variable that names the sender of mails.
pub const FROM: &str = "MAIL_FROM";

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
pub(crate) struct RelaySettings {
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

/// The most mails that one mailer may send at once.
const MAX_CONCURRENCY: u32 = 100;

/// What only the process type `mailer` reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MailerSettings {
    pub(super) concurrency: u32,
}

impl MailerSettings {
    pub(super) fn read(environment: &Environment) -> Result<Self, Error> {
        environment.load("the mailer is not configured")
    }
}

impl Config for MailerSettings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        // One: a mailer that is killed has then left one mail at most that the server has and nobody knows of.
        let concurrency = reader.read(
            "TWELVE_MAILER_CONCURRENCY",
            Some("1"),
            "mails that one mailer sends at a time; as many may come twice when it is killed",
        )?;
        if !(1..=MAX_CONCURRENCY).contains(&concurrency) {
            let fault = format!("not a number from 1 to {MAX_CONCURRENCY}");
            reader.reject("TWELVE_MAILER_CONCURRENCY", fault);
            return None;
        }
        Some(Self { concurrency })
    }
}
