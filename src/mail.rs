//! What the builder knows of mails: which are registered, and whether a `mailer` is needed.

use askama::Template;
use twelve_core::{Environment, Error, ProcessType};
use twelve_worker::mail::{self, Mailer, Preview, Registered};

use crate::app::App;

impl App {
    /// Registers a mail with its preview: `myapp mail preview` and the inbox of `myapp dev` show it.
    ///
    /// A mail can be delivered without; the process type `mailer` sends it either way.
    pub fn mail<M: Preview>(mut self) -> Self {
        self.mails.push(Registered::of::<M>());
        self
    }

    /// The sender of mails, such as `Shop <shop@example.org>`, unless `MAIL_FROM` names another or a mail has its own.
    pub fn mail_from(mut self, sender: impl Into<String>) -> Self {
        self.mail_from = Some(sender.into());
        self
    }

    /// The environment with the sender that the builder names.
    pub(crate) fn with_sender(&self, environment: Environment) -> Environment {
        match &self.mail_from {
            Some(sender) => environment.with_default(mail::FROM, sender),
            None => environment,
        }
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
        if let Some(sender) = &self.mail_from
            && sender.parse::<mail::Mailbox>().is_err()
        {
            faults.push(format!(
                "the sender of mails, `{sender}`, is not an address such as Shop <shop@example.org>"
            ));
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
        Error::internal(format!("the mail `{mail}` cannot be rendered")).with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;
    use twelve_core::Environment;

    #[derive(Mail)]
    #[mail(
        subject = "Order {{ number }} & {{ title }}\n",
        text = "receipt.txt",
        html = "receipt.html"
    )]
    struct Receipt {
        #[mail(to)]
        email: String,
        #[mail(bcc)]
        archive: Vec<String>,
        number: u32,
        title: &'static str,
        lines: Vec<String>,
        #[mail(attach)]
        invoice: Option<Attachment>,
    }

    impl Preview for Receipt {
        fn preview() -> Self {
            Self {
                email: "Ada <ada@example.org>".to_owned(),
                archive: vec!["archive@example.org".to_owned()],
                number: 7,
                title: "<b>",
                lines: vec!["1 lamp & shade".to_owned()],
                invoice: Some(Attachment::new("7.pdf", "application/pdf", "%PDF")),
            }
        }
    }

    mod other {
        use super::*;

        #[derive(Mail)]
        #[mail(subject = "Hi", text = "receipt.txt", from = "me@example.org")]
        pub(super) struct Receipt {
            #[mail(to)]
            email: Option<String>,
            number: u32,
            lines: [&'static str; 1],
            invoice: Option<()>,
        }

        impl Preview for Receipt {
            fn preview() -> Self {
                Self {
                    email: None,
                    number: 1,
                    lines: [""],
                    invoice: None,
                }
            }
        }
    }

    #[derive(Serialize, Deserialize, Job)]
    #[job(kind = "greet", queue = "mail")]
    struct Greet;

    async fn greet(_: Greet) {}

    async fn order(_: Mailer) {}

    async fn nothing() {}

    fn names(app: &App) -> Vec<String> {
        let types = app.process_types();
        types
            .iter()
            .map(|process| process.name().to_owned())
            .collect()
    }

    #[test]
    fn templates_see_the_fields_and_escape_html_alone() {
        let mail = Receipt::preview().render().unwrap();
        assert_eq!(mail.subject, "Order 7 & <b>");
        assert!(mail.text.contains("- 1 lamp & shade\n"), "{}", mail.text);
        let html = mail.html.unwrap();
        assert!(
            html.contains("<li style=\"color: #333;\">1 lamp &amp; shade</li>"),
            "{html}"
        );
        assert!(html.contains("@media print"), "{html}");
        assert_eq!(mail.to, ["Ada <ada@example.org>"]);
        assert_eq!(mail.bcc, ["archive@example.org"]);
        assert_eq!(mail.attachments.len(), 1);
        assert_eq!(
            other::Receipt::preview().render().unwrap().from.unwrap(),
            "me@example.org"
        );
    }

    #[test]
    fn a_mailer_is_there_when_somebody_delivers_or_registers() {
        let web = |app: App| app.web(Router::new().route("/", post(order)));
        assert_eq!(names(&web(App::new("ui"))), ["web", "mailer"]);
        assert_eq!(names(&App::new("ui").mail::<Receipt>()), ["mailer"]);
        assert!(names(&App::new("ui").process("follow", nothing)).len() == 1);
    }

    #[test]
    fn the_wiring_of_mails_is_checked() {
        let app = App::new("ui")
            .mail::<Receipt>()
            .mail::<other::Receipt>()
            .job(greet)
            .worker("letters", Queues::only(["mail"]))
            .process("mailer", nothing);
        let faults = app.check().join("\n");
        for fault in [
            "two mails are named `Receipt`: give one another name",
            "the job `greet` is on the queue `mail`, which belongs to the process type `mailer`",
            "the worker `letters` takes the queue `mail`, which belongs to",
            "two process types are named `mailer`",
        ] {
            assert!(faults.contains(fault), "{fault:?} is missing in:\n{faults}");
        }
    }

    #[test]
    fn without_mails_the_queue_and_the_name_are_the_authors() {
        let app = App::new("ui").job(greet).process("mailer", nothing);
        assert_eq!(app.check(), Vec::<String>::new());
    }

    #[test]
    fn who_delivers_names_the_sender_and_the_mailer_the_server() {
        let app = App::new("ui").web(Router::new().route("/", post(order)));
        let asked = |name: &str| -> Vec<&str> {
            let processes = app.process_types();
            let process = processes.iter().find(|process| process.name() == name);
            let variables = app.variables(process.unwrap(), &Environment::default());
            let wanted = ["MAIL_FROM", "DATABASE_URL", "SMTP_URL"];
            let names = variables.iter().map(|variable| variable.name);
            names.filter(|name| wanted.contains(name)).collect()
        };
        assert_eq!(asked("web"), ["DATABASE_URL", "MAIL_FROM"]);
        assert_eq!(asked("mailer"), ["DATABASE_URL", "SMTP_URL"]);
    }
}
