//! A server that is away, or goes away.

use crate::{
    fixture::{App, gate},
    server::{Act, Offers, SmtpServer, dead_port},
};
use twelve_worker::State;

const ADA: &str = "ada@example.org";

#[tokio::test]
async fn an_outage_spends_no_attempt() {
    let port = dead_port().await;
    let app = App::new(&format!("smtp://127.0.0.1:{port}"), &[]).await;
    app.deliver(&[ADA]).await;
    let mailer = app.start();
    let job = app.until_put_off().await;
    assert_eq!(
        (job.summary.attempts, job.errors[0].cause.name()),
        (0, "unavailable")
    );
    let server = SmtpServer::start(Offers::default(), port, |_, _| None).await;
    app.retry(job.summary.id).await;
    app.until_jobs(State::Done, 1).await;
    mailer.stop().await;
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_no_failure() {
    let goodbyes = [
        Act::Leave("250 taken"),
        Act::Leave("421 4.7.0 idle too long"),
    ];
    for goodbye in goodbyes {
        let server = SmtpServer::scripted(move |command, before| match (&goodbye, command) {
            (Act::Leave("250 taken"), ".") if before == 0 => Some(goodbye.clone()),
            (Act::Leave("421 4.7.0 idle too long"), "MAIL") if before == 1 => Some(goodbye.clone()),
            _ => None,
        })
        .await;
        let app = App::of(&server).await;
        let mailer = app.start();
        for count in 1..=3 {
            app.deliver(&[ADA]).await;
            let jobs = app.until_jobs(State::Done, count).await;
            assert!(
                jobs.iter()
                    .all(|job| job.summary.attempts == 1 && job.errors.is_empty())
            );
        }
        mailer.stop().await;
        assert_eq!((server.received().len(), server.connections()), (3, 2));
    }
}

#[tokio::test]
async fn a_server_that_leaves_before_the_message_is_an_outage() {
    let server = SmtpServer::scripted(|command, before| {
        (command == "DATA" && before == 0).then_some(Act::Leave("421 4.3.2 shutting down"))
    })
    .await;
    let app = App::of(&server).await;
    app.deliver(&[ADA]).await;
    let mailer = app.start();
    let job = app.until_put_off().await;
    assert_eq!(
        (job.summary.attempts, job.errors[0].cause.name()),
        (0, "unavailable")
    );
    app.retry(job.summary.id).await;
    app.until_jobs(State::Done, 1).await;
    mailer.stop().await;
}

#[tokio::test]
async fn a_mail_that_was_not_confirmed_is_sent_again_with_its_name() {
    let server = SmtpServer::scripted(|command, before| {
        (command == "." && before == 0).then_some(Act::HangUp)
    })
    .await;
    let app = App::of(&server).await;
    let id = app.deliver(&[ADA]).await;
    let mailer = app.start();
    let job = app.until_put_off().await;
    // It may have arrived, so it does not come again and again within seconds.
    assert_eq!(
        (job.summary.attempts, job.errors[0].cause.name()),
        (1, "failed")
    );
    assert!(job.errors[0].message.contains("may have arrived"));
    app.retry(job.summary.id).await;
    app.until_jobs(State::Done, 1).await;
    mailer.stop().await;
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert!(
        received
            .iter()
            .all(|it| it.header("Message-ID") == Some(id.as_str()))
    );
}

#[tokio::test]
async fn a_mailer_that_dies_before_its_ack_sends_a_second_copy_with_the_same_name() {
    let confirmed = gate();
    let waiting = confirmed.clone();
    let server = SmtpServer::scripted(move |command, before| {
        (command == "." && before == 0).then(|| Act::WaitFor(waiting.clone()))
    })
    .await;
    let app = App::of(&server).await;
    let id = app.deliver(&[ADA]).await;
    let mailer = app.start();
    app.until_jobs(State::Running, 1).await;
    twelve_worker::store::conformance::until("the message", async || {
        (server.received().len() == 1).then_some(())
    })
    .await;
    assert_eq!(
        app.jobs(State::Done).await.len(),
        0,
        "it was not confirmed yet"
    );
    mailer.main.abort();
    assert!(mailer.main.await.unwrap_err().is_cancelled());

    app.execute("DELETE FROM twelve.workers").await;
    let second = app.start();
    app.until_jobs(State::Done, 1).await;
    second.stop().await;
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert!(
        received
            .iter()
            .all(|it| it.header("Message-ID") == Some(id.as_str()))
    );
}
