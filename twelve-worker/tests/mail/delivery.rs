//! What becomes of a mail whose server is there.

use crate::{
    fixture::{App, Note},
    server::{Act, SmtpServer},
};
use twelve_worker::State;

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";

#[tokio::test]
async fn several_mails_share_one_connection() {
    let server = SmtpServer::kind().await;
    let app = App::of(&server).await;
    for _ in 0..5 {
        app.deliver(&[ADA]).await;
    }
    let mailer = app.start();
    app.until_jobs(State::Done, 5).await;
    assert_eq!(server.received().len(), 5);
    assert_eq!(server.connections(), 1);
    mailer.stop().await;
    assert_eq!(server.heard().last().unwrap(), "QUIT");
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let server = SmtpServer::kind().await;
    let app = App::of(&server).await;
    let note = Note {
        bcc: vec!["hidden@example.org".to_owned()],
        ..Note::to(&["Jürgen, \"J\" <ada@example.org>"])
    };
    let id = app.mailer.deliver(note).await.unwrap();
    let mailer = app.start();
    app.until_jobs(State::Done, 2).await;
    mailer.stop().await;
    let received = server.received();
    let envelopes: Vec<_> = received.iter().map(|mail| &*mail.to).collect();
    assert_eq!(envelopes, [ADA, "hidden@example.org"]);
    for mail in &received {
        assert_eq!(mail.header("Message-ID"), Some(id.as_str()));
        assert_eq!(mail.header("From"), Some("Shop <shop@shop.example>"));
        assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated"));
        assert_eq!(mail.header("Date"), received[0].header("Date"));
        assert!(!mail.message.contains("hidden"), "{}", mail.message);
        // base64 of the attachment, whose line ends are the author's.
        assert!(mail.message.contains("b25lCnR3bw0K"), "{}", mail.message);
        assert!(
            mail.message.contains("\r\n.\r\n..\r\nend\r\n"),
            "{}",
            mail.message
        );
    }
    assert!(server.heard()[1].starts_with("EHLO "));
}

#[tokio::test]
async fn a_mail_that_is_put_off_is_the_same_mail_again() {
    let server = SmtpServer::scripted(|command, before| {
        (command == "." && before == 0).then_some(Act::Say("451 4.3.0 try later"))
    })
    .await;
    let app = App::of(&server).await;
    app.deliver(&[ADA]).await;
    let mailer = app.start();
    let job = app.until_put_off().await;
    assert_eq!(job.summary.attempts, 1);
    assert_eq!(job.errors[0].message, "451 4.3.0 try later");
    app.retry(job.summary.id).await;
    app.until_jobs(State::Done, 1).await;
    mailer.stop().await;
    let received = server.received();
    assert_eq!(received.len(), 2);
    for name in ["Message-ID", "Date", "To", "Subject"] {
        assert!(received[0].header(name).is_some());
        assert_eq!(received[0].header(name), received[1].header(name));
    }
    assert_eq!(server.connections(), 1, "a refusal costs no connection");
}

#[tokio::test]
async fn a_refused_recipient_fails_at_once_and_alone() {
    let server = SmtpServer::scripted(|command, before| {
        (command == format!("RCPT {BOB}") && before == 0)
            .then_some(Act::Say("550 5.1.1 no such user"))
    })
    .await;
    let app = App::of(&server).await;
    let id = app.deliver(&[ADA, BOB, "cyd@example.org"]).await;
    let mailer = app.start();
    let [failed] = &app.until_jobs(State::Failed, 1).await[..] else {
        unreachable!()
    };
    app.until_jobs(State::Done, 2).await;
    assert_eq!(failed.summary.attempts, 1);
    assert_eq!(
        failed.summary.last_error.as_deref(),
        Some("550 5.1.1 no such user")
    );
    let to: Vec<_> = server.received().into_iter().map(|mail| mail.to).collect();
    assert_eq!(to, [ADA, "cyd@example.org"]);

    // Somebody has mended the mailbox.
    app.retry(failed.summary.id).await;
    app.until_jobs(State::Done, 3).await;
    mailer.stop().await;
    let last = server.received().pop().unwrap();
    assert_eq!(
        (&*last.to, last.header("Message-ID")),
        (BOB, Some(id.as_str()))
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_redirected_mail_reaches_nobody_else() {
    let server = SmtpServer::kind().await;
    let redirect = [("TWELVE_MAIL_REDIRECT_TO", "Staging <all@staging.example>")];
    let app = App::new(&server.url(), &redirect).await;
    app.deliver(&[ADA, BOB]).await;
    let mailer = app.start();
    app.until_jobs(State::Done, 2).await;
    mailer.stop().await;
    let mut originals = Vec::new();
    for mail in server.received() {
        assert_eq!(mail.to, "all@staging.example");
        assert_eq!(mail.header("To"), Some("Staging <all@staging.example>"));
        originals.extend(mail.header("X-Original-To").map(str::to_owned));
    }
    originals.sort();
    assert_eq!(originals, [ADA, BOB]);
    assert!(server.heard().iter().all(|it| !it.contains(ADA)));
}

#[tokio::test]
async fn a_mail_in_a_transaction_is_delivered_by_its_commit() {
    let server = SmtpServer::kind().await;
    let app = App::of(&server).await;
    let mut lost = app.tx();
    app.mailer
        .deliver_in(&mut lost, Note::to(&[BOB]))
        .await
        .unwrap();
    drop(lost);
    let refused = app.mailer.deliver(Note::to(&[BOB, "nobody"])).await;
    assert!(refused.is_err());
    assert_eq!(app.jobs(State::Waiting).await.len(), 0);
    app.deliver(&[ADA]).await;
    assert_eq!(app.jobs(State::Waiting).await.len(), 1);
}
