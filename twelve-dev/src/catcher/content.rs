//! What a message says, taken out of its MIME parts.

use std::collections::HashMap;

use mail_parser::{HeaderName, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};

/// What is shown in place of no message at all.
const EMPTY: &[u8] = b"Subject:\r\n\r\n";

/// How many parts a message may have: more would take the parser, which recurses, to the end of its stack.
const PARTS: usize = 1000;

/// What a message of more parts says.
const TOO_MANY: &str = "[This mail has more than 1000 parts. Its headers and its source are shown, and nothing of its parts.]";

/// A message that was parsed as far as it can be; one that is no message at all is empty.
pub(super) struct Content<'a> {
    message: Message<'a>,
    has_too_many_parts: bool,
}

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
        let has_too_many_parts = has_too_many_parts(message);
        let parsed = if has_too_many_parts {
            parser.parse_headers(message)
        } else {
            parser.parse(message)
        };
        let parsed = parsed.or_else(|| parser.parse(EMPTY));
        Self {
            message: parsed.expect("the empty message can be parsed"),
            has_too_many_parts,
        }
    }

    pub(super) fn subject(&self) -> String {
        self.message.subject().unwrap_or_default().trim().to_owned()
    }

    /// Such as `Jo <jo@example.com>, ann@example.com`.
    pub(super) fn addresses(&self, name: HeaderName<'static>) -> Option<String> {
        let written = self.message.header(name)?.as_address()?.iter().map(|one| {
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
        self.message.headers().iter().map(|header| {
            let range = header.offset_start as usize..header.offset_end as usize;
            let value = self.message.raw_message.get(range).unwrap_or_default();
            let value = String::from_utf8_lossy(value).replace(['\r', '\n'], "");
            (header.name(), value.trim().to_owned())
        })
    }

    pub(super) fn text(&self) -> Option<String> {
        if self.has_too_many_parts {
            return Some(TOO_MANY.to_owned());
        }
        join(
            self.message
                .text_bodies()
                .filter_map(|part| match &part.body {
                    PartType::Text(text) => Some(text.as_ref()),
                    _ => None,
                }),
        )
    }

    pub(super) fn has_html(&self) -> bool {
        self.message.html_bodies().any(MessagePart::is_text_html)
    }

    /// Its images are found at `url_of`.
    pub(super) fn html(&self, url_of: impl Fn(&Attachment<'_>) -> String) -> Option<String> {
        let html = join(
            self.message
                .html_bodies()
                .filter_map(|part| match &part.body {
                    PartType::Html(html) => Some(html.as_ref()),
                    _ => None,
                }),
        )?;
        let images = self.attachments();
        let images = images.iter().filter(|image| !image.id.is_empty());
        let urls: HashMap<_, _> = images.map(|image| (image.id, url_of(image))).collect();
        Some(with_images(&html, &urls))
    }

    pub(super) fn attachments(&self) -> Vec<Attachment<'_>> {
        let parts = self.message.attachments().enumerate();
        parts
            .map(|(number, part)| attachment(number, part))
            .collect()
    }
}

/// Every part that is not plain text has such a header, and so has every level of nesting (RFC 2045 5).
fn has_too_many_parts(message: &[u8]) -> bool {
    const HEADER: &[u8] = b"content-type";
    let is_header = |line: &&[u8]| {
        line.get(..HEADER.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(HEADER))
    };
    let lines = message.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines.filter(is_header).nth(PARTS).is_some()
}

/// The markup with the URLs of its images in the place of `cid:` and their ids (RFC 2392).
fn with_images(html: &str, urls: &HashMap<&str, String>) -> String {
    let ends = |character: char| character.is_whitespace() || "\"'<>()".contains(character);
    let mut pieces = html.split("cid:");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (id, _) = piece.split_at(piece.find(ends).unwrap_or(piece.len()));
        match urls.get(id) {
            Some(url) => text.extend([url, &piece[id.len()..]]),
            None => text.extend(["cid:", piece]),
        }
    }
    text
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

    #[test]
    fn many_images_cost_no_more_than_their_markup() {
        let image =
            |id| format!("--x\r\nContent-Type: image/png\r\nContent-ID: <{id}>\r\n\r\n{id}\r\n");
        let markup = (0..20_000).map(|place| {
            let id = place % 900;
            format!("<img src=\"cid:{id}@shop\" alt=\"{:64}\">", "")
        });
        let markup: Vec<_> = markup.collect();
        let markup = markup.concat();
        let images: Vec<_> = (0..900).map(|id| image(format!("{id}@shop"))).collect();
        let images = images.concat();
        let message = format!(
            "Content-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n\
             {markup}\r\n{images}--x--\r\n"
        );
        let content = Content::parse(message.as_bytes());
        let html = content.html(|image| format!("/{}", image.number)).unwrap();
        assert_eq!(html.matches("<img src=\"/").count(), 20_000);
        assert!(html.contains("<img src=\"/899\""));
    }

    /// On the stack of a thread of tokio's, which is as large as this.
    #[test]
    fn a_mail_of_endless_parts_is_shown_by_its_headers() {
        let nested = |levels| {
            let one = "Content-Type: message/rfc822\r\n\r\n";
            format!("Subject: deep\r\n{}text\r\n", one.repeat(levels))
        };
        let look = move || {
            let deep = nested(PARTS);
            let content = Content::parse(deep.as_bytes());
            assert_eq!(content.subject(), "deep");
            assert_ne!(content.text().as_deref(), Some(TOO_MANY));
            let deeper = nested(64_000);
            let content = Content::parse(deeper.as_bytes());
            assert_eq!(content.subject(), "deep");
            assert_eq!(content.text().as_deref(), Some(TOO_MANY));
            assert!(content.attachments().is_empty());
        };
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(look);
        thread.unwrap().join().unwrap();
    }
}
