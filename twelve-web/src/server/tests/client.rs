//! A client that speaks HTTP/1.1 byte by byte.

use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::BOUND;

pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn of(stream: TcpStream) -> Self {
        let read = Vec::new();
        Self { stream, read }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Writes to somebody who may have closed.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Writes to a server that may have closed already.
    pub(crate) async fn offer(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Closes this half.
    pub(crate) async fn end(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Writes without giving anybody else a turn.
    pub(crate) fn write_now(&self, text: &str) {
        assert_eq!(self.stream.try_write(text.as_bytes()).unwrap(), text.len());
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.write(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await;
        self.answer().await
    }

    /// The next answer; its length must be known.
    pub(crate) async fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert_ne!(self.more().await.unwrap(), 0, "closed before an answer");
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let mut answer = Answer {
            status: head[9..12].parse().unwrap(),
            head,
            body: Vec::new(),
        };
        let length = answer
            .header("content-length")
            .map_or(0, |value| value.parse().unwrap());
        while self.read.len() < length {
            assert_ne!(self.more().await.unwrap(), 0, "closed within a body");
        }
        answer.body = self.read.drain(..length).collect();
        answer
    }

    /// Everything until the connection closes.
    pub(crate) async fn rest(mut self) -> io::Result<Vec<u8>> {
        while self.more().await? > 0 {}
        Ok(self.read)
    }

    /// Has the other side closed, without another byte?
    pub(crate) async fn is_closed(&mut self) -> bool {
        matches!(self.more().await, Ok(0) | Err(_))
    }

    /// Reads what arrives next; 0 when the other side has closed.
    pub(crate) async fn more(&mut self) -> io::Result<usize> {
        timeout(BOUND, self.stream.read_buf(&mut self.read))
            .await
            .expect("nothing arrives")
    }
}
