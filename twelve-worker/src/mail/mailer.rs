//! `Mailer`: how mails are delivered to the queue.

use std::{fmt, sync::Arc};
use twelve_core::{Context, Error, FromContext, Needs, Run, extractable};

use super::{
    Mail,
    delivery::Delivery,
    letter::{Letter, MessageId},
    rendered::Rendered,
    settings::SenderSettings,
};
use crate::enqueue::jobs::{Jobs, Within};

/// Delivers mails to the queue, from any kind of handler; the process type `mailer` sends them.
///
/// ```no_run
/// # use twelve_core::{Error, Tx};
/// # use twelve_worker::mail::{Mail, Mailer, Rendered};
/// # struct Receipt { email: String }
/// # impl Mail for Receipt {
/// #     const NAME: &'static str = "Receipt";
/// #     fn render(&self) -> Result<Rendered, Error> { unimplemented!() }
/// # }
/// async fn handler(mut tx: Tx, mailer: Mailer) -> Result<(), Error> {
///     let email = "Ada <ada@example.org>".to_owned();
///     mailer.deliver_in(&mut tx, Receipt { email }).await?; // sent when `tx` commits, or never
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Mailer {
    jobs: Jobs,
    sender: Arc<SenderSettings>,
}

impl Mailer {
    /// The mailer of this process.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `MAIL_FROM` or `DATABASE_URL` is missing or wrong.
    pub fn of(context: &Context) -> Result<Self, Error> {
        Ok(Self {
            jobs: Jobs::of(context)?,
            sender: context.singleton(|| SenderSettings::read(context.environment()))?,
        })
    }

    /// Delivers a mail to the queue, now.
    ///
    /// It is rendered here, and the copy of each recipient becomes a job of its own. So a recipient that is refused neither delays nor repeats the copies of the others.
    ///
    /// # Errors
    ///
    /// A template fails; an address is invalid; there are more than 100 recipients, or attachments of more than 2.75 MiB; and as [`Jobs::enqueue`].
    pub async fn deliver(&self, mail: impl Mail) -> Result<MessageId, Error> {
        let (id, deliveries) = self.prepare(mail.render()?)?;
        self.jobs.enqueue_many(deliveries).await?;
        Ok(id)
    }

    /// Delivers a mail to the queue in a transaction: it is sent when the transaction commits, and never if it does not.
    ///
    /// # Errors
    ///
    /// As [`deliver`](Self::deliver) and [`Jobs::enqueue_in`].
    pub async fn deliver_in<'c>(
        &self,
        within: impl Into<Within<'c>>,
        mail: impl Mail,
    ) -> Result<MessageId, Error> {
        let (id, deliveries) = self.prepare(mail.render()?)?;
        self.jobs.enqueue_many_in(within, deliveries).await?;
        Ok(id)
    }

    /// The copies are made one by one, while they are enqueued: each carries the attachments.
    fn prepare(
        &self,
        mail: Rendered,
    ) -> Result<(MessageId, impl Iterator<Item = Delivery> + use<>), Error> {
        let (letter, recipients) = Letter::new(mail, self.sender.from())?;
        let id = letter.message_id.clone();
        let deliveries = recipients
            .into_iter()
            .map(move |recipient| Delivery::new(letter.clone(), recipient));
        Ok((id, deliveries))
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailer").field(&self.sender).finish()
    }
}

impl<K: Send + Sync + 'static> FromContext<K> for Mailer {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<K>) -> Result<Self, Error> {
        Self::of(run.context())
    }
}

extractable!(impl for Mailer);
