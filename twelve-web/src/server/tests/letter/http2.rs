//! HTTP/2: frames, and the first thing that the server has to say of them.

use std::fmt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{expect_none, server};
use crate::server::tests::BOUND;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Types (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

// Flags.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WHOLE: u8 = END_STREAM | END_HEADERS;

/// The error codes that rules ask for (RFC 9113, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Protocol = 1,
    FlowControl = 3,
    StreamClosed = 5,
    FrameSize = 6,
    Compression = 9,
}

/// What a rule asks for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// An error of the connection.
    Connection(Code),
    /// An error of the stream, which may be one of the connection (section 5.4.1).
    Stream(Code),
    /// The request is malformed (section 8.1.1): an error of the stream, or 400.
    Malformed,
    /// Nothing is wrong, or something that is answered.
    Status(u16),
}

/// What the server has said first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Goaway(u32),
    Reset(u32),
    Status(u16),
    Closed,
}

pub(super) struct Row {
    rule: String,
    what: &'static str,
    /// What follows the preface and an empty SETTINGS.
    sent: Vec<u8>,
    asked: Asked,
    said: Said,
    but: &'static str,
}

impl Row {
    /// What is said instead, and what in h2 prevents the rest.
    fn but(mut self, said: Said, why: &'static str) -> Self {
        self.said = said;
        self.but = why;
        self
    }

    pub(super) fn on_the_page(&self) -> [String; 4] {
        [
            self.rule.clone(),
            self.what.to_owned(),
            self.said.to_string(),
            match self.but {
                "" => String::new(),
                why => format!("{}: {why}", self.asked),
            },
        ]
    }

    /// Is what was said what the rule asks for?
    fn agrees(&self, said: Said) -> bool {
        match self.asked {
            Asked::Connection(code) => said == Said::Goaway(code as u32),
            Asked::Stream(code) => [Said::Reset, Said::Goaway]
                .iter()
                .any(|said_by| said == said_by(code as u32)),
            Asked::Malformed => [
                Said::Reset(Code::Protocol as u32),
                Said::Goaway(Code::Protocol as u32),
                Said::Status(400),
            ]
            .contains(&said),
            Asked::Status(status) => said == Said::Status(status),
        }
    }
}

fn name(code: u32) -> &'static str {
    match code {
        1 => "PROTOCOL_ERROR",
        3 => "FLOW_CONTROL_ERROR",
        5 => "STREAM_CLOSED",
        6 => "FRAME_SIZE_ERROR",
        9 => "COMPRESSION_ERROR",
        _ => "another code",
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(code) => write!(f, "GOAWAY {}", name(*code as u32)),
            Self::Stream(code) => write!(f, "RST_STREAM {}", name(*code as u32)),
            Self::Malformed => write!(f, "RST_STREAM {} or 400", name(1)),
            Self::Status(status) => write!(f, "{status}"),
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Goaway(code) => write!(f, "GOAWAY {}", name(*code)),
            Self::Reset(code) => write!(f, "RST_STREAM {}", name(*code)),
            Self::Status(status) => write!(f, "{status}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

#[tokio::test]
async fn http_2_is_answered_to_the_letter() {
    let server = server();
    let mut wrong = Vec::new();
    for row in rows() {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let mut sent = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
        if row.sent.starts_with(b"PRI") {
            sent.clear();
        }
        sent.extend(&row.sent);
        stream.write_all(&sent).await.unwrap();
        let said = timeout(BOUND, first_word(&mut stream)).await;
        let said = said.unwrap_or_else(|_| panic!("{}: nothing is said", row.what));
        if said != row.said || row.but.is_empty() != row.agrees(said) {
            let (what, asked) = (row.what, row.asked);
            wrong.push(format!("{what}: {said:?}, not {:?} ({asked:?})", row.said));
        }
    }
    expect_none(&wrong);
}

/// Reads until an answer, a reset, or the end of the connection.
async fn first_word(stream: &mut TcpStream) -> Said {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Said::Closed;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if stream.read_exact(&mut payload).await.is_err() {
            return Said::Closed;
        }
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match head[3] {
            HEADERS => return Said::Status(status(&payload)),
            RST_STREAM => return Said::Reset(code(0)),
            GOAWAY if code(4) != 0 => return Said::Goaway(code(4)),
            _ => {}
        }
    }
}

/// The `:status` that a block of the server's begins with (RFC 7541, section 6 and appendix A).
fn status(block: &[u8]) -> u16 {
    match block[0] {
        // Indexed: 8 is 200, then 204, 206, 304, 400, 404, 500.
        first @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(first - 0x88)],
        // A literal with the name's index, in Huffman's code or not.
        _ if block[1] & 0x80 == 0 => str::from_utf8(&block[2..5]).unwrap().parse().unwrap(),
        _ => digits(&block[2..]),
    }
}

