//! What a message says, taken out of its MIME parts.

use std::cmp::Reverse;

use mail_parser::{HeaderName, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};

use super::inbox::{Envelope, Summary};

/// What is shown in place of no message at all.
const EMPTY: &[u8] = b"Subject:\r\n\r\n";

/// A message that was parsed as far as it can be; one that is no message at all is empty.
pub(super) struct Content<'a>(Message<'a>);

/// A file, or an image that its HTML refers to.
pub(super) struct Attachment<'a> {
    /// Its place in the page, from 0.
    pub(super) number: usize,
    pub(super) name: String,
    /// Such as `image/png`.
    pub(super) media_type: String,
    /// What `cid:` refers to, or nothing.
    id: &'a str,
    pub(super) bytes: &'a [u8],
}

impl<'a> Content<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Self {
        let parser = MessageParser::default();
        let parsed = parser.parse(message).or_else(|| parser.parse(EMPTY));
        Self(parsed.expect("the empty message can be parsed"))
    }

    pub(super) fn summary(&self, envelope: &Envelope) -> Summary {
        let [from, to] = [HeaderName::From, HeaderName::To].map(|name| self.addresses(name));
        Summary {
            subject: self.subject(),
            from: from.unwrap_or_else(|| envelope.from.clone()),
            to: to.unwrap_or_else(|| envelope.to.join(", ")),
            attachments: self.attachments().len(),
        }
    }

    pub(super) fn subject(&self) -> String {
        self.0.subject().unwrap_or_default().trim().to_owned()
    }

    /// Such as `Jo <jo@example.com>, ann@example.com`.
    pub(super) fn addresses(&self, name: HeaderName<'static>) -> Option<String> {
        let written = self.0.header(name)?.as_address()?.iter().map(|one| {
            let address = one.address.as_deref().unwrap_or_default();
            match one.name.as_deref() {
                Some(name) => format!("{name} <{address}>"),
                None => address.to_owned(),
            }
        });
        Some(written.collect::<Vec<_>>().join(", "))
    }

    /// As they were sent, but for folded lines.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.headers().iter().map(|header| {
            let range = header.offset_start as usize..header.offset_end as usize;
            let value = self.0.raw_message.get(range).unwrap_or_default();
            let value = String::from_utf8_lossy(value).replace(['\r', '\n'], "");
            (header.name(), value.trim().to_owned())
        })
    }

    pub(super) fn text(&self) -> Option<String> {
        join(self.0.text_bodies().filter_map(|part| match &part.body {
            PartType::Text(text) => Some(text.as_ref()),
            _ => None,
        }))
    }

    pub(super) fn has_html(&self) -> bool {
        self.0.html_bodies().any(MessagePart::is_text_html)
    }

    /// Its images are found at `url_of`.
    pub(super) fn html(&self, url_of: impl Fn(&Attachment<'_>) -> String) -> Option<String> {
        let html = join(self.0.html_bodies().filter_map(|part| match &part.body {
            PartType::Html(html) => Some(html.as_ref()),
            _ => None,
        }))?;
        let mut images = self.attachments();
        images.retain(|image| !image.id.is_empty());
        // An id may begin with another.
        images.sort_by_key(|image| Reverse(image.id.len()));
        Some(images.iter().fold(html, |html, image| {
            html.replace(&format!("cid:{}", image.id), &url_of(image))
        }))
    }

    pub(super) fn attachments(&self) -> Vec<Attachment<'_>> {
        let parts = self.0.attachments().enumerate();
        parts
            .map(|(number, part)| attachment(number, part))
            .collect()
    }
}

fn attachment<'a>(number: usize, part: &'a MessagePart<'a>) -> Attachment<'a> {
    let media_type = part.content_type().map_or_else(
        || "application/octet-stream".to_owned(),
        |media| format!("{}/{}", media.ctype(), media.subtype().unwrap_or("plain")),
    );
    Attachment {
        number,
        name: part.attachment_name().unwrap_or("unnamed").to_owned(),
        media_type: media_type.to_ascii_lowercase(),
        id: part.content_id().unwrap_or_default(),
        bytes: part.contents(),
    }
}

/// Several parts one after the other, as mail programs show them.
fn join<'a>(parts: impl Iterator<Item = &'a str>) -> Option<String> {
    let parts: Vec<_> = parts.collect();
    (!parts.is_empty()).then(|| parts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_their_whole_id() {
        let image =
            |id| format!("--x\r\nContent-Type: image/png\r\nContent-ID: <{id}>\r\n\r\npng\r\n");
        let message = format!(
            "Content-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n\
             cid:a cid:ab cid: cid:c\r\n{}{}{}--x--\r\n",
            image("a"),
            image("ab"),
            image("")
        );
        let content = Content::parse(message.as_bytes());
        let html = content.html(|image| image.number.to_string()).unwrap();
        assert_eq!(html.trim_end(), "0 1 cid: cid:c");
    }
}
