//! A mail with its templates rendered; nothing in it is checked yet.

use css_inline::CSSInliner;
use twelve_core::Error;

use super::{
    attachment::{Attachment, Attachments},
    mailbox::Addresses,
};

/// A rendered mail: `derive(Mail)` makes it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Rendered {
    /// The mail's name.
    pub name: &'static str,
    /// Its sender, if it does not leave that to `MAIL_FROM`.
    pub from: Option<String>,
    /// To whom it goes.
    pub to: Vec<String>,
    /// To whom else it goes.
    pub cc: Vec<String>,
    /// To whom it goes without the others' knowledge.
    pub bcc: Vec<String>,
    /// Who gets the answers.
    pub reply_to: Vec<String>,
    /// The subject, in one line.
    pub subject: String,
    /// The text, for people and filters that read no HTML.
    pub text: String,
    /// The HTML, with its style sheets inlined.
    pub html: Option<String>,
    /// The files that go with it.
    pub attachments: Vec<Attachment>,
}

impl Rendered {
    /// A mail of this name with a subject and a text.
    ///
    /// White space in the subject becomes single blanks: a line break would end its header, and templates often end with one.
    /// The text loses its last line breaks, since every message ends with one.
    #[must_use]
    pub fn new(name: &'static str, subject: &str, text: &str) -> Self {
        let is_gap = |letter: char| letter.is_whitespace() || letter.is_control();
        let words = subject.split(is_gap).filter(|word| !word.is_empty());
        Self {
            name,
            subject: words.collect::<Vec<_>>().join(" "),
            text: text.trim_end().to_owned(),
            ..Self::default()
        }
    }

    /// With HTML, whose `<style>` is written into the elements: many mail programs read it nowhere else.
    ///
    /// Media queries stay where they are; nothing is loaded, neither files nor URLs.
    ///
    /// # Errors
    ///
    /// The style sheet cannot be read.
    pub fn with_html(mut self, html: String) -> Result<Self, Error> {
        self.html = Some(if html.to_ascii_lowercase().contains("<style") {
            inline(&html).map_err(|error| {
                let message = format!("the style of the mail `{}` cannot be inlined", self.name);
                Error::internal(message).with_source(error)
            })?
        } else {
            html
        });
        Ok(self)
    }

    /// With a sender of its own.
    #[must_use]
    pub fn with_from(mut self, from: &str) -> Self {
        self.from = Some(from.to_owned());
        self
    }

    /// With more to whom it goes.
    #[must_use]
    pub fn with_to(mut self, to: &impl Addresses) -> Self {
        self.to.extend(to.addresses());
        self
    }

    /// With more to whom else it goes.
    #[must_use]
    pub fn with_cc(mut self, cc: &impl Addresses) -> Self {
        self.cc.extend(cc.addresses());
        self
    }

    /// With more to whom it goes without the others' knowledge.
    #[must_use]
    pub fn with_bcc(mut self, bcc: &impl Addresses) -> Self {
        self.bcc.extend(bcc.addresses());
        self
    }

    /// With more who get the answers.
    #[must_use]
    pub fn with_reply_to(mut self, reply_to: &impl Addresses) -> Self {
        self.reply_to.extend(reply_to.addresses());
        self
    }

    /// With more files.
    #[must_use]
    pub fn with_attachments(mut self, files: &impl Attachments) -> Self {
        self.attachments.extend(files.attachments());
        self
    }
}

fn inline(html: &str) -> Result<String, css_inline::InlineError> {
    CSSInliner::options()
        .load_remote_stylesheets(false)
        .keep_at_rules(true)
        .build()
        .inline(html)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(html: &str) -> String {
        let mail = Rendered::new("Note", "", "");
        mail.with_html(html.into()).unwrap().html.unwrap()
    }

    #[test]
    fn a_subject_is_one_line() {
        let subject = |text| Rendered::new("Note", text, "").subject;
        assert_eq!(
            subject("Order 7\r\nBcc: eve@example.org\n"),
            "Order 7 Bcc: eve@example.org"
        );
        assert_eq!(subject("  Größe\0 &\u{85}Gewicht "), "Größe & Gewicht");
    }

    #[test]
    fn styles_are_inlined_and_media_queries_kept() {
        let mail = html(
            "<html><head><style>p { color: red } @media print { p { color: black } }</style></head><body><p>Hi</p></body></html>",
        );
        assert!(mail.contains(r#"<p style="color: red;">"#), "{mail}");
        assert!(mail.contains("@media print"), "{mail}");
    }

    #[test]
    fn a_style_may_be_written_in_capitals() {
        let mail = html("<HTML><STYLE>p { color: red }</STYLE><P>Hi</P></HTML>");
        assert!(mail.contains(r#"<p style="color: red;">"#), "{mail}");
    }

    #[test]
    fn nothing_is_loaded_from_anywhere() {
        let mail = html(
            "<html><head><link rel='stylesheet' href='file:///etc/passwd'><link rel='stylesheet' href='http://192.0.2.1/a.css'><style>p{color:red}</style></head><body><p>Hi</p></body></html>",
        );
        assert!(!mail.contains("root:"), "{mail}");
    }

    #[test]
    fn html_without_a_style_sheet_is_left_as_it_is() {
        assert_eq!(html("<P>a<br>b"), "<P>a<br>b");
    }
}
