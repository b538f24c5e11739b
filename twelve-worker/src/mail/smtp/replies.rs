//! Rewrites a server's replies into the form that lettre accepts.
//!
//! The code alone decides what a reply means; its text may be missing, or be in any encoding (RFC 5321, section 4.2).
//! lettre rejects a line with only a code, and bytes that are not UTF-8. A mail that the server has accepted would then be sent again.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// The longest line, and the longest reply: RFC 5321 (section 4.5.3.1.5) has 512 octets for a line.
const LONGEST: usize = 64 * 1024;

/// A connection whose incoming lines are whole replies in UTF-8.
#[derive(Debug)]
pub(super) struct Replies<S> {
    stream: S,
    /// A line that has not ended.
    line: Vec<u8>,
    /// What has not been read.
    ready: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Replies<S> {
    pub(super) fn new(stream: S) -> Self {
        Self::after("", stream)
    }

    /// A connection on which the server has said this already.
    pub(super) fn after(said: &str, stream: S) -> Self {
        Self {
            stream,
            line: Vec::new(),
            ready: said.as_bytes().to_vec(),
        }
    }

    /// The connection itself. Input that was received and not read is discarded, as STARTTLS demands (RFC 3207, section 4.2).
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// One reply, of one line or several.
    pub(super) async fn next(&mut self) -> io::Result<String> {
        let mut lines = BufReader::new(self);
        let mut reply = String::new();
        loop {
            let begin = reply.len();
            if lines.read_line(&mut reply).await? == 0 {
                return Err(closed());
            }
            if reply.as_bytes().get(begin + 3) != Some(&b'-') {
                return Ok(reply);
            }
            if reply.len() > LONGEST {
                return Err(too_long());
            }
        }
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end();
        self.ready.extend_from_slice(text.as_bytes());
        // lettre requires a word, since in the reply to EHLO it is the server's name.
        self.ready.extend_from_slice(match text.len() {
            3 => b" (no text)\r\n",
            4 => b"(no text)\r\n",
            _ => b"\r\n",
        });
        self.line.clear();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Replies<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let it = &mut *self;
        while it.ready.is_empty() {
            let mut chunk = [0; 1024];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut it.stream).poll_read(context, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            for byte in chunk.filled() {
                it.line.push(*byte);
                if *byte == b'\n' {
                    it.end_line();
                }
            }
            if it.line.len() > LONGEST {
                return Poll::Ready(Err(too_long()));
            }
        }
        let count = it.ready.len().min(to.remaining());
        to.put_slice(&it.ready[..count]);
        it.ready.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replies<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Replies<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncTokioStream for Replies<TlsStream<TcpStream>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().0.peer_addr()
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")
}

fn too_long() -> io::Error {
    let problem = "the server's answer is longer than 64 KiB";
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// What is read when a server says this, in pieces of this many bytes.
    async fn read(said: &[u8], piece: usize) -> String {
        let (ours, mut theirs) = duplex(piece);
        let said = said.to_vec();
        let saying = async move { theirs.write_all(&said).await.unwrap() };
        let mut read = String::new();
        let mut replies = Replies::new(ours);
        let (heard, ()) = tokio::join!(replies.read_to_string(&mut read), saying);
        heard.unwrap();
        read
    }

    #[tokio::test]
    async fn a_reply_is_its_code_whatever_its_text_is() {
        for (said, heard) in [
            (&b"250\r\n"[..], "250 (no text)\r\n"),
            (b"250 \r\n", "250 (no text)\r\n"),
            (b"250 ok\n", "250 ok\r\n"),
            (b"250-\r\n250\r\n", "250-(no text)\r\n250 (no text)\r\n"),
            (b"550 unzul\xe4ssig\r\n", "550 unzul\u{fffd}ssig\r\n"),
            ("250 für Jö\r\n".as_bytes(), "250 für Jö\r\n"),
        ] {
            for piece in [1, 2, 64] {
                assert_eq!(read(said, piece).await, heard, "in pieces of {piece}");
            }
        }
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_refused() {
        let (ours, mut theirs) = duplex(1024);
        let saying = async move {
            // Whoever is no longer heard need not go on.
            let _ = theirs.write_all(&vec![b'2'; 2 * LONGEST]).await;
        };
        let mut replies = Replies::new(ours);
        let hearing = async move { replies.next().await };
        let (heard, ()) = tokio::join!(hearing, saying);
        assert_eq!(heard.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
