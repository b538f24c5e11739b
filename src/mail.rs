//! What the builder knows of mails: which are registered, and whether a `mailer` is needed.

use askama::Template;
use twelve_core::{Error, ProcessType};
use twelve_worker::mail::{self, Mailer, Preview, Registered};

use crate::App;

impl App {
    /// Registers a mail with its preview: `myapp mail preview` and the inbox of `myapp dev` show it.
    ///
    /// A mail can be delivered without; the process type `mailer` sends it either way.
    pub fn mail<M: Preview>(mut self) -> Self {
        self.mails.push(Registered::of::<M>());
        self
    }

    /// The process type that sends mails, when a handler delivers some or one is registered.
    pub(crate) fn mailer(&self) -> Option<ProcessType> {
        let delivers = || {
            self.handlers()
                .iter()
                .any(|(_, needs)| needs.has::<Mailer>())
        };
        (!self.mails.is_empty() || delivers()).then(mail::mailer)
    }

    /// The queue that belongs to the mailer alone.
    pub(crate) fn mail_queue(&self) -> Option<String> {
        self.mailer().map(|_| mail::QUEUE.to_owned())
    }

    pub(crate) fn check_mails(&self, faults: &mut Vec<String>) {
        for (index, mail) in self.mails.iter().enumerate() {
            let name = mail.name();
            if self
                .mails
                .iter()
                .take(index)
                .any(|known| known.name() == name)
            {
                faults.push(format!(
                    "two mails are named `{name}`: give one another name by `#[mail(name = \"…\")]`"
                ));
            }
        }
        let Some(queue) = self.mail_queue() else {
            return;
        };
        for job in self
            .jobs
            .iter()
            .filter(|job| job.policy().queue_name() == queue)
        {
            faults.push(format!(
                "the job `{}` is on the queue `{queue}`, which belongs to the process type `{}`",
                job.kind(),
                mail::PROCESS_TYPE
            ));
        }
        for (name, queues) in &self.workers {
            if queues.named().is_some_and(|named| named.contains(&queue)) {
                faults.push(format!(
                    "the worker `{name}` takes the queue `{queue}`, which belongs to the process type `{}`",
                    mail::PROCESS_TYPE
                ));
            }
        }
    }
}

/// Fills in a template of a mail: what `derive(Mail)` calls.
///
/// # Errors
///
/// The template fails, or what it shows does.
pub fn render(mail: &str, template: &impl Template) -> Result<String, Error> {
    template.render().map_err(|error| {
        Error::internal(format!("the mail `{mail}` cannot be rendered")).because(error)
    })
}
