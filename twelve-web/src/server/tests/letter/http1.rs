//! HTTP/1: bytes, and the statuses that come back.

use super::{expect_none, server};

/// The status of the request that follows: the connection goes on.
pub(super) const AFTER: u16 = 299;

/// What each row is followed by, unless the client ends there.
const NEXT: &str = "GET /after HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

pub(super) struct Row {
    rule: &'static str,
    what: &'static str,
    sent: Vec<u8>,
    /// The statuses until the connection is closed, [`AFTER`] for that of [`NEXT`].
    answers: Vec<u16>,
    /// Does the client close its half behind it?
    ends: bool,
    /// What the rule asks for instead, and what in hyper prevents it.
    but: &'static str,
}

impl Row {
    fn ends(mut self) -> Self {
        self.ends = true;
        self
    }

    fn but(mut self, why: &'static str) -> Self {
        self.but = why;
        self
    }

    pub(super) fn on_the_page(&self) -> [String; 4] {
        let goes_on = self.answers.last() == Some(&AFTER);
        let statuses = self.answers.iter().filter(|status| **status != AFTER);
        let statuses: Vec<_> = statuses.map(u16::to_string).collect();
        let then = if goes_on { "goes on" } else { "closed" };
        let answer = format!("{}, {then}", statuses.join(", "));
        [
            self.rule.to_owned(),
            self.what.to_owned(),
            answer,
            self.but.to_owned(),
        ]
    }

    /// The statuses that came back until the connection was closed.
    async fn answers(&self, server: &super::Running) -> Vec<u16> {
        let mut client = server.connect().await;
        client.offer(&self.sent).await;
        if self.ends {
            client.end().await;
        } else {
            client.offer(NEXT).await;
        }
        let all = client.rest().await.unwrap_or_default();
        let all = String::from_utf8_lossy(&all);
        let heads = all.split("HTTP/1.").skip(1);
        heads
            .map(|head| head.get(2..5).unwrap_or_default().parse().unwrap_or(0))
            .collect()
    }
}

#[tokio::test]
async fn http_1_is_answered_to_the_letter() {
    let server = server();
    let mut wrong = Vec::new();
    for row in rows() {
        let answers = row.answers(&server).await;
        if answers != row.answers {
            wrong.push(format!("{}: {answers:?}, not {:?}", row.what, row.answers));
        }
    }
    expect_none(&wrong);
}

fn row(rule: &'static str, what: &'static str, sent: impl Into<Vec<u8>>, answers: &[u16]) -> Row {
    Row {
        rule,
        what,
        sent: sent.into(),
        answers: answers.to_vec(),
        ends: false,
        but: "",
    }
}

