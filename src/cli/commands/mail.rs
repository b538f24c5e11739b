//! `mail`: looks at the mails of this app, and tries the server that they are sent through.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fmt::{Display, Write};
use twelve_core::{
    Context, Environment, Error, Exit, Failure, Needs, ProcessKind, ProcessType, chain,
    telemetry::Logs,
};
use twelve_worker::mail::{Delivery, Letter, Registered, Relay, Rendered, SenderSettings};

use crate::{
    app::App,
    cli::{
        command::Command,
        invocation::Invocation,
        output::{self, Format},
    },
};

/// Look at the mails of this app, and send one to try the server.
#[derive(Args)]
#[command(arg_required_else_help = false)]
pub(super) struct Mail {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the registered mails, or print one with its example data.
    Preview(Preview),
    #[command(about = "Send a mail through SMTP_URL now, and tell what the server says")]
    SendTest(SendTest),
}

#[derive(Args)]
struct Preview {
    /// The mail's name; without it, all are listed.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print only its HTML.
    #[arg(long, conflicts_with = "text")]
    html: bool,
    /// Print only its text.
    #[arg(long)]
    text: bool,
    /// Print all of them as they would be sent.
    #[arg(long, hide = true)]
    messages: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Args)]
struct SendTest {
    /// Who gets it.
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// The mail that is sent; without it, a plain one.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    format: Format,
}

impl Command for Mail {
    const NAME: &'static str = "mail";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        match self.verb {
            Verb::Preview(preview) => preview.run(&invocation.app, &invocation.environment),
            Verb::SendTest(test) => test.run(invocation),
        }
    }
}

impl Preview {
    fn run(&self, app: &App, environment: &Environment) -> Result<Exit, Error> {
        match &self.name {
            name if self.messages => messages(app, name.as_deref(), environment)?,
            Some(name) => self.show(app, name)?,
            None => self.list(app)?,
        }
        Ok(Exit::Done)
    }

    fn show(&self, app: &App, name: &str) -> Result<(), Error> {
        let mail = find(app, name)?.preview()?;
        if self.format.json {
            output::print_json("mail", document(&mail))
        } else if self.html {
            let html = mail.html.as_ref();
            let html =
                html.ok_or_else(|| Error::usage(format!("the mail `{name}` has no HTML")))?;
            output::print(&ended(html))
        } else if self.text {
            output::print(&ended(&mail.text))
        } else {
            output::print(&describe(&mail))
        }
    }

    fn list(&self, app: &App) -> Result<(), Error> {
        if self.html || self.text {
            let known = known(app);
            return Err(Error::usage(format!("say which mail to print; {known}")));
        }
        let previews = app.mails.iter().map(Registered::preview);
        let mails = previews.collect::<Result<Vec<_>, _>>()?;
        if self.format.json {
            return output::print_json("mails", mails.iter().map(document).collect());
        }
        let rows: Vec<_> = mails
            .iter()
            .map(|mail| {
                let parts = if mail.html.is_some() {
                    "html, text"
                } else {
                    "text"
                };
                [mail.name.to_owned(), mail.subject.clone(), parts.to_owned()]
            })
            .collect();
        output::print_table(["MAIL", "SUBJECT", "PARTS"], &rows)
    }
}

/// Every mail as it would be sent, for the inbox of `dev`.
fn messages(app: &App, wanted: Option<&str>, environment: &Environment) -> Result<(), Error> {
    let is_wanted = |mail: &&Registered| wanted.is_none_or(|name| mail.name() == name);
    let sender: SenderSettings = environment.load("mails have no sender")?;
    let message = |mail: &Registered| match mail.message(sender.from()) {
        Ok(message) => {
            json!({"name": mail.name(), "message": String::from_utf8_lossy(&message)})
        }
        Err(error) => json!({"name": mail.name(), "problem": chain(&error)}),
    };
    let mails = app.mails.iter().filter(is_wanted);
    output::print_json("messages", mails.map(message).collect())
}

