//! A delivery as an RFC 5322 message.

use jiff::Timestamp;
use lettre::{
    Message,
    address::Envelope,
    message::{
        self, Body, Mailboxes, MessageBuilder, MultiPart, SinglePart,
        header::{self, ContentTransferEncoding, HeaderName, HeaderValue},
    },
};

use super::{attachment::Attachment, delivery::Delivery, letter::Letter, mailbox::Mailbox};

const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");
const ORIGINAL_TO: HeaderName = HeaderName::new_from_ascii_str("X-Original-To");

/// The envelope and the message of a delivery; `redirect_to` gets it in place of its recipient.
///
/// # Errors
///
/// The delivery is none that [`Letter::new`] would have let through.
pub(super) fn message(
    delivery: &Delivery,
    redirect_to: Option<&Mailbox>,
) -> Result<(Envelope, Vec<u8>), String> {
    let letter = &delivery.letter;
    let recipient = redirect_to.unwrap_or(&delivery.recipient);
    let envelope = Envelope::new(Some(letter.from.address()), vec![recipient.address()])
        .map_err(|error| error.to_string())?;
    let date: Timestamp = letter
        .date
        .parse()
        .map_err(|error| format!("`{}` is not a date: {error}", letter.date))?;
    let builder = Message::builder()
        .envelope(envelope.clone())
        .date(date.into())
        .message_id(Some(letter.message_id.to_string()))
        .from(letter.from.to_header())
        .subject(&letter.subject)
        // Auto-responders, such as out-of-office replies, do not answer such mails (RFC 3834).
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".into()));
    let builder = addressed(builder, delivery, redirect_to);
    let message = with_content(builder, letter)?;
    Ok((envelope, message.formatted()))
}

/// The headers that name people.
fn addressed(
    mut builder: MessageBuilder,
    delivery: &Delivery,
    redirect_to: Option<&Mailbox>,
) -> MessageBuilder {
    let letter = &delivery.letter;
    if let Some(redirect_to) = redirect_to {
        let original = delivery.recipient.email().to_owned();
        builder = builder
            .to(redirect_to.to_header())
            .raw_header(HeaderValue::new(ORIGINAL_TO, original));
    } else {
        if !letter.to.is_empty() {
            builder = builder.mailbox(header::To::from(mailboxes(&letter.to)));
        }
        if !letter.cc.is_empty() {
            builder = builder.mailbox(header::Cc::from(mailboxes(&letter.cc)));
        }
    }
    if !letter.reply_to.is_empty() {
        builder = builder.mailbox(header::ReplyTo::from(mailboxes(&letter.reply_to)));
    }
    builder
}

fn mailboxes(mailboxes: &[Mailbox]) -> Mailboxes {
    mailboxes.iter().map(Mailbox::to_header).collect()
}

/// Ends the message with what is in it: text, HTML beside it, files after them.
fn with_content(builder: MessageBuilder, letter: &Letter) -> Result<Message, String> {
    let text = SinglePart::plain(letter.text.clone());
    let html = letter.html.clone().map(SinglePart::html);
    let alternatives = html.map(|html| {
        let alternatives = MultiPart::alternative().singlepart(text.clone());
        alternatives.singlepart(html)
    });
    let built = if letter.attachments.is_empty() {
        match alternatives {
            Some(alternatives) => builder.multipart(alternatives),
            None => builder.singlepart(text),
        }
    } else {
        let mixed = MultiPart::mixed();
        let mut mixed = match alternatives {
            Some(alternatives) => mixed.multipart(alternatives),
            None => mixed.singlepart(text),
        };
        for file in &letter.attachments {
            mixed = mixed.singlepart(attached(file)?);
        }
        builder.multipart(mixed)
    };
    built.map_err(|error| error.to_string())
}