pub(super) fn rows() -> Vec<Row> {
    [
        request_lines(),
        methods(),
        targets(),
        hosts(),
        fields(),
        lengths(),
        codings(),
        chunks(),
        expectations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn request_lines() -> Vec<Row> {
    let line = |rule, what, line: &str, answers: &[u16]| {
        let sent = format!("{line}\r\nhost: x\r\n\r\n");
        row(rule, what, sent, answers)
    };
    vec![
        line("RFC 9112, 3", "no version: `GET /`", "GET /", &[400]),
        line(
            "RFC 9112, 2.3",
            "the version in small letters: `http/1.1`",
            "GET / http/1.1",
            &[400],
        ),
        line(
            "RFC 9112, 3",
            "something behind the version",
            "GET / HTTP/1.1 x",
            &[400],
        ),
        line(
            "RFC 9112, 2.3",
            "a version of two digits: `HTTP/1.10`",
            "GET / HTTP/1.10",
            &[400],
        ),
        line(
            "RFC 9110, 15.6.6",
            "a version that is spoken otherwise: `HTTP/2.0`",
            "GET / HTTP/2.0",
            &[400],
        ),
        line(
            "RFC 9110, 2.5",
            "a later minor version: `HTTP/1.2`",
            "GET / HTTP/1.2",
            &[400],
        )
        .but("it should be taken as HTTP/1.1: httparse knows 1.0 and 1.1 only"),
        line(
            "RFC 9112, 3",
            "two spaces behind the method",
            "GET  / HTTP/1.1",
            &[400],
        ),
        line(
            "RFC 9112, 3",
            "a tab behind the method",
            "GET\t/ HTTP/1.1",
            &[400],
        ),
        line("RFC 9112, 3", "no method", " / HTTP/1.1", &[400]),
        line(
            "RFC 9110, 5.6.2",
            "a method that is no token: `GE(T`",
            "GE(T / HTTP/1.1",
            &[400],
        ),
        line(
            "RFC 9112, 2.2",
            "a CR without LF in the request line",
            "GET /\rx HTTP/1.1",
            &[400],
        ),
        line(
            "RFC 9112, 2.2",
            "NUL in the request line",
            "GET /\0 HTTP/1.1",
            &[400],
        ),
        line(
            "RFC 9112, 2.2",
            "an empty line before the request",
            "\r\nGET / HTTP/1.1",
            &[200, AFTER],
        ),
        row(
            "RFC 9112, 3",
            "the first bytes of TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".as_slice(),
            &[400],
        ),
        row(
            "RFC 9112, 3",
            "another protocol: `EHLO x`",
            "EHLO x\r\n",
            &[400],
        ),
    ]
}

fn methods() -> Vec<Row> {
    vec![
        method(
            "a method that nobody knows: `BREW`",
            "BREW / HTTP/1.1",
            &[501, AFTER],
        ),
        method(
            "a method in small letters: `get`",
            "get / HTTP/1.1",
            &[501, AFTER],
        ),
        method(
            "a method that the path does not have: `DELETE`",
            "DELETE / HTTP/1.1",
            &[405, AFTER],
        ),
    ]
}

fn method(what: &'static str, line: &str, answers: &[u16]) -> Row {
    let sent = format!("{line}\r\nhost: x\r\n\r\n");
    row("RFC 9110, 9.1", what, sent, answers)
}

fn targets() -> Vec<Row> {
    let target = |rule, what, line: &str, answers: &[u16]| {
        let sent = format!("{line} HTTP/1.1\r\nhost: x\r\n\r\n");
        row(rule, what, sent, answers)
    };
    vec![
        target("RFC 9112, 3.2", "a space in the target", "GET /a b", &[400]),
        target(
            "RFC 9112, 3.2.1",
            "a path without its slash: `GET text`",
            "GET text",
            &[400],
        ),
        target(
            "RFC 9112, 3.2.4",
            "`*` with another method than OPTIONS",
            "GET *",
            &[400],
        ),
        target(
            "RFC 9112, 3.2.3",
            "a host and a port with another method than CONNECT",
            "GET x:80",
            &[400],
        ),
        target(
            "RFC 9112, 3.2.3",
            "CONNECT with a path",
            "CONNECT /",
            &[400],
        ),
        target(
            "RFC 9110, 9.3.6",
            "CONNECT without a port",
            "CONNECT x",
            &[400],
        ),
        target(
            "RFC 9110, 9.3.6",
            "CONNECT with the port 0",
            "CONNECT x:0",
            &[400],
        ),
        target(
            "RFC 9110, 4.2.4",
            "a user in the target: `http://user@x/`",
            "GET http://user@x/",
            &[400],
        ),
        target(
            "RFC 9110, 4.2.1",
            "no host in the target: `http:///`",
            "GET http:///",
            &[400],
        ),
        target(
            "RFC 9112, 3.2.2",
            "another host in the target than in `Host`: the target's counts",
            "GET http://y/",
            &[200, AFTER],
        ),
        target(
            "RFC 9112, 3.2",
            "a fragment: `/#x`",
            "GET /#x",
            &[200, AFTER],
        )
        .but("400: http's `Uri` drops the fragment before anybody sees it"),
        target(
            "RFC 9112, 3.2",
            "a control character in the target",
            "GET /\x01",
            &[400],
        ),
        row(
            "RFC 9110, 15.5.15",
            "a target of 70,000 bytes",
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000)),
            &[431],
        )
        .but("414: hyper looks at a target when the whole head is in its buffer, which is 64 KiB"),
    ]
}

