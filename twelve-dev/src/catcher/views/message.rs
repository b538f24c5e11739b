//! The page of one message: who and what above, the chosen part below.

use mail_parser::HeaderName;

use super::{
    super::{
        content::{Attachment, Content},
        message::Message,
    },
    Html, document, html, subject, time_element,
};

/// The parts that can be looked at, and what they are called.
const PARTS: [(&str, &str); 4] = [
    ("html", "HTML"),
    ("text", "Text"),
    ("headers", "Headers"),
    ("source", "Source"),
];

/// How much of a source is shown; the file has all of it.
const SOURCE: usize = 256 << 10;

pub(in crate::catcher) fn message(message: &Message, part: Option<&str>) -> Html {
    let content = Content::parse(message.bytes());
    let part = match PARTS.iter().find(|(name, _)| Some(*name) == part) {
        Some((name, _)) => name,
        None if content.has_html() => "html",
        None => "text",
    };
    let folder = match message {
        Message::Caught(_) => "Inbox",
        Message::Preview(_) => "Previews",
    };
    let body = html!(
        r#"<main class="message"><p class="back"><a href="/">← {folder}</a></p>
<h1>{subject}</h1>
{people}{attachments}
<nav class="tabs" aria-label="Parts of the mail">{tabs}<a class="download" href="{url}/source">Download</a></nav>
{shown}</main>"#,
        folder = folder,
        subject = subject(&content.subject()),
        people = people(message, &content),
        attachments = attachments(message, &content.attachments()),
        tabs = tabs(message, part),
        url = message.url(),
        shown = shown(message, &content, part)
    );
    document(&content.subject(), &body)
}

fn tabs(message: &Message, chosen: &str) -> Html {
    let tabs = PARTS.iter().map(|&(name, title)| {
        let current = if name == chosen { "page" } else { "false" };
        html!(
            r#"<a href="{url}?part={name}" aria-current="{current}">{title}</a>"#,
            url = message.url(),
            name = name,
            current = current,
            title = title
        )
    });
    tabs.collect()
}

fn shown(message: &Message, content: &Content<'_>, part: &str) -> Html {
    match part {
        "html" if content.has_html() => html!(
            r#"<div class="frame"><iframe src="{url}/html" title="The HTML of the mail" sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe></div>"#,
            url = message.url()
        ),
        "html" => html!(r#"<p class="none">This mail has no HTML.</p>"#),
        "text" => match content.text() {
            Some(text) => html!("<pre>{text}</pre>", text = text),
            None => {
                html!(r#"<p class="none">This mail has no text: some readers see nothing.</p>"#)
            }
        },
        "headers" => {
            let rows = content.headers();
            table(rows.map(|(name, value)| (name, html!("{value}", value = value))))
        }
        _ => source(message.bytes()),
    }
}

fn people(message: &Message, content: &Content<'_>) -> Html {
    let named = [
        ("From", HeaderName::From),
        ("To", HeaderName::To),
        ("Cc", HeaderName::Cc),
        ("Reply to", HeaderName::ReplyTo),
    ];
    let named = named.into_iter().filter_map(|(title, name)| {
        Some((title, html!("{value}", value = content.addresses(name)?)))
    });
    let others = match message {
        Message::Caught(mail) => {
            let (from, to) = (&mail.envelope.from, mail.envelope.to.join(", "));
            vec![
                ("Envelope", html!("{from} → {to}", from = from, to = to)),
                ("Received", time_element(mail.received)),
            ]
        }
        Message::Preview(preview) => vec![("Preview", html!("{name}", name = preview.name))],
    };
    table(named.chain(others))
}

fn attachments(message: &Message, attachments: &[Attachment<'_>]) -> Html {
    if attachments.is_empty() {
        return Html::default();
    }
    let items = attachments.iter().map(|attachment| {
        html!(
            r#"<li><a href="{url}" download>{name} <small>{media_type}, {size}</small></a></li>"#,
            url = message.url_of(attachment),
            name = attachment.name,
            media_type = attachment.media_type,
            size = size(attachment.bytes.len())
        )
    });
    html!(
        r#"<ul class="files" aria-label="Attachments">{items}</ul>"#,
        items = items.collect::<Html>()
    )
}

fn source(bytes: &[u8]) -> Html {
    let shown = bytes.get(..SOURCE).unwrap_or(bytes);
    let text = html!("<pre>{text}</pre>", text = &*String::from_utf8_lossy(shown));
    if shown.len() == bytes.len() {
        return text;
    }
    html!(
        r#"{text}<p class="none">The first {shown} of {all}; the download has the rest.</p>"#,
        text = text,
        shown = size(shown.len()),
        all = size(bytes.len())
    )
}

fn table<'a>(rows: impl Iterator<Item = (&'a str, Html)>) -> Html {
    let rows = rows.map(|(name, value)| {
        html!(
            "<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>\n",
            name = name,
            value = value
        )
    });
    html!(
        "<table><tbody>{rows}</tbody></table>",
        rows = rows.collect::<Html>()
    )
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}
