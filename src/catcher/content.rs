//! What a message says, taken out of its MIME parts.

use mail_parser::{
    Address, HeaderName, Message, MessageParser, MessagePart, MimeHeaders as _, PartType,
};

use super::inbox::{Envelope, Summary};

/// A message that was parsed as far as it can be; one that is no message at all is empty.
pub(super) struct Content<'a>(Option<Message<'a>>);

/// A file, or an image that its HTML refers to.
pub(super) struct Attachment<'a> {
    /// Its place in the page, from 0.
    pub(super) number: usize,
    pub(super) name: String,
    /// Such as `image/png`.
    pub(super) media_type: String,
    /// What `cid:` refers to.
    id: Option<&'a str>,
    pub(super) bytes: &'a [u8],
}

impl<'a> Content<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Self {
        Self(MessageParser::default().parse(message))
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
        let subject = self.0.as_ref().and_then(Message::subject);
        subject.unwrap_or_default().trim().to_owned()
    }

    /// Such as `Jo <jo@example.com>, ann@example.com`.
    pub(super) fn addresses(&self, name: HeaderName<'static>) -> Option<String> {
        let addresses = self
            .0
            .as_ref()?
            .header(name)?
            .as_address()
            .map(Address::iter)?;
        let written: Vec<_> = addresses
            .map(|one| {
                let address = one.address.as_deref().unwrap_or_default();
                match one.name.as_deref() {
                    Some(name) => format!("{name} <{address}>"),
                    None => address.to_owned(),
                }
            })
            .collect();
        Some(written.join(", "))
    }

    /// As they were sent, but for folded lines.
    pub(super) fn headers(&self) -> Vec<(&str, String)> {
        let Some(message) = &self.0 else {
            return Vec::new();
        };
        let headers = message.headers().iter().map(|header| {
            let range = header.offset_start as usize..header.offset_end as usize;
            let value = message.raw_message.get(range).unwrap_or_default();
            let value = String::from_utf8_lossy(value).replace(['\r', '\n'], "");
            (header.name(), value.trim().to_owned())
        });
        headers.collect()
    }

    pub(super) fn text(&self) -> Option<String> {
        let parts = self.0.iter().flat_map(Message::text_bodies);
        join(parts.filter_map(|part| match &part.body {
            PartType::Text(text) => Some(text.as_ref()),
            _ => None,
        }))
    }

    /// Its images are found at `url_of`.
    pub(super) fn html(&self, url_of: impl Fn(&Attachment<'_>) -> String) -> Option<String> {
        let parts = self.0.iter().flat_map(Message::html_bodies);
        let html = join(parts.filter_map(|part| match &part.body {
            PartType::Html(html) => Some(html.as_ref()),
            _ => None,
        }))?;
        Some(
            self.attachments()
                .iter()
                .fold(html, |html, attachment| match attachment.id {
                    Some(id) => html.replace(&format!("cid:{id}"), &url_of(attachment)),
                    None => html,
                }),
        )
    }

    pub(super) fn attachments(&self) -> Vec<Attachment<'_>> {
        let parts = self.0.iter().flat_map(Message::attachments);
        parts
            .enumerate()
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
        id: part.content_id(),
        bytes: part.contents(),
    }
}

/// Several parts one after the other, as mail programs show them.
fn join<'a>(parts: impl Iterator<Item = &'a str>) -> Option<String> {
    let parts: Vec<_> = parts.collect();
    (!parts.is_empty()).then(|| parts.join("\n"))
}