fn hosts() -> Vec<Row> {
    let hosts = |rule, what, hosts: &str, answers: &[u16]| {
        let sent = format!("GET / HTTP/1.1\r\n{hosts}\r\n");
        row(rule, what, sent, answers)
    };
    let old = |what, hosts: &str, answers: &[u16]| {
        let sent = format!("GET / HTTP/1.0\r\n{hosts}\r\n");
        row("RFC 9112, 3.2", what, sent, answers)
    };
    let rule = "RFC 9112, 3.2";
    let value = "RFC 9110, 7.2";
    vec![
        hosts(rule, "no `Host`", "", &[400]),
        hosts(rule, "two headers `Host`", "host: x\r\nhost: y\r\n", &[400]),
        hosts(
            rule,
            "the same `Host` twice",
            "host: x\r\nhost: x\r\n",
            &[400],
        ),
        hosts(value, "a space in `Host`", "host: a b\r\n", &[400]),
        hosts(
            value,
            "a user in `Host`: `user@x`",
            "host: user@x\r\n",
            &[400],
        ),
        hosts(value, "a path in `Host`: `x/y`", "host: x/y\r\n", &[400]),
        hosts(
            value,
            "a port in `Host` that is no number",
            "host: x:http\r\n",
            &[400],
        ),
        hosts(
            value,
            "a port in `Host` that no socket has: `x:65536`",
            "host: x:65536\r\n",
            &[400],
        ),
        hosts(
            value,
            "a port in `Host` without a name: `:80`",
            "host: :80\r\n",
            &[400],
        ),
        hosts(
            value,
            "an address in `Host` without its bracket: `[::1`",
            "host: [::1\r\n",
            &[400],
        ),
        hosts(
            value,
            "a letter beyond ASCII in `Host`",
            "host: b\u{fc}cher\r\n",
            &[400],
        ),
        hosts(
            rule,
            "an empty `Host`, which a target without a host has",
            "host:\r\n",
            &[200, AFTER],
        ),
        old("no `Host` on HTTP/1.0, which does not have it", "", &[200]),
        old(
            "two headers `Host` on HTTP/1.0",
            "host: x\r\nhost: y\r\n",
            &[400],
        ),
    ]
}

fn fields() -> Vec<Row> {
    let field = |rule, what, field: &[u8], answers: &[u16]| {
        let sent = [b"GET / HTTP/1.1\r\nhost: x\r\n", field, b"\r\n\r\n"].concat();
        row(rule, what, sent, answers)
    };
    vec![
        field(
            "RFC 9112, 5.1",
            "a space before the colon",
            b"x-a : 1",
            &[400],
        ),
        field(
            "RFC 9112, 5.2",
            "a value that goes on in the next line",
            b"x-a: 1\r\n 2",
            &[400],
        ),
        row(
            "RFC 9112, 2.2",
            "a space before the first header",
            "GET / HTTP/1.1\r\n x-a: 1\r\nhost: x\r\n\r\n",
            &[400],
        ),
        field("RFC 9112, 5", "a line without a colon", b"x-a", &[400]),
        field("RFC 9110, 5.1", "no name", b": 1", &[400]),
        field("RFC 9110, 5.1", "a space in a name", b"x a: 1", &[400]),
        field(
            "RFC 9110, 5.1",
            "a letter beyond ASCII in a name",
            b"x-\xfc: 1",
            &[400],
        ),
        field("RFC 9110, 5.5", "NUL in a value", b"x-a: 1\x002", &[400]),
        field(
            "RFC 9110, 5.5",
            "a CR without LF in a value",
            b"x-a: 1\r2",
            &[400],
        ),
        field(
            "RFC 9110, 5.5",
            "a control character in a value",
            b"x-a: 1\x7f",
            &[400],
        ),
        field(
            "RFC 6585, 5",
            "500,000 bytes of headers",
            format!("x-a: {}", "a".repeat(500_000)).as_bytes(),
            &[431],
        ),
        field(
            "RFC 6585, 5",
            "200 headers",
            "x-a: 1\r\n".repeat(200).trim_end().as_bytes(),
            &[431],
        ),
        row(
            "RFC 9112, 2.2",
            "lines that end with LF alone, which may be taken",
            "GET / HTTP/1.1\nhost: x\n\n",
            &[200, AFTER],
        ),
    ]
}