/// Three digits in the code of RFC 7541, appendix B: 0 to 2 have five bits, the others six.
fn digits(bytes: &[u8]) -> u16 {
    let mut bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut status = 0;
    for _ in 0..3 {
        let mut code = 0;
        for _ in 0..5 {
            code = code << 1 | bits.next().unwrap();
        }
        let digit = if code < 3 {
            code
        } else {
            (code << 1 | bits.next().unwrap()) - 0b01_1001 + 3
        };
        status = status * 10 + digit;
    }
    status
}

/// h2 has one code for every frame that it cannot load.
const ONE_CODE: &str = "h2 says PROTOCOL_ERROR of every frame that it cannot load";

/// An error of a stream that h2 makes one of the connection, as it may (section 5.4.1).
const OF_THE_CONNECTION: Said = Said::Goaway(Code::Protocol as u32);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Literal fields without indexing (RFC 7541, section 6.2.2); no text is longer than 126 bytes.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

fn get() -> Vec<(&'static str, &'static str)> {
    vec![
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", "/"),
    ]
}

fn request(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &block(fields))
}

fn with(name: &'static str, value: &'static str) -> Vec<u8> {
    let mut fields = get();
    fields.push((name, value));
    request(&fields)
}

fn without(name: &str) -> Vec<u8> {
    let mut fields = get();
    fields.retain(|(field, _)| *field != name);
    request(&fields)
}

fn changed(name: &str, value: &'static str) -> Vec<u8> {
    let mut fields = get();
    for (field, old) in &mut fields {
        if *field == name {
            *old = value;
        }
    }
    request(&fields)
}

/// The request that is asked where nothing else could show that the connection goes on.
fn good(stream: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &block(&get()))
}

/// A POST whose body is still to come.
fn post() -> Vec<u8> {
    let mut fields = get();
    fields[0].1 = "POST";
    fields[3].1 = "/text";
    frame(HEADERS, END_HEADERS, 1, &block(&fields))
}

