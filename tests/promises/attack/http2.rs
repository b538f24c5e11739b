//! HTTP/2 frame by frame (RFC 9113), by a client that keeps to flow control and to nothing else.

#![allow(dead_code, reason = "each attack uses some of it")]

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How a connection begins (section 3.4), with a SETTINGS frame that takes the dynamic table away: so every status comes as it is.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \0\0\x06\x04\0\0\0\0\0\0\x01\0\0\0\0";

/// The first windows of a connection and of a stream (section 6.9.2).
const WINDOW: i64 = 65_535;

/// The largest frame that everybody takes (section 4.2).
const FRAME: usize = 16_384;

/// Types of frames (section 6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

/// Flags of frames.
pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// One connection.
pub(super) struct Http2 {
    stream: TcpStream,
    unread: Vec<u8>,
    next_stream: u32,
    /// What may be sent: on the connection, and on each stream.
    window: i64,
    first_window: i64,
    windows: BTreeMap<u32, i64>,
    /// What each stream was answered; 0 for one that was reset.
    pub(super) answers: BTreeMap<u32, u16>,
    /// Has the server said that it takes no more streams?
    pub(super) is_going_away: bool,
}

/// A frame as it came.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Http2 {
    pub(super) async fn connect(port: u16) -> io::Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        stream.write_all(HELLO).await?;
        Ok(Self {
            stream,
            unread: Vec::new(),
            next_stream: 1,
            window: WINDOW,
            first_window: WINDOW,
            windows: BTreeMap::new(),
            answers: BTreeMap::new(),
            is_going_away: false,
        })
    }

    /// Writes a frame, whatever the protocol says of it.
    pub(super) async fn write(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = u32::try_from(payload.len()).expect("a length has 24 bits");
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame).await
    }

    /// Begins a request whose body follows, and answers its stream.
    pub(super) async fn begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<u32> {
        self.send_head(END_HEADERS, method, path, headers).await
    }

    /// Sends a request without a body, and answers its stream.
    pub(super) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<u32> {
        let flags = END_HEADERS | END_STREAM;
        self.send_head(flags, method, path, headers).await
    }

    async fn send_head(
        &mut self,
        flags: u8,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<u32> {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.windows.insert(stream, self.first_window);
        let pseudo = [
            (":method", method),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
        ];
        let block = pseudo.iter().chain(headers).flat_map(literal);
        let block: Vec<u8> = block.collect();
        self.write(HEADERS, flags, stream, &block).await?;
        Ok(stream)
    }

    /// Sends a piece of a body, as soon as the server takes so much.
    pub(super) async fn send_data(&mut self, stream: u32, data: &[u8]) -> io::Result<()> {
        for piece in data.chunks(FRAME) {
            let size = i64::try_from(piece.len()).expect("a frame is small");
            while self.room(stream) < size {
                self.read().await?;
            }
            self.window -= size;
            *self.windows.entry(stream).or_default() -= size;
            self.write(DATA, 0, stream, piece).await?;
        }
        Ok(())
    }

    /// How much of a body the server takes now.
    pub(super) fn room(&self, stream: u32) -> i64 {
        self.window
            .min(self.windows.get(&stream).copied().unwrap_or_default())
    }

    pub(super) async fn reset(&mut self, stream: u32) -> io::Result<()> {
        // CANCEL (section 7).
        self.write(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
            .await
    }

    /// Reads a frame and does what the protocol asks for; an error when the server has closed.
    pub(super) async fn read(&mut self) -> io::Result<Frame> {
        let head = self.take(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..9]) & 0x7fff_ffff,
            payload: self.take(length as usize).await?,
        };
        let Frame {
            kind,
            flags,
            stream,
            payload,
        } = &frame;
        match *kind {
            SETTINGS if flags & ACK == 0 => {
                for setting in payload.chunks_exact(6) {
                    // SETTINGS_INITIAL_WINDOW_SIZE changes those of open streams, too (section 6.9.2).
                    if setting[..2] == [0, 4] {
                        let first = i64::from(number(&setting[2..]));
                        for window in self.windows.values_mut() {
                            *window += first - self.first_window;
                        }
                        self.first_window = first;
                    }
                }
                self.write(SETTINGS, ACK, 0, &[]).await?;
            }
            PING if flags & ACK == 0 => self.write(PING, ACK, 0, payload).await?,
            GOAWAY => self.is_going_away = true,
            WINDOW_UPDATE => {
                let more = i64::from(number(payload) & 0x7fff_ffff);
                match stream {
                    0 => self.window += more,
                    stream => *self.windows.entry(*stream).or_default() += more,
                }
            }
            HEADERS => {
                self.answers.entry(*stream).or_insert(status(payload));
            }
            RST_STREAM => {
                self.answers.entry(*stream).or_insert(0);
            }
            // What an answer sends is taken at once.
            DATA if !payload.is_empty() => {
                let size = u32::try_from(payload.len()).expect("24 bits");
                for stream in [0, *stream] {
                    self.write(WINDOW_UPDATE, 0, stream, &size.to_be_bytes())
                        .await?;
                }
            }
            _ => {}
        }
        Ok(frame)
    }

    /// Reads until the stream is answered or reset; 0 for the latter.
    pub(super) async fn answer(&mut self, stream: u32) -> io::Result<u16> {
        loop {
            if let Some(status) = self.answers.get(&stream) {
                return Ok(*status);
            }
            self.read().await?;
        }
    }

    async fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < count {
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.unread.drain(..count).collect())
    }
}

