//! One connection, and what happens to it.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::{Answer, Failure, find};
use super::request::Request;

/// Longer than anything that these tests allow a request to take.
const ANSWER_BOUND: Duration = Duration::from_secs(40);

/// What comes before a body.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The request line or the status line.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// One connection, used for as many requests as the server allows.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> Result<Self, Failure> {
        let connecting = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        match tokio::time::timeout(ANSWER_BOUND, connecting).await {
            Ok(Ok(stream)) => Ok(Self::over(stream)),
            Ok(Err(_)) => Err(Failure::Refused),
            Err(_) => Err(Failure::Silent),
        }
    }

    /// Wraps a connection that was accepted instead of opened.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream
            .set_nodelay(true)
            .expect("switch Nagle's algorithm off");
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.stream.write_all(bytes).await;
        written.map_err(|_| Failure::CutBeforeByte)
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        // A server may refuse a large body before it was sent whole: then the
        // write fails, and the answer is there all the same.
        let sent = self.write(&request.bytes()).await;
        let answer = self.answer().await;
        if answer.is_err() {
            sent?;
        }
        answer
    }

    /// Reads one answer.
    pub(crate) async fn answer(&mut self) -> Result<Answer, Failure> {
        match tokio::time::timeout(ANSWER_BOUND, self.read_answer()).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Silent),
        }
    }

    /// Reads one request, as a server does.
    pub(crate) async fn request(&mut self) -> Result<(Head, Vec<u8>), Failure> {
        let head = self.head().await?;
        let length = length_of(&head.headers).unwrap_or(0);
        let body = self.exactly(length).await?;
        Ok((head, body))
    }

    /// Whether the other side has closed its half, with nothing left to read.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.try_read(&mut byte) {
            Ok(0) => self.unread.is_empty(),
            Ok(_) => {
                self.unread.push(byte[0]);
                false
            }
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    async fn read_answer(&mut self) -> Result<Answer, Failure> {
        loop {
            let Head { line, headers } = self.head().await?;
            let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
            let status = status.unwrap_or_else(|| panic!("not a status line: {line}"));
            // 100 Continue and its like come before the answer.
            if status < 200 {
                continue;
            }
            let body = self.body_of(status, &headers).await?;
            return Ok(Answer {
                status,
                headers,
                body,
            });
        }
    }

    async fn body_of(
        &mut self,
        status: u16,
        headers: &[(String, String)],
    ) -> Result<Vec<u8>, Failure> {
        if status == 204 || status == 304 {
            Ok(Vec::new())
        } else if find(headers, "transfer-encoding").is_some() {
            self.chunks().await
        } else if let Some(length) = length_of(headers) {
            self.exactly(length).await
        } else {
            while self.fill().await? > 0 {}
            Ok(std::mem::take(&mut self.unread))
        }
    }

    /// The first line and the headers, up to the empty line.
    async fn head(&mut self) -> Result<Head, Failure> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let line = if lines.is_empty() {
                line?
            } else {
                line.map_err(|_| Failure::CutAfterByte)?
            };
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let mut lines = lines.into_iter();
        let first = lines.next().ok_or(Failure::CutAfterByte)?;
        let headers = lines.map(|line| {
            let (name, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("not a header: {line}"));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Ok(Head {
            line: first,
            headers: headers.collect(),
        })
    }

    async fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.fill_more().await?;
        }
    }

    async fn chunks(&mut self) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        loop {
            let size = self.line().await?;
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16)
                .unwrap_or_else(|_| panic!("not a chunk size: {size}"));
            body.extend(self.exactly(size).await?);
            self.line().await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Failure> {
        while self.unread.len() < length {
            self.fill_more().await.map_err(|_| Failure::CutAfterByte)?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    async fn fill_more(&mut self) -> Result<(), Failure> {
        let cut = if self.unread.is_empty() {
            Failure::CutBeforeByte
        } else {
            Failure::CutAfterByte
        };
        match self.fill().await {
            Ok(0) | Err(_) => Err(cut),
            Ok(_) => Ok(()),
        }
    }

    async fn fill(&mut self) -> Result<usize, Failure> {
        let read = self.stream.read_buf(&mut self.unread).await;
        read.map_err(|_| Failure::CutAfterByte)
    }
}

fn length_of(headers: &[(String, String)]) -> Option<usize> {
    find(headers, "content-length").map(|length| length.parse().expect("a length is a number"))
}
