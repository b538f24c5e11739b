//! Whether Postgres takes sessions, asked in its own protocol.
//!
//! A socket that accepts is not enough: Postgres listens while it replays its log, and while it shuts down.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Version 3.0 of the protocol, which every server since 7.4 speaks.
const PROTOCOL: i32 = 196_608;

/// SQLSTATE `too_many_connections`: it is up, and busy.
const TOO_MANY_CONNECTIONS: &[u8] = b"C53300";

/// No message of a server that greets is longer.
const MESSAGE_LIMIT: usize = 64 * 1024;

/// Whether a session can be opened at `socket`.
pub(super) fn is_ready(socket: &Path, role: &str) -> bool {
    open_session(socket, role).unwrap_or(false)
}

fn open_session(socket: &Path, role: &str) -> io::Result<bool> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(&startup(role))?;
    loop {
        let (kind, body) = read_message(&mut stream)?;
        match kind {
            b'Z' => {
                // Terminate: a session that just goes away leaves a line in the log.
                stream.write_all(b"X\0\0\0\x04")?;
                return Ok(true);
            }
            b'E' => return Ok(means_busy(&body)),
            _ => {}
        }
    }
}

/// The first message: its length, which counts itself, the version, and pairs of text that end with zero bytes.
fn startup(role: &str) -> Vec<u8> {
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    for text in ["user", role, "database", "postgres", ""] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [length.to_be_bytes().to_vec(), body].concat()
}

/// All others have a letter in front, which the length does not count.
fn read_message(stream: &mut UnixStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(4..MESSAGE_LIMIT).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body)?;
    Ok((kind, body))
}

/// An error is a list of fields, each a letter and text that ends with a zero byte; `C` is the SQLSTATE.
fn means_busy(error: &[u8]) -> bool {
    error
        .split(|byte| *byte == 0)
        .any(|field| field == TOO_MANY_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_free_connection_is_ready_and_one_that_starts_is_not() {
        assert!(means_busy(
            b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0"
        ));
        assert!(!means_busy(
            b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
        ));
    }

    #[test]
    fn the_first_message_counts_itself() {
        let message = startup("me");
        assert_eq!(message[..4], [0, 0, 0, 35]);
        assert_eq!(message.len(), 35);
        assert_eq!(message[4..8], [0, 3, 0, 0]);
    }
}
