//! `mail`: looks at the mails of this app, and tries the server that they are sent through.

use clap::ArgMatches;
use serde_json::{Value, json};
use std::fmt::{Display, Write};
use twelve_core::{
    Context, Error, Exit, Failure, Needs, ProcessKind, ProcessType, chain, telemetry::Logs,
};
use twelve_worker::mail::{Delivery, Letter, Registered, Relay, Rendered, SenderSettings};

use super::{Cli, output};

pub(super) fn run(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    match matches.subcommand() {
        Some(("preview", matches)) => preview(cli, matches),
        Some((_, matches)) => send_test(cli, matches),
        // clap demands a subcommand, so there always is one.
        None => Err(Error::usage("say what to do with mails")),
    }
}

fn preview(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    if matches.get_flag("messages") {
        return messages(cli, matches);
    }
    let Some(name) = matches.get_one::<String>("name") else {
        return list(cli, matches);
    };
    let mail = find(cli, name)?.preview()?;
    if matches.get_flag("json") {
        output::print_json("mail", document(&mail))?;
    } else if matches.get_flag("html") {
        let html = mail.html.as_ref();
        let html = html.ok_or_else(|| Error::usage(format!("the mail `{name}` has no HTML")))?;
        output::print(&ended(html))?;
    } else if matches.get_flag("text") {
        output::print(&ended(&mail.text))?;
    } else {
        output::print(&describe(&mail))?;
    }
    Ok(Exit::Done)
}

fn list(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    if matches.get_flag("html") || matches.get_flag("text") {
        let known = known(cli);
        return Err(Error::usage(format!("say which mail to print; {known}")));
    }
    let previews = cli.app.mails.iter().map(Registered::preview);
    let mails = previews.collect::<Result<Vec<_>, _>>()?;
    if matches.get_flag("json") {
        output::print_json("mails", mails.iter().map(document).collect())?;
    } else {
        let rows: Vec<_> = mails
            .iter()
            .map(|mail| {
                let html = if mail.html.is_some() {
                    "html, text"
                } else {
                    "text"
                };
                [mail.name.to_owned(), mail.subject.clone(), html.to_owned()]
            })
            .collect();
        output::print_table(["MAIL", "SUBJECT", "PARTS"], &rows)?;
    }
    Ok(Exit::Done)
}

/// Every mail as it would be sent, for the inbox of `dev`.
fn messages(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    let wanted = matches.get_one::<String>("name");
    let is_wanted = |mail: &&Registered| wanted.is_none_or(|name| mail.name() == name);
    let sender: SenderSettings = cli.environment.load("mails have no sender")?;
    let message = |mail: &Registered| match mail.message(sender.from()) {
        Ok(message) => {
            json!({"name": mail.name(), "message": String::from_utf8_lossy(&message)})
        }
        Err(error) => json!({"name": mail.name(), "problem": chain(&error)}),
    };
    let mails = cli.app.mails.iter().filter(is_wanted);
    output::print_json("messages", mails.map(message).collect())?;
    Ok(Exit::Done)
}

fn find<'a>(cli: &'a Cli, name: &str) -> Result<&'a Registered, Error> {
    let found = cli.app.mails.iter().find(|mail| mail.name() == name);
    found.ok_or_else(|| Error::usage(format!("`{name}` is not a registered mail; {}", known(cli))))
}

fn known(cli: &Cli) -> String {
    let names: Vec<_> = cli.app.mails.iter().map(Registered::name).collect();
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

fn send_test(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    let address = matches.get_one::<String>("address");
    let address = address.cloned().unwrap_or_default();
    let mut mail = match matches.get_one::<String>("name") {
        Some(name) => find(cli, name)?.preview()?,
        None => plain(&cli.app.name),
    };
    // To this address and nobody else.
    mail.to = vec![address];
    mail.cc.clear();
    mail.bcc.clear();
    let as_json = matches.get_flag("json");
    let mut needs = Needs::default();
    needs.add::<SenderSettings>();
    needs.add::<Relay>();
    let process = ProcessType::new("mail", ProcessKind::Custom, needs, move |context| {
        send(context, mail.clone(), as_json)
    });
    cli.run(&process, Logs::Stderr)?
        .map_err(|failure| failure.into_error("the mail was not sent"))
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
