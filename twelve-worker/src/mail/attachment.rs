//! Files that go with a mail.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::message::header::ContentType;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The longest name of a file, as most file systems have it.
const MAX_NAME_BYTES: usize = 255;

/// A file that goes with a mail.
///
/// ```
/// # use twelve_worker::mail::Attachment;
/// let invoice = Attachment::new("invoice.csv", "text/csv", "item,price\nlamp,20\n");
/// assert_eq!(invoice.content().len(), 19);
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    name: String,
    content_type: String,
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    content: Vec<u8>,
}

impl Attachment {
    /// A file of this name and MIME type; both are checked when the mail is delivered.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        content_type: impl Into<String>,
        content: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            name: name.into(),
            content_type: content_type.into(),
            content: content.into(),
        }
    }

    /// The name under which it is saved.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its MIME type.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// What is in it.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Checks what headers will be made of.
    pub(super) fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            let name = name.escape_debug();
            return Err(format!(
                "`{name}` is not a file name: write 1 to {MAX_NAME_BYTES} bytes without control characters"
            ));
        }
        self.mime().map(drop)
    }

    pub(super) fn mime(&self) -> Result<ContentType, String> {
        ContentType::parse(&self.content_type).map_err(|_| {
            let given = self.content_type.escape_debug();
            format!("`{given}` is not a MIME type, such as application/pdf")
        })
    }
}

fn to_base64<S: Serializer>(content: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(content))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(de::Error::custom)
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("name", &self.name)
            .field("content_type", &self.content_type)
            .field("bytes", &self.content.len())
            .finish()
    }
}

/// What a field marked `#[mail(attach)]` may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` holds no attachments",
    label = "expected `Attachment`, `Vec<Attachment>` or `Option<Attachment>`",
    note = "make one by `Attachment::new(\"invoice.pdf\", \"application/pdf\", bytes)`"
)]
pub trait Attachments {
    /// The attachments.
    fn attachments(&self) -> Vec<Attachment>;
}

impl Attachments for Attachment {
    fn attachments(&self) -> Vec<Attachment> {
        vec![self.clone()]
    }
}

impl Attachments for Option<Attachment> {
    fn attachments(&self) -> Vec<Attachment> {
        self.iter().cloned().collect()
    }
}

impl Attachments for Vec<Attachment> {
    fn attachments(&self) -> Vec<Attachment> {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_survives_its_way_through_the_queue() {
        let file = Attachment::new("größe.bin", "application/octet-stream", [0, 255, 10]);
        let json = serde_json::to_string(&file).unwrap();
        assert!(json.contains(r#""content":"AP8K""#), "{json}");
        assert_eq!(serde_json::from_str::<Attachment>(&json).unwrap(), file);
    }

    #[test]
    fn what_would_break_a_header_is_refused() {
        let check =
            |name: &str, content_type: &str| Attachment::new(name, content_type, "").check();
        assert_eq!(check("a b.pdf", "application/pdf"), Ok(()));
        assert!(check("a\r\nBcc: b", "text/plain").is_err());
        assert!(check("", "text/plain").is_err());
        assert!(check("a", "text").is_err());
        assert!(check("a", "text/plain\r\nBcc: b").is_err());
    }
}