/// A header as a literal that is never indexed (RFC 7541, section 6.2.3).
fn literal((name, value): &(&str, &str)) -> Vec<u8> {
    let mut bytes = vec![0x10];
    for text in [name, value] {
        // A length of seven bits, else 127 and the rest in groups of seven (section 5.1).
        match text.len().checked_sub(127) {
            None => bytes.push(u8::try_from(text.len()).expect("seven bits")),
            Some(mut rest) => {
                bytes.push(127);
                while rest >= 128 {
                    bytes.push(u8::try_from(rest % 128).expect("seven bits") | 128);
                    rest /= 128;
                }
                bytes.push(u8::try_from(rest).expect("seven bits"));
            }
        }
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The status with which a block of headers begins.
fn status(block: &[u8]) -> u16 {
    // The dynamic table may be said to be of another size first.
    let block = match block {
        [size, rest @ ..] if size >> 5 == 1 => rest,
        block => block,
    };
    match block {
        // The static table (RFC 7541, appendix A).
        [index @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(index & 7)],
        // A literal whose name is that of entry 8, with or without Huffman's code.
        [0x48 | 0x08 | 0x18, length, text @ ..] => {
            let text = &text[..usize::from(length & 127)];
            if length & 128 == 0 {
                text.iter()
                    .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
            } else {
                huffman_digits(text)
            }
        }
        _ => panic!("no status in {block:x?}"),
    }
}

/// Three digits (RFC 7541, appendix B): 0 to 2 have the codes 0 to 2 of five bits, 3 to 9 those from 25 on of six.
fn huffman_digits(text: &[u8]) -> u16 {
    let bits = text
        .iter()
        .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let mut left = text.len() * 8;
    let mut number = 0;
    for _ in 0..3 {
        let code = |count: usize| bits >> (left - count) & ((1 << count) - 1);
        let (digit, count) = match code(5) {
            digit @ 0..=2 => (digit, 5),
            _ => (code(6) - 25 + 3, 6),
        };
        left -= count;
        number = number * 10 + u16::try_from(digit).expect("a digit");
    }
    number
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"))
}

/// 503 and 413 in the codes of RFC 7541, appendix B: 011011 00000 011001 and 011010 00001 011001, filled with ones.
#[test]
fn a_status_is_read_in_every_form() {
    assert_eq!(status(&[0x88]), 200);
    assert_eq!(status(&[0x20, 0x8e]), 500);
    assert_eq!(status(&[0x08, 3, b'4', b'2', b'9']), 429);
    assert_eq!(status(&[0x48, 0x83, 0x6c, 0x0c, 0xff]), 503);
    assert_eq!(status(&[0x48, 0x83, 0x68, 0x2c, 0xff]), 413);
    assert_eq!(literal(&("a", "b")), [0x10, 1, b'a', 1, b'b']);
}
