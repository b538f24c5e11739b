//! The mails that the app under test has delivered to the queue.

use serde_json::Value;
use std::fmt;

use twelve_worker::{
    Admin, Filter, JobId,
    mail::{Attachment, Delivery, Letter, Mail, Mailbox, QUEUE},
};

use super::app::TestApp;

/// A mail that the app has delivered to the queue; whether it has been sent makes no difference.
///
/// ```no_run
/// # use twelve::{prelude::*, test::TestApp};
/// # struct Receipt;
/// # impl Mail for Receipt {
/// #     const NAME: &'static str = "Receipt";
/// #     fn render(&self) -> std::result::Result<twelve::__private::Rendered, twelve::Error> { unimplemented!() }
/// # }
/// # async fn a_test(app: TestApp) {
/// let receipt = app.assert_mail::<Receipt>("ada@example.org").await;
/// assert_eq!(receipt.subject(), "Your order 7");
/// app.get(&receipt.links()[0]).await.assert_status(200);
/// # }
/// ```
#[derive(Clone)]
pub struct TestMail {
    letter: Letter,
    recipients: Vec<Mailbox>,
}

impl TestMail {
    /// The mail's name: that of its type, unless it says otherwise.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.letter.mail
    }

    /// Its `Message-ID`, with angle brackets.
    #[must_use]
    pub fn message_id(&self) -> &str {
        self.letter.message_id.as_str()
    }

    /// Its sender, with the name.
    #[must_use]
    pub fn from(&self) -> String {
        self.letter.from.to_string()
    }

    /// Everybody who gets it, be it by `To`, `Cc` or `Bcc`: the addresses without names.
    #[must_use]
    pub fn to(&self) -> Vec<&str> {
        self.recipients.iter().map(Mailbox::email).collect()
    }

    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.letter.subject
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.letter.text
    }

    /// Its HTML, if it has any.
    #[must_use]
    pub fn html(&self) -> Option<&str> {
        self.letter.html.as_deref()
    }

    /// Its files.
    #[must_use]
    pub fn attachments(&self) -> &[Attachment] {
        &self.letter.attachments
    }

    /// Its links, each once: what `href` names in the HTML, then the URLs in the text.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        let hrefs = hrefs(self.html().unwrap_or_default());
        for link in hrefs.into_iter().chain(urls(self.text())) {
            if !links.contains(&link) {
                links.push(link);
            }
        }
        links
    }
}

impl fmt::Debug for TestMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestMail")
            .field("name", &self.name())
            .field("to", &self.to())
            .field("subject", &self.subject())
            .finish_non_exhaustive()
    }
}

/// The values of all `href` attributes.
fn hrefs(html: &str) -> Vec<String> {
    let values = html.split("href=").skip(1).filter_map(|rest| {
        let quote = rest.chars().next().filter(|it| matches!(it, '"' | '\''))?;
        rest.get(1..)?.split(quote).next()
    });
    // askama writes `&` as `&#38;`, people as `&amp;`.
    values
        .map(|value| value.replace("&amp;", "&").replace("&#38;", "&"))
        .collect()
}

/// The bare URLs, without the punctuation of the sentence around them.
fn urls(text: &str) -> impl Iterator<Item = String> {
    let ends = |letter: char| letter.is_whitespace() || matches!(letter, '<' | '>' | '"');
    text.split(ends).filter_map(|word| {
        let begin = word.find("https://").or_else(|| word.find("http://"))?;
        let url = word.get(begin..)?;
        Some(
            url.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\''])
                .to_owned(),
        )
    })
}

impl TestApp {
    /// Every mail that was delivered to the queue, in that order; one that goes to several people is one mail.
    ///
    /// # Panics
    ///
    /// Postgres cannot be reached.
    pub async fn mails(&self) -> Vec<TestMail> {
        let mut mails: Vec<TestMail> = Vec::new();
        for (_, payload) in self.deliveries().await {
            let delivery: Delivery = serde_json::from_value(payload).expect("a mail");
            let id = &delivery.letter.message_id;
            match mails.iter_mut().find(|mail| mail.letter.message_id == *id) {
                Some(known) => known.recipients.push(delivery.recipient),
                None => mails.push(TestMail {
                    letter: delivery.letter,
                    recipients: vec![delivery.recipient],
                }),
            }
        }
        mails
    }

    /// The newest mail of this kind to this address.
    ///
    /// # Panics
    ///
    /// There is none; the message tells which there are.
    pub async fn assert_mail<M: Mail>(&self, address: &str) -> TestMail {
        let mails = self.mails().await;
        let wanted = |mail: &&TestMail| mail.name() == M::NAME && mail.to().contains(&address);
        let found = mails.iter().rfind(wanted).cloned();
        found.unwrap_or_else(|| panic!("no mail `{}` to {address} among {mails:#?}", M::NAME))
    }

