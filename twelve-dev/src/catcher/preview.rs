//! Registered mails with their example data.

use std::sync::Arc;

use super::{content::Content, download::percent_encoded};

/// How one registered mail looks.
#[derive(Debug)]
pub struct Preview {
    /// Its place in the page: `/previews/NAME`.
    pub name: String,
    /// The whole message as it would be sent, so that headers and attachments show too.
    pub message: Vec<u8>,
}

impl Preview {
    pub(super) fn url(&self) -> String {
        format!("/previews/{}", percent_encoded(&self.name))
    }

    pub(super) fn subject(&self) -> String {
        Content::parse(&self.message).subject()
    }
}

/// Renders every registered mail, or says why one cannot be; called for each look at the page, on a thread that may block.
pub type Previews = Arc<dyn Fn(Option<&str>) -> Vec<Result<Preview, String>> + Send + Sync>;