pub(super) fn rows() -> Vec<Row> {
    [
        beginnings(),
        frames(),
        streams(),
        windows(),
        blocks(),
        requests(),
        bodies(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn row(rule: &'static str, what: &'static str, sent: Vec<u8>, asked: Asked) -> Row {
    let said = match asked {
        Asked::Connection(code) => Said::Goaway(code as u32),
        Asked::Stream(code) => Said::Reset(code as u32),
        Asked::Malformed => Said::Reset(Code::Protocol as u32),
        Asked::Status(status) => Said::Status(status),
    };
    let rule = match rule {
        elsewhere if elsewhere.starts_with("RFC") => elsewhere.to_owned(),
        section => format!("RFC 9113, {section}"),
    };
    Row {
        rule,
        what,
        sent,
        asked,
        said,
        but: "",
    }
}

impl Row {
    /// Which of the answers that the rule allows it is.
    fn said(mut self, said: Said) -> Self {
        self.said = said;
        self
    }
}

fn beginnings() -> Vec<Row> {
    use Asked::Connection;
    use Code::{FlowControl, FrameSize, Protocol};
    let setting = |number: u16, value: u32| {
        let payload = [&number.to_be_bytes()[..], &value.to_be_bytes()].concat();
        frame(SETTINGS, 0, 0, &payload)
    };
    vec![
        row(
            "3.4",
            "frames other than SETTINGS behind the preface",
            [PREFACE.to_vec(), good(1)].concat(),
            Connection(Protocol),
        )
        .but(
            Said::Status(200),
            "h2 does not ask that SETTINGS come first",
        ),
        row(
            "6.5",
            "SETTINGS of a stream",
            frame(SETTINGS, 0, 1, b""),
            Connection(Protocol),
        ),
        row(
            "6.5",
            "SETTINGS of five bytes",
            frame(SETTINGS, 0, 0, b"12345"),
            Connection(FrameSize),
        )
        .but(OF_THE_CONNECTION, ONE_CODE),
        row(
            "6.5",
            "an acknowledgement with settings",
            frame(SETTINGS, ACK, 0, b"\0\x01\0\0\0\0"),
            Connection(FrameSize),
        )
        .but(OF_THE_CONNECTION, ONE_CODE),
        row(
            "6.5.2",
            "ENABLE_PUSH of 2",
            setting(2, 2),
            Connection(Protocol),
        ),
        row(
            "6.5.2",
            "an initial window of 2^31",
            setting(4, 1 << 31),
            Connection(FlowControl),
        )
        .but(OF_THE_CONNECTION, ONE_CODE),
        row(
            "6.5.2",
            "frames of at most 100 bytes",
            setting(5, 100),
            Connection(Protocol),
        ),
        row(
            "6.5.2",
            "a setting that nobody knows",
            [setting(99, 1), good(1)].concat(),
            Asked::Status(200),
        ),
    ]
}

fn frames() -> Vec<Row> {
    use Asked::{Connection, Status, Stream};
    use Code::{FrameSize, Protocol};
    vec![
        row(
            "4.1",
            "a frame of a type that nobody knows",
            [frame(99, 0, 0, b"what"), good(1)].concat(),
            Status(200),
        ),
        row(
            "4.2",
            "a frame that is longer than 16,384 bytes",
            [post(), frame(DATA, 0, 1, &vec![0; 16_385])].concat(),
            Connection(FrameSize),
        ),
        row(
            "6.7",
            "PING of seven bytes",
            frame(PING, 0, 0, b"1234567"),
            Connection(FrameSize),
        )
        .but(OF_THE_CONNECTION, ONE_CODE),
        row(
            "6.7",
            "PING of a stream",
            frame(PING, 0, 1, b"12345678"),
            Connection(Protocol),
        ),
        row(
            "6.8",
            "GOAWAY of a stream",
            frame(GOAWAY, 0, 1, &[0; 8]),
            Connection(Protocol),
        ),
        row(
            "6.3",
            "PRIORITY of four bytes",
            [post(), frame(PRIORITY, 0, 1, b"1234")].concat(),
            Stream(FrameSize),
        )
        .but(OF_THE_CONNECTION, ONE_CODE),
        row(
            "8.4",
            "PUSH_PROMISE of a client",
            [
                post(),
                frame(
                    PUSH_PROMISE,
                    END_HEADERS,
                    1,
                    &[&[0, 0, 0, 2][..], &block(&get())].concat(),
                ),
            ]
            .concat(),
            Connection(Protocol),
        ),
        row(
            "6.10",
            "CONTINUATION of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &block(&get())),
            Connection(Protocol),
        ),
        row(
            "6.2",
            "another frame between HEADERS and CONTINUATION",
            [
                frame(HEADERS, END_STREAM, 1, &block(&get())),
                frame(PING, 0, 0, b"12345678"),
            ]
            .concat(),
            Connection(Protocol),
        ),
        row(
            "6.2",
            "padding that is longer than HEADERS",
            frame(HEADERS, WHOLE | PADDED, 1, b"\x09short"),
            Connection(Protocol),
        ),
        row(
            "6.1",
            "padding that is longer than DATA",
            [post(), frame(DATA, PADDED, 1, b"\x09short")].concat(),
            Connection(Protocol),
        ),
    ]
}

fn streams() -> Vec<Row> {
    use Asked::{Connection, Stream};
    use Code::{FrameSize, Protocol, StreamClosed};
    vec![
        row(
            "6.1",
            "DATA of no stream",
            frame(DATA, 0, 0, b"12345"),
            Connection(Protocol),
        ),
        row(
            "5.1",
            "DATA of a stream that was never opened",
            frame(DATA, 0, 1, b"12345"),
            Connection(Protocol),
        ),
        row(
            "5.1",
            "DATA behind the end of its stream",
            [
                post(),
                frame(DATA, END_STREAM, 1, b"12345"),
                frame(DATA, 0, 1, b"12345"),
            ]
            .concat(),
            Stream(StreamClosed),
        )
        .but(
            OF_THE_CONNECTION,
            "h2 does not tell a closed stream from one that was never opened",
        ),
        row("6.2", "HEADERS of no stream", good(0), Connection(Protocol)),
        row(
            "5.1.1",
            "HEADERS of an even stream",
            good(2),
            Connection(Protocol),
        ),
        row(
            "5.1.1",
            "a stream below one that was opened",
            [
                post(),
                frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
                good(5),
                good(3),
            ]
            .concat(),
            Connection(Protocol),
        ),
        row(
            "6.4",
            "RST_STREAM of no stream",
            frame(RST_STREAM, 0, 0, &[0; 4]),
            Connection(Protocol),
        ),
        row(
            "6.4",
            "RST_STREAM of a stream that was never opened",
            frame(RST_STREAM, 0, 1, &[0; 4]),
            Connection(Protocol),
        ),
        row(
            "6.4",
            "RST_STREAM of three bytes",
            [post(), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            Connection(FrameSize),
        )
        .but(OF_THE_CONNECTION, ONE_CODE),
    ]
}

fn windows() -> Vec<Row> {
    use Asked::{Connection, Stream};
    use Code::{FlowControl, FrameSize, Protocol};
    let most = 0x7fff_ffff_u32.to_be_bytes();
    vec![
        row(
            "6.9",
            "a window opened by nothing",
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
            Connection(Protocol),
        ),
        row(
            "6.9",
            "a stream's window opened by nothing",
            [post(), frame(WINDOW_UPDATE, 0, 1, &[0; 4])].concat(),
            Stream(Protocol),
        )
        .said(OF_THE_CONNECTION),
        row(
            "6.9",
            "WINDOW_UPDATE of three bytes",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            Connection(FrameSize),
        )
        .but(OF_THE_CONNECTION, ONE_CODE),
        row(
            "6.9",
            "WINDOW_UPDATE of a stream that was never opened",
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
            Connection(Protocol),
        ),
        row(
            "6.9.1",
            "a window beyond 2^31 - 1",
            frame(WINDOW_UPDATE, 0, 0, &most),
            Connection(FlowControl),
        ),
        row(
            "6.9.1",
            "a stream's window beyond 2^31 - 1",
            [post(), frame(WINDOW_UPDATE, 0, 1, &most)].concat(),
            Stream(FlowControl),
        ),
    ]
}

fn blocks() -> Vec<Row> {
    use Asked::{Connection, Malformed, Status};
    use Code::Compression;
    let long = block(&[("x-a", &"a".repeat(120))]).repeat(200);
    vec![
        row(
            "4.3",
            "a field by an index that the table does not have",
            frame(HEADERS, WHOLE, 1, &[0xff, 0x7f]),
            Connection(Compression),
        )
        .but(OF_THE_CONNECTION, ONE_CODE),
        row(
            "4.3",
            "a field by the index 0",
            frame(HEADERS, WHOLE, 1, &[0x80]),
            Connection(Compression),
        )
        .but(OF_THE_CONNECTION, ONE_CODE),
        row(
            "8.2.1",
            "a capital letter in a name",
            with("X-A", "1"),
            Malformed,
        )
        .said(OF_THE_CONNECTION),
        row("8.2.1", "a space in a name", with("x a", "1"), Malformed).said(OF_THE_CONNECTION),
        row("8.2.1", "a CR in a value", with("x-a", "1\r2"), Malformed).said(OF_THE_CONNECTION),
        row("8.2.1", "NUL in a value", with("x-a", "1\x002"), Malformed).said(OF_THE_CONNECTION),
        row(
            "8.2.2",
            "`connection`",
            with("connection", "keep-alive"),
            Malformed,
        ),
        row(
            "8.2.2",
            "`transfer-encoding`",
            with("transfer-encoding", "chunked"),
            Malformed,
        ),
        row("8.2.2", "`te: gzip`", with("te", "gzip"), Malformed),
        row(
            "6.5.2",
            "32,000 bytes of headers",
            [
                frame(HEADERS, END_STREAM, 1, &block(&get())),
                frame(CONTINUATION, 0, 1, &long[..16_384]),
                frame(CONTINUATION, END_HEADERS, 1, &long[16_384..]),
            ]
            .concat(),
            Status(431),
        ),
    ]
}

fn requests() -> Vec<Row> {
    use Asked::{Malformed, Status};
    let told = "8.3.1";
    vec![
        row(
            "8.3",
            "a pseudo-header field that nobody knows",
            with(":what", "1"),
            Malformed,
        )
        .said(OF_THE_CONNECTION),
        row(
            "8.3",
            "`:status` in a request",
            with(":status", "200"),
            Malformed,
        ),
        row("8.3", "the same one twice", with(":path", "/"), Malformed),
        row(
            "8.3",
            "one behind a header",
            request(&[&[("x-a", "1")], &get()[..]].concat()),
            Malformed,
        ),
        row(told, "no `:method`", without(":method"), Malformed),
        row(told, "no `:scheme`", without(":scheme"), Malformed),
        row(told, "no `:path`", without(":path"), Malformed),
        row(told, "an empty `:path`", changed(":path", ""), Malformed),
        row(
            told,
            "a `:path` without its slash",
            changed(":path", "text"),
            Malformed,
        ),
        row(
            told,
            "a `:path` of `*` with another method than OPTIONS",
            changed(":path", "*"),
            Malformed,
        )
        .said(Said::Status(400)),
        row(
            told,
            "a user in `:authority`",
            changed(":authority", "user@x"),
            Malformed,
        )
        .said(Said::Status(400)),
        row(told, "another host in `host`", with("host", "y"), Malformed).said(Said::Status(400)),
        row(
            told,
            "the same host in `host`",
            with("host", "X:80"),
            Status(200),
        ),
        row(
            "8.5",
            "CONNECT with a path",
            changed(":method", "CONNECT"),
            Malformed,
        ),
    ]
}

fn bodies() -> Vec<Row> {
    use Asked::{Malformed, Status};
    vec![
        row(
            "8.1.1",
            "a body that is shorter than its length",
            with("content-length", "5"),
            Malformed,
        ),
        row(
            "8.1",
            "trailers that do not end the stream",
            [
                post(),
                frame(HEADERS, END_HEADERS, 1, &block(&[("x-a", "1")])),
            ]
            .concat(),
            Malformed,
        ),
        row(
            "8.1",
            "a pseudo-header field in trailers",
            [post(), frame(HEADERS, WHOLE, 1, &block(&[(":path", "/")]))].concat(),
            Malformed,
        )
        .but(
            Said::Status(200),
            "h2 drops pseudo-header fields of trailers",
        ),
        row(
            "RFC 9110, 9.1",
            "a method that nobody knows: `BREW`",
            changed(":method", "BREW"),
            Status(501),
        ),
    ]
}
