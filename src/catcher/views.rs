//! What people see.

use std::sync::Arc;

use mail_parser::{DateTime, HeaderName};

use super::{
    Preview,
    content::{Attachment, Content},
    html::{Html, html},
    inbox::Mail,
    page::{Message, preview_url},
};

/// How much of a message's source is shown; the file has all of it.
const SOURCE: usize = 256 << 10;

/// The inbox, and below it the previews.
pub(super) fn index(
    smtp_url: &str,
    version: u64,
    mails: &[Arc<Mail>],
    previews: &[Result<Preview, String>],
) -> Html {
    let title = match mails.len() {
        0 => "Mail".to_owned(),
        count => format!("({count}) Mail"),
    };
    let body = html!(
        r#"<main id="live" data-version="{version}">
<header class="bar"><h1>Caught mail</h1><p>Everything the app sends to <code>{smtp_url}</code> ends here.</p></header>
{inbox}{previews}
<footer><p>To try failures, write to an address that begins with <code>bounce</code> (refused for good, 550) or <code>later</code> (refused for now, 451).
Scripts read <a href="/mails.json">mails.json</a>.</p></footer>
</main>"#,
        version = version,
        smtp_url = smtp_url,
        inbox = inbox(mails),
        previews = previews_list(previews),
    );
    let refresh = html!(r#"<noscript><meta http-equiv="refresh" content="5"></noscript>"#);
    document(&title, &refresh, &body)
}

fn inbox(mails: &[Arc<Mail>]) -> Html {
    if mails.is_empty() {
        return html!(
            r#"<section aria-labelledby="inbox"><div class="heading"><h2 id="inbox">Inbox</h2></div>
<div class="empty"><img src="/icon.svg" alt="" width="56" height="56"><p><strong>No mail yet.</strong></p><p>The next one appears here by itself.</p></div></section>"#
        );
    }
    let rows = mails.iter().map(|mail| {
        html!(
            r#"<li><a href="/mails/{id}"><span class="who">{from}</span><span class="what">{subject}{files}</span><span class="whom">to {to}</span>{received}</a></li>
"#,
            id = mail.id,
            from = mail.summary.from,
            subject = subject(&mail.summary.subject),
            files = files(mail.summary.attachments),
            to = mail.summary.to,
            received = time_element(mail.received),
        )
    });
    html!(
        r#"<section aria-labelledby="inbox"><div class="heading"><h2 id="inbox">Inbox <span class="count" aria-live="polite">{count}</span></h2>
<form method="post" action="/empty"><button>Empty inbox</button></form></div>
<ol class="list" reversed>
{rows}</ol></section>"#,
        count = mails.len(),
        rows = rows.collect::<Html>(),
    )
}

fn previews_list(previews: &[Result<Preview, String>]) -> Html {
    let rows = previews.iter().map(|preview| match preview {
        Ok(preview) => html!(
            r#"<li><a href="{url}"><span class="who">{name}</span><span class="what">{subject}</span></a></li>
"#,
            url = preview_url(preview),
            name = preview.name,
            subject = subject(&Content::parse(&preview.message).subject()),
        ),
        Err(error) => html!(
            r#"<li class="fault"><strong>A preview failed</strong><pre>{error}</pre></li>
"#,
            error = error,
        ),
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Html::default();
    }
    html!(
        r#"<section aria-labelledby="previews"><div class="heading"><h2 id="previews">Previews <span class="count">{count}</span></h2></div>
<ul class="list previews">
{rows}</ul></section>"#,
        count = rows.len(),
        rows = rows.into_iter().collect::<Html>(),
    )
}

/// The parts of a message that can be looked at, and what they are called.
const PARTS: [(&str, &str); 4] = [
    ("html", "HTML"),
    ("text", "Text"),
    ("headers", "Headers"),
    ("source", "Source"),
];

/// One message: who and what above, the chosen part below.
pub(super) fn message(message: &Message, part: Option<&str>) -> Html {
    let content = Content::parse(message.bytes());
    let text = content.text();
    // Only whether there is HTML matters here; its document has its images.
    let has_html = content.html(|_| String::new()).is_some();
    let chosen = match part {
        Some(part) if PARTS.iter().any(|(name, _)| *name == part) => part,
        _ if has_html => "html",
        _ => "text",
    };
    let tabs = PARTS.iter().map(|&(name, title)| {
        let current = (name == chosen).then(|| html!(r#" aria-current="page""#));
        html!(
            r#"<a href="{url}?part={name}"{current}>{title}</a>"#,
            url = message.url(),
            name = name,
            current = current,
            title = title,
        )
    });
    let shown = match chosen {
        "html" if has_html => html!(
            r#"<div class="frame"><iframe src="{url}/html" title="The HTML of the mail" sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe></div>"#,
            url = message.url(),
        ),
        "html" => html!(r#"<p class="none">This mail has no HTML.</p>"#),
        "text" => match text {
            Some(text) => html!(r#"<pre class="text">{text}</pre>"#, text = text),
            None => html!(
                r#"<p class="none">This mail has no text: some of its readers see nothing.</p>"#
            ),
        },
        "headers" => table(
            content
                .headers()
                .into_iter()
                .map(|(name, value)| (name, html!("{value}", value = value))),
        ),
        _ => source(message),
    };
    let title = subject(&content.subject());
    let body = html!(
        r#"<main class="message"><p class="back"><a href="/">← {room}</a></p>
<h1>{title}</h1>
{people}{attachments}
<nav class="tabs" aria-label="Parts of the mail">{tabs}<a class="download" href="{url}/source">Download</a></nav>
{shown}</main>"#,
        room = match message {
            Message::Caught(_) => "Inbox",
            Message::Preview(_) => "Previews",
        },
        title = title,
        people = people(message, &content),
        attachments = attachments(message, &content.attachments()),
        tabs = tabs.collect::<Html>(),
        url = message.url(),
        shown = shown,
    );
    document(&content.subject(), &Html::default(), &body)
}

fn people(message: &Message, content: &Content<'_>) -> Html {
    let named = [
        ("From", HeaderName::From),
        ("To", HeaderName::To),
        ("Cc", HeaderName::Cc),
        ("Reply to", HeaderName::ReplyTo),
    ];
    let mut rows: Vec<_> = named
        .into_iter()
        .filter_map(|(title, name)| {
            Some((title, html!("{value}", value = content.addresses(name)?)))
        })
        .collect();
    match message {
        Message::Caught(mail) => {
            let envelope = html!(
                "{from} → {to}",
                from = mail.envelope.from,
                to = mail.envelope.to.join(", ")
            );
            rows.push(("Envelope", envelope));
            rows.push(("Received", time_element(mail.received)));
        }
        Message::Preview(preview) => rows.push(("Preview", html!("{name}", name = preview.name))),
    }
    table(rows)
}

fn attachments(message: &Message, attachments: &[Attachment<'_>]) -> Html {
    if attachments.is_empty() {
        return Html::default();
    }
    let items = attachments.iter().map(|attachment| {
        html!(
            r#"<li><a href="{url}" download><span>{name}</span> <small>{media_type}, {size}</small></a></li>"#,
            url = message.url_of(attachment),
            name = attachment.name,
            media_type = attachment.media_type,
            size = size(attachment.bytes.len()),
        )
    });
    html!(
        r#"<ul class="files" aria-label="Attachments">{items}</ul>"#,
        items = items.collect::<Html>()
    )
}

fn source(message: &Message) -> Html {
    let bytes = message.bytes();
    let shown = bytes.get(..SOURCE).unwrap_or(bytes);
    let rest = (shown.len() < bytes.len()).then(|| {
        html!(
            r#"<p class="none">The first {shown} of {all}; the download has the rest.</p>"#,
            shown = size(shown.len()),
            all = size(bytes.len()),
        )
    });
    html!(
        r"<pre>{shown}</pre>{rest}",
        shown = String::from_utf8_lossy(shown).into_owned(),
        rest = rest
    )
}

pub(super) fn missing() -> Html {
    let body = html!(
        r#"<main><p class="back"><a href="/">← Inbox</a></p><h1>Not here</h1><p>There is no such mail, or no longer: the inbox keeps the newest and forgets all when it stops.</p></main>"#
    );
    document("Not here", &Html::default(), &body)
}

fn document(title: &str, head: &Html, body: &Html) -> Html {
    html!(
        r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/style.css"><script src="/live.js" defer></script>{head}</head>
<body>
{body}
</body>
</html>
"#,
        title = title,
        head = head,
        body = body,
    )
}

fn table<'a>(rows: impl IntoIterator<Item = (&'a str, Html)>) -> Html {
    let rows = rows.into_iter().map(|(name, value)| {
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

fn subject(subject: &str) -> Html {
    match subject {
        "" => html!("<em>No subject</em>"),
        subject => html!("{subject}", subject = subject),
    }
}

fn files(count: usize) -> Option<Html> {
    let plural = if count == 1 { "" } else { "s" };
    (count > 0).then(|| {
        html!(
            r#" <small class="clip">{count} file{plural}</small>"#,
            count = count,
            plural = plural
        )
    })
}

/// A moment in RFC 3339; `live.js` turns it into the reader's own time.
pub(super) fn time(seconds: i64) -> String {
    DateTime::from_timestamp(seconds).to_rfc3339()
}

fn time_element(seconds: i64) -> Html {
    let time = time(seconds);
    let readable = time.replace('T', " ").replace('Z', " UTC");
    html!(
        r#"<time datetime="{time}">{readable}</time>"#,
        time = time,
        readable = readable
    )
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}
