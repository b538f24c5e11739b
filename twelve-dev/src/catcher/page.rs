//! The routes of the page, for people and for scripts.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    content::{Attachment, Content},
    download::download,
    guard,
    inbox::{Inbox, Mail},
    message::Message,
    preview::{Preview, Previews},
    views,
};

/// How long a request waits for a change at most: a long poll.
const LONG_POLL: Duration = Duration::from_secs(25);

/// What the page shows.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) smtp_url: String,
    pub(super) inbox: Arc<Inbox>,
    pub(super) previews: Previews,
}

pub(super) fn router(page: Page) -> Router {
    let file = |media_type: &'static str, content: &'static str| {
        get(([(header::CONTENT_TYPE, media_type)], content))
    };
    Router::new()
        .route("/", get(index))
        .route("/empty", post(empty))
        .route("/mails.json", get(mails))
        .route("/style.css", file("text/css", include_str!("style.css")))
        .route("/live.js", file("text/javascript", include_str!("live.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("icon.svg")))
        .route("/{folder}/{id}", get(show))
        .route("/{folder}/{id}/html", get(document))
        .route("/{folder}/{id}/source", get(source))
        .route("/{folder}/{id}/attachments/{number}", get(attachment))
        .fallback(async || Missing)
        .layer(middleware::from_fn(guard::guard))
        .with_state(page)
}

/// Wait until the inbox has another version than this.
#[derive(Deserialize)]
struct After {
    after: Option<u64>,
}

async fn index(State(page): State<Page>, Query(After { after }): Query<After>) -> Response {
    if let Some(version) = after {
        page.inbox.changed(version, LONG_POLL).await;
    }
    let (version, mails) = page.inbox.list();
    views::page(&views::List {
        smtp_url: &page.smtp_url,
        version,
        mails: &mails,
        previews: &page.previews(None).await,
    })
}

async fn empty(State(page): State<Page>) -> Redirect {
    page.inbox.empty();
    Redirect::to("/")
}

async fn mails(State(page): State<Page>) -> Json<Vec<Value>> {
    let (_, mails) = page.inbox.list();
    Json(mails.iter().map(|mail| summary(mail)).collect())
}

/// Which part of a message a person looks at.
#[derive(Deserialize)]
struct Look {
    part: Option<String>,
}

async fn show(
    State(page): State<Page>,
    Path((folder, id)): Path<(String, String)>,
    Query(Look { part }): Query<Look>,
) -> Result<Response, Missing> {
    let Some(id) = id.strip_suffix(".json") else {
        let message = page.find(&folder, &id).await?;
        return Ok(views::message(&message, part.as_deref()));
    };
    match page.find(&folder, id).await? {
        Message::Caught(mail) => Ok(Json(details(&mail)).into_response()),
        Message::Preview(_) => Err(Missing),
    }
}

/// The HTML of a message: a document of its own, framed by its page.
async fn document(
    State(page): State<Page>,
    Path((folder, id)): Path<(String, String)>,
) -> Result<Response, Missing> {
    let message = page.find(&folder, &id).await?;
    let url_of = |attachment: &Attachment<'_>| message.url_of(attachment);
    let html = Content::parse(message.bytes())
        .html(url_of)
        .ok_or(Missing)?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, guard::MAIL),
    ];
    Ok((headers, open_links_in_tabs(html)).into_response())
}

/// The whole message as a file that mail programs open.
async fn source(
    State(page): State<Page>,
    Path((folder, id)): Path<(String, String)>,
) -> Result<Response, Missing> {
    let message = page.find(&folder, &id).await?;
    let bytes = message.bytes().to_vec();
    Ok(download(&format!("{id}.eml"), "message/rfc822", bytes))
}

async fn attachment(
    State(page): State<Page>,
    Path((folder, id, number)): Path<(String, String, usize)>,
) -> Result<Response, Missing> {
    let message = page.find(&folder, &id).await?;
    let content = Content::parse(message.bytes());
    let attachments = content.attachments();
    let found = attachments.get(number).ok_or(Missing)?;
    Ok(download(
        &found.name,
        &found.media_type,
        found.bytes.to_vec(),
    ))
}

/// There is no such page, or no longer.
struct Missing;

impl IntoResponse for Missing {
    fn into_response(self) -> Response {
        (StatusCode::NOT_FOUND, views::page(&views::Missing)).into_response()
    }
}

impl Page {
    /// All previews, or the one of this name. The app's own code runs here: it may block, and it may panic.
    async fn previews(&self, wanted: Option<String>) -> Vec<Result<Preview, String>> {
        let previews = self.previews.clone();
        let rendered = tokio::task::spawn_blocking(move || previews(wanted.as_deref())).await;
        rendered.unwrap_or_else(|_| vec![Err("the rendering of the previews panicked".to_owned())])
    }

    async fn find(&self, folder: &str, id: &str) -> Result<Message, Missing> {
        let found = match folder {
            "mails" => {
                let mail = id.parse().ok().and_then(|id| self.inbox.find(id));
                mail.map(Message::Caught)
            }
            "previews" => {
                let previews = self.previews(Some(id.to_owned())).await;
                let mut rendered = previews.into_iter().flatten();
                let preview = rendered.find(|preview| preview.name == id);
                preview.map(Message::Preview)
            }
            _ => None,
        };
        found.ok_or(Missing)
    }
}

fn summary(mail: &Mail) -> Value {
    json!({
        "id": mail.id,
        "received": mail.time().rfc3339(),
        "envelope": { "from": mail.envelope.from, "to": mail.envelope.to },
        "from": mail.summary.from,
        "to": mail.summary.to,
        "subject": mail.summary.subject,
        "size": mail.message.len(),
    })
}

fn details(mail: &Arc<Mail>) -> Value {
    let message = Message::Caught(mail.clone());
    let content = Content::parse(&mail.message);
    let url_of = |attachment: &Attachment<'_>| message.url_of(attachment);
    let attachments: Vec<_> = content
        .attachments()
        .iter()
        .map(|attachment| {
            json!({
                "name": attachment.name,
                "type": attachment.media_type,
                "size": attachment.bytes.len(),
                "url": url_of(attachment),
            })
        })
        .collect();
    let mut details = summary(mail);
    details["headers"] = json!(content.headers().collect::<Vec<_>>());
    details["text"] = json!(content.text());
    details["html"] = json!(content.html(url_of));
    details["attachments"] = json!(attachments);
    details
}

/// A link that opened within the frame would end at its borders.
///
/// The element goes behind the doctype, before which it would turn the browser's quirks on.
fn open_links_in_tabs(mut html: String) -> String {
    let lower = html.to_ascii_lowercase();
    let doctype = lower.find("<!doctype").and_then(|start| {
        let length = lower[start..].find('>')?;
        Some(start + length + 1)
    });
    html.insert_str(doctype.unwrap_or(0), "<base target=\"_blank\">");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doctype_stays_first() {
        for (html, expected) in [
            ("<p>", "<base target=\"_blank\"><p>"),
            (
                "<!-- x --><!DOCTYPE html><html>",
                "<!-- x --><!DOCTYPE html><base target=\"_blank\"><html>",
            ),
            ("<!doctype", "<base target=\"_blank\"><!doctype"),
        ] {
            assert_eq!(open_links_in_tabs(html.to_owned()), expected);
        }
    }
}
