//! What people see: templates in `templates/`, which escape all text.

use std::{fmt, sync::Arc};

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use mail_parser::{DateTime, HeaderName};

use super::{
    content::{Attachment, Content},
    inbox::Mail,
    message::Message,
    preview::Preview,
};

/// How much of a source is shown; the file has all of it.
const SOURCE: usize = 256 << 10;

/// The first page: the inbox, and below it the previews.
#[derive(Template)]
#[template(path = "list.html")]
pub(super) struct List<'a> {
    pub(super) smtp_url: &'a str,
    pub(super) version: u64,
    pub(super) mails: &'a [Arc<Mail>],
    pub(super) previews: &'a [Result<Preview, String>],
}

/// There is no such page, or no longer.
#[derive(Template)]
#[template(path = "missing.html")]
pub(super) struct Missing;

/// The page of one message: who and what above, the chosen part below.
#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    folder: &'static str,
    url: String,
    message: &'a Message,
    subject: String,
    people: Vec<(&'static str, String)>,
    received: Option<Time>,
    attachments: Vec<Attachment<'a>>,
    part: Part,
    shown: Shown<'a>,
}

/// A part that can be looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Html,
    Text,
    Headers,
    Source,
}

/// What is shown of a part.
enum Shown<'a> {
    /// A frame, for it is a document of its own.
    Html,
    Text(String),
    Headers(Vec<(&'a str, String)>),
    /// Of a source that is too long.
    StartOfSource(String),
    Nothing(&'static str),
}

/// A moment, in seconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct Time(i64);

/// A number of bytes.
struct Size(usize);

/// An answer that fills in a template.
pub(super) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(markup) => Html(markup).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The page of a message, with the part of this name or the one that people want to see.
pub(super) fn message(message: &Message, part: Option<&str>) -> Response {
    let content = Content::parse(message.bytes());
    let part = Part::ALL
        .into_iter()
        .find(|known| Some(known.name()) == part);
    let part = part.unwrap_or(if content.has_html() {
        Part::Html
    } else {
        Part::Text
    });
    let (folder, received) = match message {
        Message::Caught(mail) => ("Inbox", Some(mail.time())),
        Message::Preview(_) => ("Previews", None),
    };
    page(&MessagePage {
        folder,
        url: message.url(),
        message,
        subject: content.subject(),
        people: people(message, &content),
        received,
        attachments: content.attachments(),
        part,
        shown: shown(message, &content, part),
    })
}

fn people(message: &Message, content: &Content<'_>) -> Vec<(&'static str, String)> {
    let named = [
        ("From", HeaderName::From),
        ("To", HeaderName::To),
        ("Cc", HeaderName::Cc),
        ("Reply to", HeaderName::ReplyTo),
    ];
    let named = named.into_iter();
    let named = named.filter_map(|(title, name)| Some((title, content.addresses(name)?)));
    let other = match message {
        Message::Caught(mail) => {
            let (from, to) = (&mail.envelope.from, mail.envelope.to.join(", "));
            ("Envelope", format!("{from} → {to}"))
        }
        Message::Preview(preview) => ("Preview", preview.name.clone()),
    };
    named.chain([other]).collect()
}

fn shown<'a>(message: &Message, content: &'a Content<'_>, part: Part) -> Shown<'a> {
    match part {
        Part::Html if content.has_html() => Shown::Html,
        Part::Html => Shown::Nothing("This mail has no HTML."),
        Part::Text => content.text().map_or(
            Shown::Nothing("This mail has no text: some readers see nothing."),
            Shown::Text,
        ),
        Part::Headers => Shown::Headers(content.headers().collect()),
        Part::Source => {
            let all = message.bytes();
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            match all.get(..SOURCE) {
                Some(start) if start.len() < all.len() => Shown::StartOfSource(text(start)),
                _ => Shown::Text(text(all)),
            }
        }
    }
}

impl Part {
    const ALL: [Self; 4] = [Self::Html, Self::Text, Self::Headers, Self::Source];

    /// In the URL.
    fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Text => "text",
            Self::Headers => "headers",
            Self::Source => "source",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Html => "HTML",
            Self::Text => "Text",
            Self::Headers => "Headers",
            Self::Source => "Source",
        }
    }
}

impl Mail {
    pub(super) fn time(&self) -> Time {
        Time(self.received)
    }
}

impl Time {
    pub(super) fn rfc3339(self) -> String {
        DateTime::from_timestamp(self.0).to_rfc3339()
    }

    fn readable(self) -> String {
        self.rfc3339().replace('T', " ").replace('Z', " UTC")
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..1_000 => write!(f, "{bytes} bytes"),
            bytes @ 1_000..1_000_000 => write!(f, "{} kB", bytes.div_ceil(1_000)),
            bytes => write!(
                f,
                "{}.{} MB",
                bytes / 1_000_000,
                bytes % 1_000_000 / 100_000
            ),
        }
    }
}
