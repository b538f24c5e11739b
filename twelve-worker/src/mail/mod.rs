//! Mails: rendered where they are delivered to the queue, sent by the process type `mailer`.
//!
//! ```text
//! Mail ─render─► Rendered ─► Letter ─► one Delivery for each recipient ─► queue `mail`
//!                                                                            │
//!                              SMTP server ◄── Relay ◄── message ◄── mailer ─┘
//! ```
//!
//! - What is sent was rendered in the author's transaction: its errors surface there, and no later deploy changes it.
//! - All copies of a mail, and all attempts at one, carry the same `Message-ID` and `Date`.
//! - A delivery is done after the server's 250 and not before: a mailer that is killed between them sends a second copy.

mod attachment;
mod delivery;
mod letter;
mod mailbox;
pub(crate) mod mailer;
mod message;
mod process;
pub(crate) mod relay;
mod rendered;
mod send_error;
pub(crate) mod settings;
mod smtp;

pub use attachment::{Attachment, Attachments};
pub use delivery::Delivery;
pub use letter::{Letter, MessageId};
pub use mailbox::{Addresses, Mailbox};
pub use mailer::Mailer;
pub use process::mailer;
pub use relay::Relay;
pub use rendered::Rendered;
pub use send_error::SendError;
pub use settings::{FROM, SenderSettings};

use std::fmt;
use twelve_core::Error;

/// The queue and the kind of deliveries.
pub const QUEUE: &str = "mail";

/// The process type that sends them.
pub const PROCESS_TYPE: &str = "mailer";

/// A mail: derive it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a mail",
    label = "not a mail",
    note = "add `#[derive(twelve::Mail)]` to `{Self}`"
)]
pub trait Mail: Send + 'static {
    /// The mail's name, for people: that of its type.
    const NAME: &'static str;

    /// The mail with its templates filled in.
    ///
    /// # Errors
    ///
    /// A template fails.
    fn render(&self) -> Result<Rendered, Error>;
}

/// An example of a mail, to look at while it is written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no preview",
    label = "a registered mail has an example of itself",
    note = "add `impl Preview for {Self} {{ fn preview() -> Self {{ … }} }}`"
)]
pub trait Preview: Mail + Sized {
    /// A mail like those that are sent.
    fn preview() -> Self;
}

/// A mail that is registered for previews, with its type erased.
#[derive(Clone, Copy)]
pub struct Registered {
    name: &'static str,
    preview: fn() -> Result<Rendered, Error>,
}

impl Registered {
    /// The mail `M`.
    #[must_use]
    pub fn of<M: Preview>() -> Self {
        Self {
            name: M::NAME,
            preview: || M::preview().render(),
        }
    }

    /// The mail's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its example.
    ///
    /// # Errors
    ///
    /// A template fails.
    pub fn preview(&self) -> Result<Rendered, Error> {
        (self.preview)()
    }

    /// Its example as it would be sent to its first recipient.
    ///
    /// # Errors
    ///
    /// A template fails, or the mail could not be delivered.
    pub fn message(&self, from: &Mailbox) -> Result<Vec<u8>, Error> {
        let (letter, recipients) = Letter::new(self.preview()?, from)?;
        let delivery = recipients.into_iter().next();
        let delivery = delivery.map(|recipient| Delivery::new(letter, recipient));
        let message = delivery.map(|delivery| message::message(&delivery, None));
        match message {
            Some(Ok((_, message))) => Ok(message),
            // A mail without a recipient was refused before.
            problem => Err(Error::internal(format!(
                "the mail `{}` is none: {problem:?}",
                self.name
            ))),
        }
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registered").field(&self.name).finish()
    }
}
