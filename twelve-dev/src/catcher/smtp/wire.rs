//! Lines and messages over a socket.

use std::{future::Future, io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, BufWriter},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

/// The longest line of a command: an answer to AUTH (RFC 4954, section 4). All else is shorter.
const LINE: usize = 12_288;

/// How long a client may be silent, or not read its replies (RFC 5321, section 4.5.3.2.7).
const IDLE: Duration = Duration::from_mins(5);

/// A client that sends commands and messages.
pub(super) struct Wire {
    reader: BufReader<OwnedReadHalf>,
    writer: BufWriter<OwnedWriteHalf>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer: BufWriter::new(writer),
        }
    }

    /// Says something, at the latest when there is nothing more to read: replies to pipelined commands travel together.
    pub(super) async fn reply(&mut self, reply: &str) -> io::Result<()> {
        patiently(async {
            self.writer.write_all(reply.as_bytes()).await?;
            self.writer.write_all(b"\r\n").await
        })
        .await
    }

    /// Says something after which nothing is read.
    pub(super) async fn say_last(&mut self, reply: &str) -> io::Result<()> {
        self.reply(reply).await?;
        patiently(self.writer.flush()).await
    }

    /// The next line without its end, the reply to one that is none, or nothing when the client has left.
    pub(super) async fn line(&mut self) -> io::Result<Option<Result<String, &'static str>>> {
        let mut line = Vec::new();
        let mut too_long = false;
        loop {
            let chunk = self.chunk().await?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            // Of a line that is too long only the end is of interest.
            too_long |= line.len() + taken > LINE;
            if !too_long {
                line.extend_from_slice(&chunk[..taken]);
            }
            self.reader.consume(taken);
            if end.is_some() {
                break;
            }
        }
        Ok(Some(if too_long {
            Err("500 5.5.2 the line is too long")
        } else {
            text(line)
        }))
    }

    /// The message that follows DATA, or nothing when it was longer than `limit`.
    pub(super) async fn message(&mut self, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let mut message = Vec::new();
        let mut too_large = false;
        let mut at = At::LineStart;
        loop {
            let chunk = self.chunk().await?;
            if chunk.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut taken = 0;
            while let Some(&byte) = chunk.get(taken)
                && at != At::End
            {
                at = at.next(byte, &mut message);
                taken += 1;
            }
            self.reader.consume(taken);
            // What is too large is read to its end all the same, or its rest would be taken for commands.
            if message.len() > limit {
                too_large = true;
                message = Vec::new();
            }
            if at == At::End {
                return Ok((!too_large).then_some(message));
            }
        }
    }

    /// What has arrived; empty at the end.
    async fn chunk(&mut self) -> io::Result<&[u8]> {
        if self.reader.buffer().is_empty() {
            patiently(self.writer.flush()).await?;
        }
        patiently(self.reader.fill_buf()).await
    }
}

async fn patiently<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(IDLE, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The text of a line, which nothing but CR LF ends (RFC 5321, section 2.3.8).
fn text(mut line: Vec<u8>) -> Result<String, &'static str> {
    if !line.ends_with(b"\r\n") {
        return Err("500 5.5.2 a line ends with CR LF");
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line)
        .ok()
        .filter(|line| !line.contains(char::is_control))
        .ok_or("500 5.5.2 the line is no UTF-8 text")
}

/// Where in a message a byte stands.
///
/// Nothing but CR LF dot CR LF ends it. A server that takes a bare LF or CR for the end of a line reads commands out of a mail's text, which is known as SMTP smuggling.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    /// After the dot that began a line. It is never part of the message (RFC 5321, section 4.5.2).
    Dot,
    /// After such a dot and CR.
    DotCr,
    /// After another CR.
    Cr,
    Text,
    End,
}

impl At {
    /// Keeps a byte, as far as it belongs to the message.
    fn next(self, byte: u8, message: &mut Vec<u8>) -> Self {
        let next = match (self, byte) {
            (Self::LineStart, b'.') => return Self::Dot,
            (Self::Dot, b'\r') => return Self::DotCr,
            (Self::DotCr, b'\n') => return Self::End,
            (Self::Cr, b'\n') => Self::LineStart,
            (_, b'\r') => Self::Cr,
            _ => Self::Text,
        };
        if self == Self::DotCr {
            message.push(b'\r');
        }
        message.push(byte);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message, and what followed its end.
    fn read(data: &[u8]) -> Option<(String, &[u8])> {
        let mut message = Vec::new();
        let mut at = At::LineStart;
        for (position, &byte) in data.iter().enumerate() {
            at = at.next(byte, &mut message);
            if at == At::End {
                return Some((String::from_utf8(message).unwrap(), &data[position + 1..]));
            }
        }
        None
    }

    #[test]
    fn a_dot_alone_ends_a_message_and_other_dots_lose_their_double() {
        for (data, message) in [
            (".\r\n", ""),
            ("a\r\n.\r\n", "a\r\n"),
            ("..\r\n.\r\n", ".\r\n"),
            ("...\r\na.\r\n..b\r\n.\r\n", "..\r\na.\r\n.b\r\n"),
            (".a\r\n.\r\n", "a\r\n"),
            ("\r\n\r\n.\r\n", "\r\n\r\n"),
        ] {
            let all = format!("{data}QUIT\r\n");
            let (found, rest) = read(all.as_bytes()).unwrap();
            assert_eq!((found.as_str(), rest), (message, &b"QUIT\r\n"[..]));
        }
    }

    #[test]
    fn nothing_else_ends_a_message() {
        for smuggled in [
            "\n.\n",
            "\n.\r\n",
            "\r\n.\n",
            "\r.\r",
            "\r.\r\n",
            "\r\n.\r",
            "\n.\r",
            "\r\n.\r\r\n",
            "\r\n.\0\r\n",
            "\r\n. \r\n",
            "\r\r\n.\n",
        ] {
            let data = format!("a{smuggled}MAIL FROM:<x@y>\r\n.\r\n");
            let (message, rest) = read(data.as_bytes()).unwrap();
            assert!(message.contains("MAIL FROM:<x@y>"), "{smuggled:?}");
            assert!(rest.is_empty(), "{smuggled:?}");
        }
    }
}
