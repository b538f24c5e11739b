//! `mail`: previews without a database, and a test mail to a server that is not there.

use crate::harness::binaries;
use crate::harness::process::{Finished, Launch};
use crate::harness::shop::COMMAND_BOUND;
use crate::harness::smtp::{Offers, SmtpServer};

/// Who has signed the certificate of the tests' SMTP server.
const AUTHORITY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/twelve-worker/tests/mail/authority.crt.pem"
);

async fn letters<const N: usize>(arguments: [&str; N], variables: &[(&str, &str)]) -> Finished {
    Launch::new(&binaries::example("letters"))
        .args(arguments)
        .vars(variables)
        .run(COMMAND_BOUND)
        .await
}

#[tokio::test]
async fn mails_are_previewed_without_any_service() {
    let list = letters(["mail", "preview"], &[]).await.expect_code(0);
    for part in ["Receipt", "Your order 7", "html, text", "hint"] {
        assert!(list.stdout.contains(part), "{}", list.stdout);
    }
    let text = letters(["mail", "preview", "Receipt"], &[])
        .await
        .expect_code(0);
    for part in ["Ada <ada@example.org>", "invoice.txt", "- 1 lamp & shade"] {
        assert!(text.stdout.contains(part), "{}", text.stdout);
    }
    let html = letters(["mail", "preview", "Receipt", "--html"], &[]).await;
    let html = html.expect_code(0).stdout;
    assert!(
        html.contains(r#"<li style="color: #333;">1 lamp &amp; shade"#),
        "{html}"
    );
    let json = letters(["mail", "preview", "hint", "--json"], &[]).await;
    let json = json.expect_code(0).expect_json();
    assert_eq!(json["mail"]["from"], "Hints <hints@shop.example>");
    assert_eq!(json["mail"]["to"][1], "bob@example.org");
}

#[tokio::test]
async fn an_unknown_mail_is_told_with_the_known_ones() {
    for arguments in [
        ["mail", "preview", "Recipt"].as_slice(),
        ["mail", "preview", "--html"].as_slice(),
    ] {
        let launch = Launch::new(&binaries::example("letters")).args(arguments.iter().copied());
        let finished = launch.run(COMMAND_BOUND).await.expect_code(64);
        finished.expect_in_stderr("the mails are: Receipt, hint");
    }
}

#[tokio::test]
async fn a_test_mail_tells_why_it_was_not_sent() {
    let send = ["mail", "send-test", "ada@example.org"];
    let missing = letters(send, &[]).await.expect_code(78);
    missing
        .expect_in_stderr("SMTP_URL")
        .expect_in_stderr("MAIL_FROM");
    let from = ("MAIL_FROM", "shop@shop.example");
    let wrong = [
        from,
        ("SMTP_URL", "smtp://me:s3cret@mail.example?tls=maybe"),
    ];
    let wrong = letters(send, &wrong).await.expect_code(78);
    assert!(!wrong.stderr.contains("s3cret"), "{}", wrong.stderr);
    let down = [from, ("SMTP_URL", "smtp://127.0.0.1:1")];
    let unreachable = letters(send, &down).await.expect_code(69);
    unreachable.expect_in_stderr("the SMTP server is unavailable");
    let nobody = letters(["mail", "send-test", "nobody"], &down).await;
    nobody
        .expect_code(64)
        .expect_in_stderr("`nobody` is not an address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_mail_goes_over_tls_to_a_server_that_is_trusted_and_to_no_other() {
    for scheme in ["smtp", "smtps"] {
        let offers = Offers {
            tls: scheme == "smtps",
            starttls: scheme == "smtp",
            auth: true,
        };
        let server = SmtpServer::start(offers, 0, |_, _| None).await;
        let url = format!("{scheme}://me:s3cret@localhost:{}", server.port);
        let send = ["mail", "send-test", "ada@example.org"];
        let stranger = [("MAIL_FROM", "shop@shop.example"), ("SMTP_URL", &*url)];
        let refused = letters(send, &stranger).await.expect_code(78);
        refused.expect_in_stderr("certificate");
        assert!(!server.heard().contains(&"AUTH".to_owned()), "{scheme}");

        let trusted = [stranger[0], stranger[1], ("SSL_CERT_FILE", AUTHORITY)];
        letters(send, &trusted).await.expect_code(0);
        assert_eq!(server.received().len(), 1, "{scheme}");
        assert!(server.heard().contains(&"AUTH".to_owned()), "{scheme}");
    }
}

#[tokio::test]
async fn the_mailer_is_a_process_type_like_any_other() {
    let procfile = letters(["export", "procfile"], &[])
        .await
        .expect_code(0)
        .stdout;
    assert!(procfile.contains("mailer: letters mailer\n"), "{procfile}");
    let finished = letters(["mailer"], &[]).await.expect_code(78);
    finished
        .expect_in_stderr("SMTP_URL")
        .expect_in_stderr("DATABASE_URL");
}