/// An attachment, always as base64: other encodings may change the line ends of a text.
fn attached(file: &Attachment) -> Result<SinglePart, String> {
    let body = Body::new_with_encoding(file.content().to_vec(), ContentTransferEncoding::Base64)
        .map_err(|_| format!("the attachment `{}` cannot be encoded", file.name()))?;
    Ok(message::Attachment::new(file.name().to_owned()).body(body, file.mime()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::rendered::Rendered;

    fn rendered() -> Rendered {
        Rendered::new("Note", "Größe 7", "Hällo\n.\n")
            .with_to(&"Jürgen, \"J\" <a@example.org>".to_owned())
            .with_cc(&"c@example.org".to_owned())
            .with_bcc(&"hidden@example.org".to_owned())
            .with_reply_to(&"help@shop.example".to_owned())
    }

    fn sent(mail: Rendered, copy: usize, redirect_to: Option<&str>) -> (Envelope, String) {
        let from = "Shop <shop@shop.example>".parse().unwrap();
        let (letter, recipients) = Letter::new(mail, &from).unwrap();
        let delivery = Delivery::new(letter, recipients[copy].clone());
        let redirect_to = redirect_to.map(|to| to.parse().unwrap());
        let (envelope, bytes) = message(&delivery, redirect_to.as_ref()).unwrap();
        (envelope, String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn every_header_stands_in_its_line() {
        let (envelope, text) = sent(rendered(), 0, None);
        for line in [
            "From: Shop <shop@shop.example>\r\n",
            "Cc: c@example.org\r\n",
            "Reply-To: help@shop.example\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "@shop.example>\r\n",
            "<a@example.org>\r\n",
            "Subject: =?utf-8?b?",
            "Date: ",
        ] {
            assert!(text.contains(line), "{line:?} is missing in\n{text}");
        }
        assert!(text.is_ascii(), "{text}");
        assert!(!text.contains("hidden"), "{text}");
        assert_eq!(envelope.to()[0].to_string(), "a@example.org");
    }

    #[test]
    fn who_gets_a_blind_copy_is_in_the_envelope_alone() {
        let (envelope, text) = sent(rendered(), 2, None);
        assert_eq!(envelope.to()[0].to_string(), "hidden@example.org");
        assert!(!text.contains("hidden"), "{text}");
    }

    #[test]
    fn a_redirected_mail_reaches_nobody_else() {
        let (envelope, text) = sent(rendered(), 2, Some("Staging <all@staging.example>"));
        assert_eq!(envelope.to()[0].to_string(), "all@staging.example");
        assert_eq!(envelope.to().len(), 1);
        assert!(
            text.contains("To: Staging <all@staging.example>\r\n"),
            "{text}"
        );
        assert!(
            text.contains("X-Original-To: hidden@example.org\r\n"),
            "{text}"
        );
        assert!(!text.contains("Cc:"), "{text}");
    }

    #[test]
    fn text_and_html_and_files_nest() {
        let file = super::Attachment::new("größe.pdf", "application/pdf", "%PDF");
        let mail = rendered().with_html("<p>Hi</p>".into()).unwrap();
        let (_, text) = sent(mail.with_attachments(&file), 0, None);
        let at = |part: &str| {
            text.find(part)
                .unwrap_or_else(|| panic!("no {part} in\n{text}"))
        };
        assert!(at("multipart/mixed") < at("multipart/alternative"));
        assert!(at("text/plain") < at("text/html"));
        assert!(at("text/html") < at("application/pdf"));
        assert!(text.contains("JVBERg=="), "{text}");
    }

    #[test]
    fn one_copy_is_like_the_other() {
        let from = "Shop <shop@shop.example>".parse().unwrap();
        let (letter, recipients) = Letter::new(rendered(), &from).unwrap();
        let copies: Vec<_> = recipients
            .into_iter()
            .map(|recipient| {
                message(&Delivery::new(letter.clone(), recipient), None)
                    .unwrap()
                    .1
            })
            .collect();
        assert_eq!(copies.len(), 3);
        assert!(copies.iter().all(|copy| *copy == copies[0]));
    }
}
