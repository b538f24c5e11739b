//! Encryption and credentials; the promises have a certificate that is trusted, which takes a process of its own.

use crate::{
    fixture::App,
    server::{Act, Offers, SmtpServer},
};
use twelve_worker::State;

const ADA: &str = "ada@example.org";

#[tokio::test]
async fn to_this_host_a_mail_is_encrypted_if_the_server_offers_it() {
    let offers = Offers {
        starttls: true,
        ..Offers::default()
    };
    let server = SmtpServer::start(offers, 0, |_, _| None).await;
    let app = App::of(&server).await;
    app.deliver(&[ADA]).await;
    let mailer = app.start();
    app.until_jobs(State::Done, 1).await;
    mailer.stop().await;
    assert!(server.heard().contains(&"STARTTLS".to_owned()));
}

/// Neither is the mail's fault, so both are tried again.
#[tokio::test]
async fn without_a_trusted_certificate_nothing_is_sent() {
    let with_starttls = Offers {
        starttls: true,
        auth: true,
        ..Offers::default()
    };
    for (offers, problem) in [
        (with_starttls, "certificate"),
        (Offers::default(), "offers no STARTTLS"),
    ] {
        let server = SmtpServer::start(offers, 0, |_, _| None).await;
        let url = format!("smtp://user:s3cret@127.0.0.1:{}", server.port);
        let app = App::new(&url, &[]).await;
        app.deliver(&[ADA]).await;
        let mailer = app.start();
        let job = app.until_put_off().await;
        let error = &job.errors[0];
        assert_eq!((job.summary.attempts, error.cause.name()), (1, "failed"));
        assert!(error.message.contains(problem), "{}", error.message);
        assert!(!error.message.contains("s3cret"));
        mailer.stop().await;
        let heard = server.heard();
        assert!(
            !heard.iter().any(|it| it == "AUTH" || it == "MAIL"),
            "{heard:?}"
        );
    }
}

#[tokio::test]
async fn wrong_credentials_are_not_the_mails_fault() {
    let offers = Offers {
        auth: true,
        ..Offers::default()
    };
    let server = SmtpServer::start(offers, 0, |command, before| {
        (command == "AUTH" && before == 0).then_some(Act::Say("535 5.7.8 who are you"))
    })
    .await;
    let url = format!("smtp://user:s3cret@127.0.0.1:{}?tls=none", server.port);
    let app = App::new(&url, &[]).await;
    app.deliver(&[ADA]).await;
    let mailer = app.start();
    let job = app.until_put_off().await;
    assert_eq!(
        (job.summary.attempts, job.errors[0].cause.name()),
        (1, "failed")
    );
    assert!(job.errors[0].message.contains("535 5.7.8 who are you"));
    app.retry(job.summary.id).await;
    app.until_jobs(State::Done, 1).await;
    mailer.stop().await;
}
