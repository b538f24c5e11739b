//! Conversations over real sockets: SMTP on one side, HTTP on the other.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Attachment, Body, MultiPart, SinglePart, header::ContentType},
};
use reqwest::{Client, Method, Response, StatusCode, redirect::Policy};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use super::{Catcher, Preview};

/// The longest wait for anything here.
const LIMIT: Duration = Duration::from_secs(20);

/// A catcher that serves until it is dropped or stopped.
struct Running {
    smtp: String,
    page: String,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<io::Result<()>>,
}

fn start() -> Running {
    start_with(Vec::new)
}

fn start_with(
    previews: impl Fn() -> Vec<Result<Preview, String>> + Send + Sync + 'static,
) -> Running {
    let catcher = Catcher::bind(0, Arc::new(move |_| previews())).unwrap();
    let (stop, stopped) = oneshot::channel();
    let smtp_url = catcher.smtp_url().unwrap();
    Running {
        smtp: smtp_url.strip_prefix("smtp://").unwrap().to_owned(),
        page: catcher.page_url().unwrap(),
        stop,
        ended: tokio::spawn(catcher.run(async {
            let _ = stopped.await;
        })),
    }
}

impl Running {
    async fn connect(&self) -> Talk {
        let mut talk = Talk::to(&self.smtp).await;
        assert_eq!(talk.reply().await, "220 twelve catches mail ESMTP");
        talk
    }

    /// A conversation that is about to give a message.
    async fn begin_data(&self) -> Talk {
        let mut talk = self.connect().await;
        talk.say("HELO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
            .await;
        talk.expect(&["250", "250", "250", "354"]).await;
        talk
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let mut request = client
            .request(method, format!("{}{path}", self.page))
            .timeout(LIMIT);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path, &[]).await
    }

    async fn text(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }

