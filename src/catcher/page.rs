//! The routes of the page, for people and for scripts.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderName, StatusCode, header},
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Preview, Previews,
    content::{Attachment, Content},
    guard,
    html::Html,
    inbox::{Inbox, Mail},
    views,
};

/// How long a request waits for a change at most.
const PATIENCE: Duration = Duration::from_secs(25);

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
        .route("/{room}/{id}", get(show))
        .route("/{room}/{id}/html", get(document))
        .route("/{room}/{id}/source", get(source))
        .route("/{room}/{id}/attachments/{number}", get(attachment))
        .fallback(async || Missing)
        .layer(middleware::from_fn(guard::guard))
        .with_state(page)
}

/// Wait until the inbox is another than this version of it.
#[derive(Deserialize)]
struct After {
    after: Option<u64>,
}

async fn index(State(page): State<Page>, Query(After { after }): Query<After>) -> Html {
    if let Some(version) = after {
        page.inbox.changed(version, PATIENCE).await;
    }
    let (version, mails) = page.inbox.list();
    views::index(&page.smtp_url, version, &mails, &page.previews().await)
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
    Path((room, id)): Path<(String, String)>,
    Query(Look { part }): Query<Look>,
) -> Result<Response, Missing> {
    let Some(id) = id.strip_suffix(".json") else {
        let message = page.find(&room, &id).await?;
        return Ok(views::message(&message, part.as_deref()).into_response());
    };
    match page.find(&room, id).await? {
        Message::Caught(mail) => Ok(Json(details(&mail)).into_response()),
        Message::Preview(_) => Err(Missing),
    }
}

/// The HTML of a message: a document of its own, framed by its page.
async fn document(
    State(page): State<Page>,
    Path((room, id)): Path<(String, String)>,
) -> Result<Response, Missing> {
    let message = page.find(&room, &id).await?;
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
    Path((room, id)): Path<(String, String)>,
) -> Result<Response, Missing> {
    let message = page.find(&room, &id).await?;
    let bytes = message.bytes().to_vec();
    Ok(download(&format!("{id}.eml"), "message/rfc822", bytes))
}

async fn attachment(
    State(page): State<Page>,
    Path((room, id, number)): Path<(String, String, usize)>,
) -> Result<Response, Missing> {
    let message = page.find(&room, &id).await?;
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
        (StatusCode::NOT_FOUND, views::missing()).into_response()
    }
}

/// A message that has a page.
pub(super) enum Message {
    Caught(Arc<Mail>),
    Preview(Preview),
}

impl Message {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Caught(mail) => &mail.message,
            Self::Preview(preview) => &preview.message,
        }
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Caught(mail) => format!("/mails/{}", mail.id),
            Self::Preview(preview) => preview_url(preview),
        }
    }

    pub(super) fn url_of(&self, attachment: &Attachment<'_>) -> String {
        format!("{}/attachments/{}", self.url(), attachment.number)
    }
}

pub(super) fn preview_url(preview: &Preview) -> String {
    format!("/previews/{}", percent_encoded(&preview.name))
}

impl Page {
    /// The app's own code runs here: it may block, and it may panic.
    async fn previews(&self) -> Vec<Result<Preview, String>> {
        let previews = self.previews.clone();
        let rendered = tokio::task::spawn_blocking(move || previews()).await;
        rendered.unwrap_or_else(|_| vec![Err("the rendering of the previews panicked".to_owned())])
    }

    async fn find(&self, room: &str, id: &str) -> Result<Message, Missing> {
        let found = match room {
            "mails" => {
                let mail = id.parse().ok().and_then(|id| self.inbox.find(id));
                mail.map(Message::Caught)
            }
            "previews" => {
                let mut previews = self.previews().await.into_iter().flatten();
                let preview = previews.find(|preview| preview.name == id);
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
        "received": views::time(mail.received),
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
    details["headers"] = json!(content.headers());
    details["text"] = json!(content.text());
    details["html"] = json!(content.html(url_of));
    details["attachments"] = json!(attachments);
    details
}

/// A file that a browser saves and never shows as a page, whatever it says it is; an image shows where a mail embeds it.
fn download(name: &str, media_type: &str, bytes: Vec<u8>) -> Response {
    let name = file_name(name);
    let plain = name.replace(|character: char| !character.is_ascii(), "_");
    let disposition = format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        percent_encoded(&name)
    );
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"/.+-_".contains(&byte);
    let media_type = match media_type {
        known if known.bytes().all(token) => known,
        _ => "application/octet-stream",
    };
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_DISPOSITION, &disposition),
        (header::CONTENT_SECURITY_POLICY, guard::FILE),
        // The sandbox of a mail's HTML is of no origin, so its images come from another.
        (guard::CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"),
    ];
    (headers, bytes).into_response()
}

/// A name that names a file here: no path, not hidden, not too long, nothing that a header or a shell would stumble over.
fn file_name(name: &str) -> String {
    let safe = |character: char| character.is_alphanumeric() || " .-_()+,@".contains(character);
    let name = name.replace(|character| !safe(character), "_");
    let name: String = name
        .trim_start_matches(['.', ' '])
        .chars()
        .take(100)
        .collect();
    if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name
    }
}

/// For one segment of a path, or an extended parameter of a header (RFC 8187).
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'-' | b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
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
    fn a_file_name_stays_in_its_directory() {
        for (name, safe) in [
            ("invoice.pdf", "invoice.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            (".bashrc", "bashrc"),
            ("a\"b\r\nc;d", "a_b__c_d"),
            ("Übersicht (1).pdf", "Übersicht (1).pdf"),
            ("", "unnamed"),
        ] {
            assert_eq!(file_name(name), safe);
        }
    }

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