fn find<'a>(app: &'a App, name: &str) -> Result<&'a Registered, Error> {
    let found = app.mails.iter().find(|mail| mail.name() == name);
    found.ok_or_else(|| Error::usage(format!("`{name}` is not a registered mail; {}", known(app))))
}

fn known(app: &App) -> String {
    let names: Vec<_> = app.mails.iter().map(Registered::name).collect();
    match names.as_slice() {
        [] => "this app has registered none: add `.mail::<…>()` to it".to_owned(),
        names => format!("the mails are: {}", names.join(", ")),
    }
}

fn document(mail: &Rendered) -> Value {
    let attachments = mail.attachments.iter().map(|file| {
        json!({
            "name": file.name(),
            "content_type": file.content_type(),
            "bytes": file.content().len(),
        })
    });
    json!({
        "name": mail.name,
        "from": mail.from,
        "to": mail.to,
        "cc": mail.cc,
        "bcc": mail.bcc,
        "reply_to": mail.reply_to,
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "attachments": attachments.collect::<Vec<_>>(),
    })
}

/// The mail as people read it: its headers, then its text.
fn describe(mail: &Rendered) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:10}  {value}");
    };
    line("from", &mail.from.as_deref().unwrap_or("MAIL_FROM"));
    for (name, addresses) in [
        ("to", &mail.to),
        ("cc", &mail.cc),
        ("bcc", &mail.bcc),
        ("reply to", &mail.reply_to),
    ] {
        if !addresses.is_empty() {
            line(name, &addresses.join(", "));
        }
    }
    line("subject", &mail.subject);
    for file in &mail.attachments {
        let size = file.content().len();
        let file = format!("{} ({}, {size} bytes)", file.name(), file.content_type());
        line("attached", &file);
    }
    format!("{text}\n{}", ended(&mail.text))
}

fn ended(text: &str) -> String {
    format!("{}\n", text.trim_end_matches('\n'))
}

impl SendTest {
    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let mut mail = match &self.name {
            Some(name) => find(&invocation.app, name)?.preview()?,
            None => plain(&invocation.app.name),
        };
        // To this address and nobody else.
        mail.to = vec![self.address];
        mail.cc.clear();
        mail.bcc.clear();
        let as_json = self.format.json;
        let mut needs = Needs::default();
        needs.add::<SenderSettings>();
        needs.add::<Relay>();
        let process = ProcessType::new("mail", ProcessKind::Custom, needs, move |context| {
            send(context, mail.clone(), as_json)
        });
        invocation
            .run(&process, Logs::Stderr)?
            .map_err(|failure| failure.into_error("the mail was not sent"))
    }
}

fn plain(app: &str) -> Rendered {
    let text = format!("This mail shows that {app} can send mails.\n");
    Rendered::new("Test", &format!("A test from {app}"), &text)
}

async fn send(context: Context, mail: Rendered, as_json: bool) -> Result<Exit, Failure> {
    let sender: SenderSettings = context.environment().load("mails have no sender")?;
    let wrong = |error: Error| Error::usage("the mail cannot be sent").with_source(error);
    let (letter, recipients) = Letter::new(mail, sender.from()).map_err(wrong)?;
    let relay = Relay::of(&context)?;
    context.lifecycle().ready();
    for recipient in recipients {
        let to = relay.redirect_to().unwrap_or(&recipient).clone();
        let delivery = Delivery::new(letter.clone(), recipient);
        let sent = tokio::select! {
            () = context.lifecycle().draining() => return Err(Failure::new("it was told to stop")),
            sent = relay.send(&delivery) => sent,
        };
        let answer = sent.map_err(Error::from)?;
        let message_id = &delivery.letter.message_id;
        if as_json {
            let sent = json!({"to": to.email(), "message_id": message_id, "answer": answer});
            output::print_json("sent", sent)?;
        } else {
            output::print(&format!("sent to {}: {answer}\n", to.email()))?;
        }
    }
    relay.close().await;
    Ok(Exit::Done)
}
