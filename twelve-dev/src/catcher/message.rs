//! What has a page.

use std::sync::Arc;

use super::{content::Attachment, inbox::Mail, preview::Preview};

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
            Self::Preview(preview) => preview.url(),
        }
    }

    pub(super) fn url_of(&self, attachment: &Attachment<'_>) -> String {
        format!("{}/attachments/{}", self.url(), attachment.number)
    }
}
