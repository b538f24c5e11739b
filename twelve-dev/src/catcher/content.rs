//! What a message says, taken out of its MIME parts.

use std::collections::HashMap;

use mail_parser::{HeaderName, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};

/// What is shown in place of no message at all.
const EMPTY: &[u8] = b"Subject:\r\n\r\n";

/// How many parts a message may have: more would take the parser, which recurses, to the end of its stack.
const PARTS: usize = 1000;

/// What a message of more parts says.
const TOO_DEEP: &str = "[This mail has more than 1000 parts, or a mail inside that is encoded, which MIME does not allow. Its headers and its source are shown, and nothing of its parts.]";

/// A message that was parsed as far as it can be; one that is no message at all is empty.
pub(super) struct Content<'a> {
    message: Message<'a>,
    is_too_deep: bool,
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
        let is_too_deep = may_be_too_deep(message);
        let parsed = if is_too_deep {
            parser.parse_headers(message)
        } else {
            parser.parse(message)
        };
        let parsed = parsed.or_else(|| parser.parse(EMPTY));
        Self {
            message: parsed.expect("the empty message can be parsed"),
            is_too_deep,
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
        if self.is_too_deep {
            return Some(TOO_DEEP.to_owned());
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

/// Would the parser, which recurses, come to the end of its stack?
///
/// Every level of nesting has a `Content-Type` of its own (RFC 2045 5), and the parser allows spaces anywhere in it.
/// Those of a mail inside that is encoded cannot be seen, and MIME allows no such mail (RFC 2046 5.2.1).
fn may_be_too_deep(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message).to_ascii_lowercase();
    let text = text.replace('\r', "");
    let has_digest = has_digest(&text);
    let mut types = 0;
    // Without a colon it is no header, but a long body.
    let blocks = text.split("\n\n").filter(|block| block.contains(':'));
    blocks.map(without_spaces).any(|block| {
        types += block.matches("content-type:").count();
        let is_mail = has_digest || block.contains("rfc822") || block.contains("global");
        let mut encodings = block.split("content-transfer-encoding:").skip(1);
        types > PARTS || is_mail && !encodings.all(is_plain)
    })
}

/// In a digest, a part is a mail unless it says otherwise (RFC 2046 5.1.5).
fn has_digest(text: &str) -> bool {
    text.contains("digest") && {
        let unfolded = text.replace("\n ", " ").replace("\n\t", " ");
        unfolded.lines().map(without_spaces).any(|line| {
            let value = line.split_once("content-type:");
            value.is_some_and(|(_, value)| value.contains("digest"))
        })
    }
}

fn without_spaces(text: &str) -> String {
    text.split_ascii_whitespace().collect()
}

/// Is what follows as it was before it was encoded?
fn is_plain(encoding: &str) -> bool {
    let names = ["7bit", "8bit", "binary"];
    names.iter().any(|name| encoding.starts_with(name))
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
            assert_ne!(content.text().as_deref(), Some(TOO_DEEP));
            let deeper = nested(64_000);
            let content = Content::parse(deeper.as_bytes());
            assert_eq!(content.subject(), "deep");
            assert_eq!(content.text().as_deref(), Some(TOO_DEEP));
            assert!(content.attachments().is_empty());
        };
        on_a_small_stack(look);
    }

    fn on_a_small_stack(look: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(look);
        thread.unwrap().join().unwrap();
    }

    /// However its headers are written, as far as the parser takes them.
    #[test]
    fn a_mail_whose_endless_parts_are_hidden_is_shown_by_its_headers() {
        // What cannot be seen before it is decoded: the `C` is encoded.
        let hidden = "=43ontent-Type: message/rfc822\r\n\r\n".repeat(64_000);
        let encoded = "Content-Transfer-Encoding: quoted-printable\r\n";
        let with = |headers: &str| format!("Subject: deep\r\n{headers}\r\n{hidden}text\r\n");
        let digest = |media: &str| {
            let parts = format!("Content-Type: {media}; boundary=x\r\n\r\n--x\r\n{encoded}");
            with(&parts) + "--x--\r\n"
        };
        let mails = [
            with(&format!("Content-Type: message/rfc822\r\n{encoded}")),
            with(&format!("{encoded}content-type:\r\n\tMessage/Global\r\n")),
            with(
                "CONTENT-TYPE : message/rfc822\r\n X: y\r\nContent-transfer-encoding : =?utf-8?q?Quoted-Printable?=\r\n",
            ),
            digest("multipart/digest"),
            digest("multipart/(c)Digest"),
            format!(
                "Subject: deep\r\n{}",
                "C ontent-Type: message/rfc822\r\n\r\n".repeat(64_000)
            ),
            format!(
                "Subject: deep\r\nContent-Type: message/rfc822\r\n\r\n{}",
                "\tContent-Type : message/rfc822\n\r\n".repeat(64_000)
            ),
        ];
        on_a_small_stack(move || {
            for mail in mails {
                let content = Content::parse(mail.as_bytes());
                assert_eq!(content.subject(), "deep", "{}", &mail[..200]);
                assert_eq!(content.text().as_deref(), Some(TOO_DEEP));
            }
        });
    }

    #[test]
    fn a_mail_inside_a_mail_is_shown_with_it() {
        let encoded = "Content-Transfer-Encoding: quoted-printable\r\n";
        let mail = format!(
            "Content-Type: multipart/mixed; boundary=x\r\n\r\n\
             --x\r\nContent-Type: text/plain\r\n{encoded}\r\n=41 mail\r\n\
             --x\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
             Subject: inner\r\n{encoded}\r\n=41n inner one\r\n--x--\r\n"
        );
        let content = Content::parse(mail.as_bytes());
        assert_eq!(content.text().as_deref().map(str::trim), Some("A mail"));
        assert_eq!(content.attachments().len(), 1);
    }
}
