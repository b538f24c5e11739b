//! What people see.

mod list;
mod message;

use mail_parser::DateTime;

use super::html::{Html, html};

pub(super) use list::list;
pub(super) use message::message;

pub(super) fn missing() -> Html {
    let body = html!(
        r#"<main><p class="back"><a href="/">← Inbox</a></p>
<h1>Not here</h1>
<p>There is no such mail, or no longer: the inbox keeps the newest and forgets all when it stops.</p></main>"#
    );
    document("Not here", &body)
}

fn document(title: &str, body: &Html) -> Html {
    html!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/style.css">
<script src="/live.js" defer></script>
</head>
<body>
{body}
</body>
</html>
"#,
        title = title,
        body = body
    )
}

fn subject(subject: &str) -> Html {
    match subject {
        "" => html!("<em>No subject</em>"),
        subject => html!("{subject}", subject = subject),
    }
}

/// A moment in RFC 3339.
pub(super) fn time(seconds: i64) -> String {
    DateTime::from_timestamp(seconds).to_rfc3339()
}

/// A moment; `live.js` turns it into the reader's own time.
fn time_element(seconds: i64) -> Html {
    let time = time(seconds);
    html!(
        r#"<time datetime="{time}">{readable}</time>"#,
        time = time,
        readable = time.replace('T', " ").replace('Z', " UTC")
    )
}
