//! A checked mail with its `Message-ID`: the payload in the queue.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use twelve_core::Error;
use uuid::Uuid;

use super::{attachment::Attachment, mailbox::Mailbox, rendered::Rendered};

/// The most recipients of one mail. A longer list is a newsletter, whose readers must not see each other's addresses.
const MAX_RECIPIENTS: usize = 100;

/// The largest size of all attachments together. In base64 that is 3.7 MiB, of the 4 MiB that a payload may have.
const MAX_ATTACHED_BYTES: usize = (2 << 20) + (3 << 18);

/// The largest size of all copies of a mail together, since the copy of each recipient is stored.
const MAX_COPIED_BYTES: usize = 64 << 20;

/// A mail as it is sent, without its recipient.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Letter {
    /// The mail's name.
    pub mail: String,
    /// What all its copies share.
    pub message_id: MessageId,
    /// When it was delivered to the queue.
    pub date: String,
    /// Its sender.
    pub from: Mailbox,
    /// The header `To`.
    pub to: Vec<Mailbox>,
    /// The header `Cc`.
    #[serde(default)]
    pub cc: Vec<Mailbox>,
    /// The header `Reply-To`.
    #[serde(default)]
    pub reply_to: Vec<Mailbox>,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The HTML.
    #[serde(default)]
    pub html: Option<String>,
    /// The files.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
}

impl Letter {
    /// Checks a mail; returns it with its recipients, each once.
    ///
    /// # Errors
    ///
    /// An address is invalid, there is no recipient or there are too many, an attachment has an invalid name or type, or it is too large.
    pub fn new(mail: Rendered, from: &Mailbox) -> Result<(Self, Vec<Mailbox>), Error> {
        let name = mail.name;
        Self::checked(mail, from).map_err(|problem| {
            Error::internal(format!("the mail `{name}` cannot be delivered")).with_source(problem)
        })
    }

    fn checked(mail: Rendered, from: &Mailbox) -> Result<(Self, Vec<Mailbox>), String> {
        let from = match &mail.from {
            Some(own) => own.parse()?,
            None => from.clone(),
        };
        let [to, cc, bcc, reply_to] =
            [&mail.to, &mail.cc, &mail.bcc, &mail.reply_to].map(|addresses| {
                let parsed = addresses.iter().map(|address| address.parse());
                parsed.collect::<Result<Vec<Mailbox>, String>>()
            });
        let (to, cc, bcc, reply_to) = (to?, cc?, bcc?, reply_to?);
        let recipients = distinct(to.iter().chain(&cc).chain(&bcc));
        check_size(&mail, recipients.len())?;
        mail.attachments.iter().try_for_each(Attachment::check)?;
        let letter = Self {
            mail: mail.name.to_owned(),
            message_id: MessageId::new(&from),
            date: Timestamp::now().to_string(),
            from,
            to,
            cc,
            reply_to,
            subject: mail.subject,
            text: mail.text,
            html: mail.html,
            attachments: mail.attachments,
        };
        Ok((letter, recipients))
    }
}

fn distinct<'m>(mailboxes: impl Iterator<Item = &'m Mailbox>) -> Vec<Mailbox> {
    let mut distinct: Vec<Mailbox> = Vec::new();
    for mailbox in mailboxes {
        if !distinct
            .iter()
            .any(|known| known.email() == mailbox.email())
        {
            distinct.push(mailbox.clone());
        }
    }
    distinct
}

fn check_size(mail: &Rendered, recipients: usize) -> Result<(), String> {
    let files = mail.attachments.iter().map(|file| file.content().len());
    let attached: usize = files.sum();
    let bytes = attached + mail.text.len() + mail.html.as_ref().map_or(0, String::len);
    if recipients == 0 {
        return Err("it has no recipient".into());
    }
    if recipients > MAX_RECIPIENTS {
        return Err(format!(
            "it has {recipients} recipients, of which {MAX_RECIPIENTS} are allowed: deliver one mail to each"
        ));
    }
    if attached > MAX_ATTACHED_BYTES {
        return Err(format!(
            "its attachments have {attached} bytes, of which {MAX_ATTACHED_BYTES} are allowed: write a link instead"
        ));
    }
    if recipients * bytes > MAX_COPIED_BYTES {
        return Err(format!(
            "its {recipients} copies of {bytes} bytes are more than {MAX_COPIED_BYTES} bytes: write a link instead of an attachment"
        ));
    }
    Ok(())
}