    async fn subjects(&self) -> Vec<String> {
        let mails = self.json("/mails.json").await;
        let subjects = mails.as_array().unwrap().iter();
        subjects
            .map(|mail| mail["subject"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Catches these bytes.
    async fn give(&self, message: &[u8]) {
        let mut talk = self.begin_data().await;
        talk.write(message).await;
        talk.say("\r\n.\r\n").await;
        talk.expect(&["250 2.0.0"]).await;
    }

    fn mailer(&self) -> AsyncSmtpTransport<Tokio1Executor> {
        let (host, port) = self.smtp.rsplit_once(':').unwrap();
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port.parse().unwrap())
            .build()
    }
}

/// One connection.
struct Talk(BufReader<TcpStream>);

impl Talk {
    async fn to(address: &str) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    async fn say(&mut self, lines: &str) {
        self.write(lines.as_bytes()).await;
    }

    /// The next line; empty at the end.
    async fn reply(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(LIMIT, self.0.read_line(&mut line)).await;
        read.expect("there is a reply").unwrap();
        line.trim_end().to_owned()
    }

    /// The next lines begin so.
    async fn expect(&mut self, replies: &[&str]) {
        for expected in replies {
            let reply = self.reply().await;
            assert!(reply.starts_with(expected), "{reply:?}, not {expected:?}");
        }
    }

    async fn ask(&mut self, line: &str) -> String {
        self.say(&format!("{line}\r\n")).await;
        self.reply().await
    }

    async fn ends(mut self) {
        let mut rest = Vec::new();
        let read = timeout(LIMIT, self.0.read_to_end(&mut rest)).await;
        // A reset is an end too.
        let _ = read.expect("it is closed");
        assert_eq!(rest, b"");
    }
}

#[tokio::test]
async fn a_mail_goes_in_by_smtp_and_comes_out_by_json() {
    let catcher = start();
    let mut talk = catcher.connect().await;
    talk.say("EHLO me\r\n").await;
    talk.expect(&[
        "250-twelve",
        "250-PIPELINING",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-ENHANCEDSTATUSCODES",
        "250-SIZE 26214400",
        "250 AUTH PLAIN LOGIN",
    ])
    .await;
    for (line, reply) in [
        (
            "mail from:<a@b.example> SIZE=100 BODY=8BITMIME SMTPUTF8",
            "250 2.1.0",
        ),
        ("RCPT TO:<jörg@d.example>", "250 2.1.5"),
        ("RCPT TO:<hidden@d.example>", "250 2.1.5"),
        ("DATA", "354"),
        (
            "Subject: =?utf-8?Q?Gr=C3=B6=C3=9Fe?=\r\nFrom: Ann <ann@b.example>\r\n\r\n..dots\r\nübrig\r\n.",
            "250 2.0.0 kept as 1",
        ),
        ("QUIT", "221 2.0.0"),
    ] {
        let found = talk.ask(line).await;
        assert!(found.starts_with(reply), "{line}: {found}");
    }
    talk.ends().await;

    let list = catcher.json("/mails.json").await;
    assert_eq!(list[0]["subject"], "Größe");
    assert_eq!(list[0]["from"], "Ann <ann@b.example>");
    assert_eq!(
        list[0]["envelope"],
        json!({ "from": "a@b.example", "to": ["jörg@d.example", "hidden@d.example"] })
    );
    let mail = catcher.json("/mails/1.json").await;
    assert_eq!(mail["text"], ".dots\r\nübrig\r\n");
    assert_eq!(mail["html"], Value::Null);
    assert_eq!(mail["headers"][1], json!(["From", "Ann <ann@b.example>"]));
    assert!(mail["received"].as_str().unwrap().ends_with('Z'), "{mail}");
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let catcher = start();
    let mut talk = catcher.connect().await;
    talk.say(
        "EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<bounce@x.example>\r\nRCPT TO:<later+1@x.example>\r\n\
         RCPT TO:<Postmaster>\r\nNOOP\r\nVRFY a\r\nDATA\r\nSubject: one\r\n\r\n.\r\nRSET\r\nQUIT\r\n",
    )
    .await;
    talk.expect(&["250-"; 6]).await;
    talk.expect(&[
        "250 AUTH",
        "250 2.1.0",
        "550 5.1.1",
        "451 4.2.1",
        "250 2.1.5",
        "250 2.0.0",
        "252 2.1.5",
        "354",
        "250 2.0.0 kept",
        "250 2.0.0",
        "221",
    ])
    .await;
    assert_eq!(catcher.subjects().await, ["one"]);
}

#[tokio::test]
async fn what_is_wrong_or_out_of_order_is_refused_and_the_conversation_goes_on() {
    let catcher = start();
    let mut talk = catcher.connect().await;
    for (line, reply) in [
        ("MAIL FROM:<a@b>", "503 5.5.1"),
        ("EHLO", "501 5.5.4"),
        ("HELO me", "250"),
        ("RCPT TO:<a@b>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("MAIL TO:<a@b>", "501 5.1.7"),
        ("MAIL FROM:<a@b> SIZE=26214401", "552 5.3.4"),
        ("MAIL FROM:<a@b> SIZE=x", "501 5.5.4"),
        ("MAIL FROM:<a@b> BODY=BINARYMIME", "555 5.5.4"),
        ("MAIL FROM:<a@b>", "250 2.1.0"),
        ("MAIL FROM:<a@b>", "503 5.5.1"),
        ("AUTH PLAIN x", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<a b@c>", "501 5.1.3"),
        ("RCPT TO:<a@b> NOTIFY=NEVER", "555 5.5.4"),
        ("STARTTLS", "502 5.5.1"),
        ("XYZZY", "500 5.5.2"),
        ("", "500 5.5.2"),
        ("NOOP\tx", "500 5.5.2"),
        ("NOOP\rQUIT", "500 5.5.2"),
        ("NOOP", "250 2.0.0"),
    ] {
        let found = talk.ask(line).await;
        assert!(found.starts_with(reply), "{line}: {found}");
    }
    talk.write(b"NOOP \xff\r\nNOOP\nNOOP\r\n").await;
    talk.expect(&["500 5.5.2", "500 5.5.2", "250"]).await;
    for _ in 0..100 {
        talk.say("RCPT TO:<a@b>\r\n").await;
    }
    talk.expect(&["250"; 100]).await;
    assert!(talk.ask("RCPT TO:<a@b>").await.starts_with("452 4.5.3"));
    assert!(talk.ask("RSET").await.starts_with("250"));
    assert!(talk.ask("DATA").await.starts_with("503"));
    assert_eq!(catcher.json("/mails.json").await, json!([]));
}

#[tokio::test]
async fn any_credentials_will_do() {
    let catcher = start();
    let mut talk = catcher.connect().await;
    for (line, reply) in [
        ("AUTH PLAIN AGEAYg==", "503 5.5.1"),
        ("HELO me", "250"),
        ("AUTH PLAIN AGEAYg==", "235 2.7.0"),
        ("AUTH PLAIN", "334 "),
        ("AGEAYg==", "235 2.7.0"),
        ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
        ("YQ==", "334 UGFzc3dvcmQ6"),
        ("Yg==", "235 2.7.0"),
        ("auth login YQ==", "334 UGFzc3dvcmQ6"),
        ("*", "501 5.7.0"),
        ("AUTH CRAM-MD5", "504 5.5.4"),
    ] {
        let found = talk.ask(line).await;
        assert!(found.starts_with(reply.trim_end()), "{line}: {found}");
    }
}

#[tokio::test]
async fn a_huge_line_is_refused_and_forgotten() {
    let catcher = start();
    let mut talk = catcher.connect().await;
    talk.say(&"x".repeat(1 << 20)).await;
    talk.say("\r\nNOOP\r\n").await;
    talk.expect(&["500 5.5.2 the line is too long", "250"])
        .await;
}

#[tokio::test]
async fn a_mail_that_is_too_large_is_read_to_its_end_and_refused() {
    let catcher = start();
    let mut talk = catcher.begin_data().await;
    let line = format!("{}\r\n", "x".repeat((1 << 20) - 2));
    for _ in 0..25 {
        talk.say(&line).await;
    }
    talk.say("x\r\n.\r\n").await;
    talk.expect(&["552 5.3.4"]).await;
    assert!(talk.ask("NOOP").await.starts_with("250"));
    assert_eq!(catcher.json("/mails.json").await, json!([]));
}

#[tokio::test]
async fn a_client_that_vanishes_within_a_mail_leaves_nothing() {
    let catcher = start();
    let mut talk = catcher.begin_data().await;
    talk.say("Subject: half\r\n\r\n.").await;
    drop(talk);
    catcher.give(b"Subject: whole\r\n\r\nx").await;
    assert_eq!(catcher.subjects().await, ["whole"]);
}

#[tokio::test]
async fn a_client_may_send_byte_by_byte() {
    let catcher = start();
    let mut talk = catcher.connect().await;
    talk.0.get_mut().set_nodelay(true).unwrap();
    let all =
        "HELO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\nSubject: slow\r\n\r\n..\r\n.\r\n";
    for byte in all.bytes() {
        talk.write(&[byte]).await;
        tokio::task::yield_now().await;
    }
    talk.expect(&["250", "250", "250", "354", "250"]).await;
    assert_eq!(catcher.json("/mails/1.json").await["text"], ".\r\n");
}

#[tokio::test]
async fn no_mail_can_hide_another() {
    let catcher = start();
    let mut talk = catcher.begin_data().await;
    talk.say("Subject: outer\r\n\r\nx\n.\nMAIL FROM:<evil@x>\r\n\r\n.\r\r\nRCPT TO:<y@x>\r\n.\r\n")
        .await;
    talk.expect(&["250 2.0.0 kept as 1"]).await;
    assert_eq!(
        talk.ask("NOOP").await,
        "250 2.0.0 done",
        "nothing more was answered"
    );
    assert_eq!(catcher.subjects().await, ["outer"]);
}

#[tokio::test]
async fn a_browser_that_is_sent_here_gets_nowhere() {
    let catcher = start();
    let mut talk = catcher.connect().await;
    talk.say("POST / HTTP/1.1\r\nHost: x\r\n\r\nHELO me\r\nMAIL FROM:<a@b>\r\n")
        .await;
    talk.expect(&["421 4.7.0"]).await;
    talk.ends().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let catcher = start();
    let mut talks = Vec::new();
    for _ in 0..32 {
        talks.push(catcher.connect().await);
    }
    assert_eq!(
        Talk::to(&catcher.smtp).await.reply().await,
        "421 4.7.0 too many connections"
    );
    talks.pop();
    let again = async {
        while !Talk::to(&catcher.smtp)
            .await
            .reply()
            .await
            .starts_with("220")
        {}
    };
    timeout(LIMIT, again).await.expect("there is room again");
}

#[tokio::test]
async fn a_silent_client_is_sent_away_after_minutes() {
    let catcher = start();
    let mut talk = catcher.connect().await;
    tokio::time::pause();
    // A paused clock moves on by itself when nothing else is left to do, here to the end of the server's patience.
    let mut line = String::new();
    talk.0.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("421 4.4.2"), "{line}");
}

#[tokio::test]
async fn it_stops_at_once_with_connections_open() {
    let catcher = start();
    let talk = catcher.begin_data().await;
    let waiting = Talk::to(catcher.page.strip_prefix("http://").unwrap()).await;
    catcher.stop.send(()).unwrap();
    let ended = timeout(LIMIT, catcher.ended).await.expect("it stops");
    ended.unwrap().unwrap();
    talk.ends().await;
    waiting.ends().await;
}

fn order_confirmation() -> Message {
    let image = Body::new(vec![0x89, b'P', b'N', b'G', 0, 0xff]);
    let html = SinglePart::html(
        "<!doctype html><h1>Thanks</h1><script>alert(1)</script><img src=\"cid:logo@shop\">"
            .to_owned(),
    );
    let related = MultiPart::related().singlepart(html).singlepart(
        Attachment::new_inline("logo@shop".to_owned())
            .body(image, ContentType::parse("image/png").unwrap()),
    );
    let alternatives = MultiPart::alternative()
        .singlepart(SinglePart::plain("Thänks\n.\nbye".to_owned()))
        .multipart(related);
    Message::builder()
        .from("Shop <shop@shop.example>".parse().unwrap())
        .to("\"Jö <b>\" <jo@example.org>".parse().unwrap())
        .bcc("hidden@example.org".parse().unwrap())
        .subject("<b>Größe</b> & \"more\"")
        .multipart(MultiPart::mixed().multipart(alternatives).singlepart(
            Attachment::new("../Rechnung \"№ 1\".html".to_owned()).body(
                "<script>alert(2)</script>".to_owned(),
                ContentType::TEXT_HTML,
            ),
        ))
        .unwrap()
}

#[tokio::test]
async fn a_mail_by_lettre_is_shown_with_all_its_parts() {
    let catcher = start();
    catcher.mailer().send(order_confirmation()).await.unwrap();

    let mail = catcher.json("/mails/1.json").await;
    assert_eq!(mail["subject"], "<b>Größe</b> & \"more\"");
    assert_eq!(
        mail["text"].as_str().unwrap().replace("\r\n", "\n"),
        "Thänks\n.\nbye"
    );
    assert_eq!(
        mail["envelope"]["to"],
        json!(["jo@example.org", "hidden@example.org"])
    );
    let attachments = mail["attachments"].as_array().unwrap();
    let invoice = attachments.iter().find(|one| one["type"] == "text/html");
    let logo = attachments.iter().find(|one| one["type"] == "image/png");
    let (invoice, logo) = (invoice.unwrap(), logo.unwrap());

    // Nothing of the mail is markup of the page.
    for path in [
        "/",
        "/mails/1",
        "/mails/1?part=text",
        "/mails/1?part=headers",
        "/mails/1?part=source",
    ] {
        let page = catcher.text(path).await;
        assert!(!page.contains("<b>Gr"), "{path}: {page}");
        assert!(!page.contains("Jö <b>"), "{path}: {page}");
        assert!(!page.contains("<script>alert"), "{path}: {page}");
        assert!(
            page.contains("&#60;b&#62;Größe&#60;/b&#62; &#38; &#34;more&#34;"),
            "{path}: {page}"
        );
    }

    // Its HTML is a document without an origin and without scripts.
    let html = catcher.get("/mails/1/html").await;
    let policy = html.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with(
            "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none';"
        )
    );
    assert!(!policy.contains("script") && !policy.contains("allow-same-origin"));
    let html = html.text().await.unwrap();
    assert!(
        html.starts_with("<!doctype html><base target=\"_blank\"><h1>"),
        "{html}"
    );
    let logo_url = logo["url"].as_str().unwrap();
    assert!(
        html.contains(&format!("<img src=\"{logo_url}\">")),
        "{html}"
    );
    assert_eq!(
        catcher.get(logo_url).await.bytes().await.unwrap()[..4],
        *b"\x89PNG"
    );

    // A file is saved, not shown.
    let file = catcher.get(invoice["url"].as_str().unwrap()).await;
    assert_eq!(
        file.headers()["content-disposition"],
        "attachment; filename=\"_Rechnung __ 1_.html\"; filename*=UTF-8''_Rechnung%20__%201_.html"
    );
    assert_eq!(file.headers()["x-content-type-options"], "nosniff");
    assert!(
        file.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("sandbox;")
    );
    assert_eq!(file.text().await.unwrap(), "<script>alert(2)</script>");
    let source = catcher.get("/mails/1/source").await;
    assert_eq!(source.headers()["content-type"], "message/rfc822");
}

#[tokio::test]
async fn lettre_is_told_of_a_refusal_for_good_and_of_one_for_now() {
    let catcher = start();
    for (to, permanent) in [("bounce@example.org", true), ("later@example.org", false)] {
        let mail = Message::builder()
            .from("shop@shop.example".parse().unwrap())
            .to(to.parse().unwrap())
            .body("x".to_owned())
            .unwrap();
        let refused = catcher.mailer().send(mail).await.unwrap_err();
        assert_eq!(
            (refused.is_permanent(), refused.is_transient()),
            (permanent, !permanent)
        );
    }
    assert_eq!(catcher.json("/mails.json").await, json!([]));
}

#[tokio::test]
async fn what_is_hardly_a_mail_is_shown_all_the_same() {
    let catcher = start();
    for message in [
        &b""[..],
        b"no header at all",
        b"Subject: \xff\xfe\r\n\r\n\xff",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\n--x--",
        b"Content-Type: a\"\r\nb/c; charset=\"nope\"\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%",
    ] {
        catcher.give(message).await;
    }
    assert_eq!(catcher.subjects().await.len(), 5);
    for id in 1..=5 {
        for part in ["html", "text", "headers", "source", "nonsense"] {
            catcher.text(&format!("/mails/{id}?part={part}")).await;
        }
        catcher.json(&format!("/mails/{id}.json")).await;
        catcher.text(&format!("/mails/{id}/source")).await;
    }
}

#[tokio::test]
async fn the_page_answers_to_loopback_names_alone() {
    let catcher = start();
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:1080", 200),
        ("127.0.0.1:9", 200),
        ("[::1]:1080", 200),
        ("evil.example", 421),
        ("localhost.evil.example:1080", 421),
        ("127.0.0.1.evil.example", 421),
        ("evil.example:localhost", 421),
        ("", 421),
    ] {
        let answer = catcher
            .ask(Method::GET, "/mails.json", &[("host", host)])
            .await;
        assert_eq!(answer.status().as_u16(), status, "{host}");
    }
    let policy = catcher.get("/").await.headers()["content-security-policy"].clone();
    let policy = policy.to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
    assert!(policy.contains("frame-ancestors 'none'"));
}

/// What browsers say of a request, as the Fetch Metadata specification has it.
#[tokio::test]
async fn another_site_may_link_to_the_page_and_load_nothing_but_images() {
    let catcher = start();
    catcher.mailer().send(order_confirmation()).await.unwrap();
    let mail = catcher.json("/mails/1.json").await;
    let attachments = mail["attachments"].as_array().unwrap();
    let image = attachments.iter().find(|one| one["type"] == "image/png");
    let image = image.unwrap()["url"].as_str().unwrap();
    for (path, site, mode, dest, status) in [
        ("/", "none", "navigate", "document", 200),
        ("/mails.json", "same-origin", "cors", "empty", 200),
        ("/mails/1/html", "same-origin", "navigate", "iframe", 200),
        ("/mails/1", "cross-site", "navigate", "document", 200),
        (image, "cross-site", "no-cors", "image", 200),
        ("/", "cross-site", "navigate", "iframe", 403),
        ("/mails.json", "cross-site", "no-cors", "script", 403),
        ("/mails.json", "cross-site", "no-cors", "image", 403),
        ("/mails.json", "cross-site", "cors", "empty", 403),
        ("/mails.json", "same-site", "cors", "empty", 403),
        (image, "cross-site", "cors", "empty", 403),
    ] {
        let headers = [
            ("sec-fetch-site", site),
            ("sec-fetch-mode", mode),
            ("sec-fetch-dest", dest),
        ];
        let answer = catcher.ask(Method::GET, path, &headers).await;
        assert_eq!(answer.status().as_u16(), status, "{path} {headers:?}");
    }
    let bare = [("sec-fetch-site", "cross-site")];
    let answer = catcher.ask(Method::GET, "/mails.json", &bare).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn only_the_page_and_programs_may_empty_the_inbox() {
    let catcher = start();
    catcher.give(b"Subject: kept\r\n\r\nx").await;
    let own = catcher.page.clone();
    for headers in [
        &[("origin", "http://evil.example")][..],
        &[("origin", "null")],
        &[("origin", &own.replace("http:", "https:"))],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", &own)],
    ] {
        let answer = catcher.ask(Method::POST, "/empty", headers).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert_eq!(
        catcher.get("/empty").await.status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(catcher.subjects().await, ["kept"]);

    let browser = [("sec-fetch-site", "same-origin"), ("origin", own.as_str())];
    let answer = catcher.ask(Method::POST, "/empty", &browser).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(catcher.json("/mails.json").await, json!([]));
    let program = catcher.ask(Method::POST, "/empty", &[]).await;
    assert_eq!(program.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        catcher.get("/mails/1").await.status(),
        StatusCode::NOT_FOUND
    );
}

fn version(page: &str) -> &str {
    let (_, rest) = page.split_once("data-version=\"").unwrap();
    rest.split_once('"').unwrap().0
}

#[tokio::test]
async fn a_page_that_waits_is_answered_when_a_mail_arrives() {
    let catcher = start();
    let before = catcher.text("/").await;
    let path = format!("/?after={}", version(&before));
    let (page, ()) = tokio::join!(catcher.text(&path), catcher.give(b"Subject: news\r\n\r\nx"));
    assert!(page.contains("news"), "{page}");
    assert_ne!(version(&page), version(&before));
    assert_eq!(
        catcher.text("/?after=0").await,
        page,
        "of another server: at once"
    );
}

#[tokio::test]
async fn previews_are_rendered_anew_and_their_faults_are_shown() {
    let round = Arc::new(Mutex::new(0));
    let catcher = start_with(move || {
        let mut round = round.lock().unwrap_or_else(PoisonError::into_inner);
        *round += 1;
        assert_ne!(*round, 3, "the third look panics");
        vec![
            Ok(Preview {
                name: "order/receipt <1>".to_owned(),
                message: format!(
                    "Subject: look {round}\r\nContent-Type: text/html\r\n\r\n<p>{round}"
                )
                .into_bytes(),
            }),
            Err("the template <broken> fails".to_owned()),
        ]
    });
    let page = catcher.text("/").await;
    assert!(
        page.contains("href=\"/previews/order%2Freceipt%20%3C1%3E\""),
        "{page}"
    );
    assert!(page.contains("look 1") && page.contains("the template &#60;broken&#62; fails"));
    assert!(catcher.text("/").await.contains("look 2"));
    assert!(
        catcher
            .text("/")
            .await
            .contains("the rendering of the previews panicked")
    );
    let preview = "/previews/order%2Freceipt%20%3C1%3E";
    assert!(catcher.text(preview).await.contains("look 4"));
    assert!(
        catcher
            .text(&format!("{preview}/html"))
            .await
            .ends_with("<p>5")
    );
    for missing in [
        "/previews/other",
        "/nowhere/1",
        "/mails/x",
        "/mails/1.json",
        "/a/b/c/d/e",
    ] {
        assert_eq!(
            catcher.get(missing).await.status(),
            StatusCode::NOT_FOUND,
            "{missing}"
        );
    }
}
