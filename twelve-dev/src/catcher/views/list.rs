//! The first page: the inbox, and below it the previews.

use std::sync::Arc;

use super::{
    super::{content::Content, inbox::Mail, preview::Preview},
    Html, document, html, subject, time_element,
};

pub(in crate::catcher) fn list(
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
        r#"<noscript><meta http-equiv="refresh" content="5"></noscript>
<main id="live" data-version="{version}">
<header class="bar"><h1>Caught mail</h1><p>Everything the app sends to <code>{smtp_url}</code> ends here.</p></header>
{inbox}{previews}
<footer>
<p>To try failures, write to an address that begins with <code>bounce</code> (refused for good, 550) or <code>later</code> (refused for now, 451).</p>
<p>Scripts read <a href="/mails.json">mails.json</a>.</p>
</footer>
</main>"#,
        version = version.to_string(),
        smtp_url = smtp_url,
        inbox = inbox(mails),
        previews = previews_section(previews)
    );
    document(&title, &body)
}

fn inbox(mails: &[Arc<Mail>]) -> Html {
    if mails.is_empty() {
        return html!(
            r#"<section aria-labelledby="inbox">
<div class="heading"><h2 id="inbox">Inbox</h2></div>
<div class="empty"><img src="/icon.svg" alt="" width="56" height="56"><p><strong>No mail yet.</strong></p><p>The next one appears here by itself.</p></div>
</section>"#
        );
    }
    html!(
        r#"<section aria-labelledby="inbox">
<div class="heading"><h2 id="inbox">Inbox <span class="count">{count}</span></h2>
<form method="post" action="/empty"><button>Empty inbox</button></form></div>
<ol class="list" reversed>
{rows}</ol></section>"#,
        count = mails.len().to_string(),
        rows = mails.iter().map(|mail| row(mail)).collect::<Html>()
    )
}

fn row(mail: &Mail) -> Html {
    let files = match mail.summary.attachments {
        0 => Html::default(),
        1 => html!(r#" <small class="clip">1 file</small>"#),
        count => html!(
            r#" <small class="clip">{count} files</small>"#,
            count = count.to_string()
        ),
    };
    html!(
        r#"<li><a href="/mails/{id}"><span class="who">{from}</span><span class="what">{subject}{files}</span><span class="whom">to {to}</span>{received}</a></li>
"#,
        id = mail.id.to_string(),
        from = mail.summary.from,
        subject = subject(&mail.summary.subject),
        files = files,
        to = mail.summary.to,
        received = time_element(mail.received)
    )
}

fn previews_section(previews: &[Result<Preview, String>]) -> Html {
    if previews.is_empty() {
        return Html::default();
    }
    let rows = previews.iter().map(|preview| match preview {
        Ok(preview) => html!(
            r#"<li><a href="{url}"><span class="who">{name}</span><span class="what">{subject}</span></a></li>
"#,
            url = preview.url(),
            name = preview.name,
            subject = subject(&Content::parse(&preview.message).subject())
        ),
        Err(error) => html!(
            r#"<li class="fault"><strong>A preview failed</strong><pre>{error}</pre></li>
"#,
            error = error
        ),
    });
    html!(
        r#"<section aria-labelledby="previews">
<div class="heading"><h2 id="previews">Previews <span class="count">{count}</span></h2></div>
<ul class="list previews">
{rows}</ul></section>"#,
        count = previews.len().to_string(),
        rows = rows.collect::<Html>()
    )
}