/// The globally unique id of one mail (RFC 5322, section 3.6.4).
///
/// It is made when the mail is delivered to the queue, and is the same for all recipients and attempts, so that mail programs recognise a second copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    fn new(from: &Mailbox) -> Self {
        let address = from.address();
        Self(format!("<{}@{}>", Uuid::new_v4(), address.domain()))
    }

    /// The text of the header, with its angle brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twelve_core::chain;

    fn mail() -> Rendered {
        Rendered::new("Note", "Hi", "Hello\n").with_to(&"a@example.org".to_owned())
    }

    fn from() -> Mailbox {
        "Shop <shop@shop.example>".parse().unwrap()
    }

    fn refusal(mail: Rendered) -> String {
        chain(&Letter::new(mail, &from()).unwrap_err())
    }

    #[test]
    fn a_letter_has_the_sender_unless_it_brings_its_own() {
        let (letter, recipients) = Letter::new(mail(), &from()).unwrap();
        assert_eq!(letter.from, from());
        assert!(letter.message_id.as_str().ends_with("@shop.example>"));
        assert_eq!(recipients.len(), 1);
        let own = mail().with_from("Billing <billing@other.example>");
        let (letter, _) = Letter::new(own, &from()).unwrap();
        assert_eq!(letter.from.email(), "billing@other.example");
        assert!(letter.message_id.as_str().ends_with("@other.example>"));
    }

    #[test]
    fn everybody_gets_one_copy() {
        let others: Vec<String> = ["B <b@example.org>", "a@example.org"]
            .map(Into::into)
            .into();
        let mail = mail()
            .with_cc(&others)
            .with_bcc(&Some("b@example.org".to_owned()));
        let (letter, recipients) = Letter::new(mail, &from()).unwrap();
        let emails: Vec<_> = recipients.iter().map(Mailbox::email).collect();
        assert_eq!(emails, ["a@example.org", "b@example.org"]);
        let json = serde_json::to_value(&letter).unwrap();
        assert!(json.get("bcc").is_none(), "{json}");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_its_reason() {
        let no_one = Rendered::new("Note", "", "");
        assert_eq!(
            refusal(no_one),
            "the mail `Note` cannot be delivered: it has no recipient"
        );
        let wrong = mail().with_cc(&"nobody".to_owned());
        assert!(refusal(wrong).contains("`nobody` is not an address"));
        let split = mail().with_to(&"a@b.org\r\nBcc: c@d.org".to_owned());
        assert!(refusal(split).contains("holds a line break"));
        let crowd: Vec<_> = (0..101).map(|n| format!("{n}@example.org")).collect();
        assert!(refusal(mail().with_bcc(&crowd)).contains("102 recipients, of which 100"));
        let file = |bytes| Attachment::new("a", "text/plain", vec![b'a'; bytes]);
        let large = mail().with_attachments(&file(MAX_ATTACHED_BYTES + 1));
        assert!(refusal(large).contains("write a link instead"));
        let copies = mail()
            .with_attachments(&file(1 << 20))
            .with_bcc(&crowd[..99].to_vec());
        assert!(refusal(copies).contains("100 copies"));
        let unnamed = mail().with_attachments(&Attachment::new("", "text/plain", ""));
        assert!(refusal(unnamed).contains("is not a file name"));
    }

    #[test]
    fn the_largest_attachment_fits_into_a_job() {
        let file = Attachment::new("a", "text/plain", vec![b'a'; MAX_ATTACHED_BYTES]);
        let (letter, _) = Letter::new(mail().with_attachments(&file), &from()).unwrap();
        assert!(serde_json::to_string(&letter).unwrap().len() < (4 << 20) - (256 << 10));
    }
}
