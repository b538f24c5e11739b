//! A real SMTP server that answers as a test says: the one of the mail tests.

#[allow(
    dead_code,
    reason = "the tests of TLS and of the protocol's details are beside the mailer"
)]
#[path = "../../../twelve-worker/tests/mail/server.rs"]
mod server;

pub(crate) use server::{Act, Offers, SmtpServer};