fn lengths() -> Vec<Row> {
    let length = |rule, what, length: &str, answers: &[u16]| {
        let sent = format!("POST /text HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n12345");
        row(rule, what, sent, answers)
    };
    let invalid = "RFC 9112, 6.3";
    let too_large = "18446744073709551615";
    vec![
        length(
            invalid,
            "a length that is no number",
            "content-length: five",
            &[400],
        ),
        length(invalid, "a negative length", "content-length: -5", &[400]),
        length(
            invalid,
            "a length with a sign: `+5`",
            "content-length: +5",
            &[400],
        ),
        length(
            invalid,
            "a length with a fraction: `5.0`",
            "content-length: 5.0",
            &[400],
        ),
        length(
            invalid,
            "a length in hex: `0x5`",
            "content-length: 0x5",
            &[400],
        ),
        length(
            invalid,
            "two lengths without a comma: `5 5`",
            "content-length: 5 5",
            &[400],
        ),
        length(invalid, "an empty length", "content-length:", &[400]),
        length(
            invalid,
            "two lengths that differ",
            "content-length: 5\r\ncontent-length: 6",
            &[400],
        ),
        length(
            invalid,
            "two lengths that differ in one line",
            "content-length: 5, 6",
            &[400],
        ),
        length(
            "RFC 9110, 8.6",
            "the same length twice in one line, which may be refused",
            "content-length: 5, 5",
            &[400],
        ),
        length(
            "RFC 9110, 8.6",
            "a length of thirty digits",
            "content-length: 555555555555555555555555555555",
            &[400],
        ),
        length(
            "RFC 9110, 15.5.14",
            "a length of 2^64 - 1",
            &format!("content-length: {too_large}"),
            &[431],
        )
        .but("413: hyper takes a length that it cannot count for too large a head"),
        row(
            "RFC 9112, 8",
            "a body that ends before its length",
            "POST /text HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345",
            &[400],
        )
        .ends(),
    ]
}