    async fn deliveries(&self) -> Vec<(JobId, Value)> {
        let jobs = Admin::of(self.context()).expect("the kit sets DATABASE_URL");
        let filter = Filter::new().kind(QUEUE).queue(QUEUE).limit(usize::MAX);
        let mut deliveries = Vec::new();
        for job in jobs.list(&filter).await.expect("jobs can be listed") {
            let job = jobs.show(job.id).await.expect("a job can be shown");
            deliveries.extend(job.and_then(|job| Some((job.summary.id, job.payload?))));
        }
        deliveries.sort_by_key(|(id, _)| *id);
        deliveries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{axum::extract::Path, prelude::*};

    #[derive(Mail)]
    #[mail(
        subject = "Order {{ number }}",
        text = "receipt.txt",
        html = "receipt.html"
    )]
    struct Receipt {
        #[mail(to)]
        email: Vec<String>,
        #[mail(bcc)]
        archive: String,
        number: u32,
        lines: [&'static str; 1],
        #[mail(attach)]
        invoice: Option<Attachment>,
    }

    #[derive(Serialize, Deserialize, Job)]
    #[job(kind = "bill")]
    struct Bill(u32);

    async fn order(Path(number): Path<u32>, mut tx: Tx, mailer: Mailer, jobs: Jobs) -> Result<()> {
        mailer.deliver_in(&mut tx, receipt(number)).await?;
        jobs.enqueue_in(&mut tx, Bill(number)).await?;
        if number == 0 {
            return Err(Failure::new("there is no order 0"));
        }
        Ok(())
    }

    async fn bill(job: Bill, mailer: Mailer) -> Result<()> {
        mailer.deliver(receipt(job.0 + 100)).await?;
        Ok(())
    }

    fn receipt(number: u32) -> Receipt {
        Receipt {
            email: vec!["Ada <ada@example.org>".into(), "bob@example.org".into()],
            archive: "archive@example.org".into(),
            number,
            lines: ["See https://shop.example/orders."],
            invoice: Some(Attachment::new("invoice.pdf", "application/pdf", "%PDF")),
        }
    }

    fn app() -> App {
        App::new("letters")
            .web(Router::new().route("/orders/{number}", post(order)))
            .job(bill)
    }

    #[twelve::test(app)]
    async fn mails_are_read_from_their_queue(app: TestApp) {
        app.post("/orders/0").await.assert_status(500);
        app.post("/orders/7").await.assert_status(200);
        let mail = app.assert_mail::<Receipt>("ada@example.org").await;
        assert_eq!(mail.subject(), "Order 7");
        assert_eq!(mail.from(), "Test <test@example.org>");
        assert_eq!(
            mail.to(),
            ["ada@example.org", "bob@example.org", "archive@example.org"]
        );
        assert!(mail.text().starts_with("Your order 7"));
        assert!(mail.html().is_some_and(|html| html.contains("<h1>")));
        assert_eq!(mail.links(), ["https://shop.example/orders"]);
        assert_eq!(mail.attachments()[0].content(), b"%PDF");

        let drained = app.drain_jobs().await;
        assert_eq!((drained.done, drained.attempts()), (1, 1));
        let subjects: Vec<_> = app
            .mails()
            .await
            .iter()
            .map(|it| it.subject().to_owned())
            .collect();
        assert_eq!(subjects, ["Order 7", "Order 107"]);
    }

    #[twelve::test(app)]
    #[should_panic(expected = "no mail `Receipt` to cyd@example.org among [")]
    async fn a_mail_that_is_missing_is_told_with_those_that_are_there(app: TestApp) {
        app.post("/orders/7").await.assert_status(200);
        app.assert_mail::<Receipt>("cyd@example.org").await;
    }

    #[test]
    fn links_are_found_in_html_and_in_text() {
        let html = r#"<a href="https://shop.example/?a=1&amp;b=2">x</a> <a href='/reset?a&#38;b'>"#;
        assert_eq!(hrefs(html), ["https://shop.example/?a=1&b=2", "/reset?a&b"]);
        let text = "See https://shop.example/7. Or (http://a.example), <https://b.example/x>!";
        let found: Vec<_> = urls(text).collect();
        assert_eq!(
            found,
            [
                "https://shop.example/7",
                "http://a.example",
                "https://b.example/x"
            ]
        );
    }
}