fn codings() -> Vec<Row> {
    const CHUNKS: &str = "5\r\n12345\r\n0\r\n\r\n";
    let coding = |rule, what, coding: &str, answers: &[u16]| {
        let sent = format!("POST /text HTTP/1.1\r\nhost: x\r\n{coding}\r\n\r\n{CHUNKS}");
        row(rule, what, sent, answers)
    };
    let twice = "RFC 9112, 6.1";
    let last = "RFC 9112, 6.3";
    vec![
        coding(
            twice,
            "`chunked, chunked`",
            "transfer-encoding: chunked, chunked",
            &[400],
        ),
        coding(
            twice,
            "`chunked` in two lines",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            &[400],
        ),
        coding(
            twice,
            "a coding that is not known here: `gzip, chunked`",
            "transfer-encoding: gzip, chunked",
            &[501],
        ),
        coding(
            twice,
            "a coding that there is no more: `identity, chunked`",
            "transfer-encoding: identity, chunked",
            &[501],
        ),
        coding(last, "`gzip` alone", "transfer-encoding: gzip", &[400]),
        coding(
            last,
            "`chunked` not the last: `chunked, gzip`",
            "transfer-encoding: chunked, gzip",
            &[400],
        ),
        coding(last, "`xchunked`", "transfer-encoding: xchunked", &[400]),
        coding(
            last,
            "`\"chunked\"`",
            "transfer-encoding: \"chunked\"",
            &[400],
        ),
        coding(
            last,
            "`chunked` with a parameter",
            "transfer-encoding: chunked;q=1",
            &[400],
        ),
        coding(
            "RFC 9110, 5.5",
            "a control character before `chunked`",
            "transfer-encoding: \x0bchunked",
            &[400],
        ),
        coding(
            "RFC 9112, 5.1",
            "a space before the colon of `transfer-encoding`",
            "transfer-encoding : chunked",
            &[400],
        ),
        coding(
            "RFC 9110, 5.6.1.2",
            "an empty element of the list: `, chunked`",
            "transfer-encoding: , chunked",
            &[200, AFTER],
        ),
        coding(
            twice,
            "a length before `chunked`, which counts; then closed",
            "content-length: 3\r\ntransfer-encoding: chunked",
            &[200],
        ),
        coding(
            twice,
            "a length behind `chunked`, which counts; then closed",
            "transfer-encoding: chunked\r\ncontent-length: 3",
            &[200],
        ),
        row(
            twice,
            "`chunked` on HTTP/1.0",
            format!("POST /text HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n{CHUNKS}"),
            &[400],
        ),
    ]
}

fn chunks() -> Vec<Row> {
    let chunks = |what, chunks: &str, answers: &[u16]| {
        let sent =
            format!("POST /text HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        row("RFC 9112, 7.1", what, sent, answers)
    };
    let json = |what, chunks: &str, answers: &[u16]| {
        let sent = format!(
            "POST /json HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"
        );
        row("RFC 9110, 15.5.14", what, sent, answers)
    };
    let large = "x".repeat(3 << 20);
    vec![
        chunks(
            "a chunk's size that is no number",
            "g\r\n12345\r\n0\r\n\r\n",
            &[400],
        ),
        chunks("a negative size", "-5\r\n12345\r\n0\r\n\r\n", &[400]),
        chunks(
            "a size with a prefix: `0x5`",
            "0x5\r\n12345\r\n0\r\n\r\n",
            &[400],
        ),
        chunks("no size", "\r\n12345\r\n0\r\n\r\n", &[400]),
        chunks(
            "a size of 2^64",
            "10000000000000000\r\n12345\r\n0\r\n\r\n",
            &[400],
        ),
        chunks(
            "a chunk that is longer than its size",
            "3\r\n12345\r\n0\r\n\r\n",
            &[400],
        ),
        chunks(
            "a size that ends with LF alone",
            "5\n12345\r\n0\r\n\r\n",
            &[400],
        ),
        chunks(
            "a trailer without a colon",
            "5\r\n12345\r\n0\r\ntrailer\r\n\r\n",
            &[400],
        ),
        chunks("a chunk that ends before its size", "5\r\n123", &[400]).ends(),
        chunks("no last chunk", "5\r\n12345\r\n", &[400]).ends(),
        row(
            "RFC 9112, 7.1.1",
            "20,000 bytes of extensions",
            format!(
                "POST /text HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5;{}\r\n12345\r\n0\r\n\r\n",
                "a".repeat(20_000)
            ),
            &[400],
        ),
        json(
            "a body over the limit whose length is not known beforehand",
            &format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len()),
            &[413],
        ),
    ]
}

fn expectations() -> Vec<Row> {
    vec![
        row(
            "RFC 9110, 10.1.1",
            "`100-continue` on HTTP/1.0, which does not know it",
            "POST /text HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n12345",
            &[200],
        ),
        row(
            "RFC 9110, 7.8",
            "an upgrade to a protocol that is not known here",
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: gopher\r\n\r\n",
            &[200, AFTER],
        ),
    ]
}
