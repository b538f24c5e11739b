//! A socket that reports what moves through it, and counts as open as long as it lives.

use std::{
    io,
    mem::take,
    os::fd::AsFd,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    runtime::Handle,
    time::timeout,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{activity::Activity, peer::Peer, places::Place};

/// For how long we read on from a client that has not taken our last words yet.
const LINGER: Duration = Duration::from_secs(2);

/// A client's socket.
///
/// An upgraded connection takes it along, and so stays counted and waited for.
pub(super) struct Io {
    pub(super) stream: TcpStream,
    pub(super) activity: Activity,
    pub(super) place: Place,
    pub(super) peer: Peer,
    /// Has the client sent all that it ever will?
    pub(super) ended: bool,
    pub(super) open: TaskTrackerToken,
}

impl Io {
    fn report(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(written)) => self.activity.wrote(Some(*written)),
            Poll::Ready(Err(_)) => self.activity.wrote(Some(0)),
            Poll::Pending => self.activity.wrote(None),
        }
        result
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            self.activity.read(read);
        } else if result.is_ready() && buffer.remaining() > 0 {
            self.ended = true;
        }
        result
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.report(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.report(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Drop for Io {
    /// Closes in stages, where an immediate close could cost the client our last words (RFC 9112, section 9.6).
    ///
    /// The kernel resets a connection that is closed with bytes unread, or that gets more afterwards, and the client's then drops what it has not read.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // A second descriptor, since the first cannot be moved out of here.
        let Ok(stream) = self.stream.as_fd().try_clone_to_owned() else {
            return;
        };
        let stream = std::net::TcpStream::from(stream);
        let lingers = match stream.peek(&mut [0]) {
            Ok(unread) => unread > 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Frames of HTTP/2 say what belongs to which request.
                self.peer.lingers() && !self.activity.is_http2()
            }
            Err(_) => false,
        };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if lingers && let Ok(stream) = TcpStream::from_std(stream) {
            let (place, open) = (take(&mut self.place), self.open.clone());
            runtime.spawn(async move {
                let _ = timeout(LINGER, read_to_the_end(stream)).await;
                drop((place, open));
            });
        }
    }
}

/// Tells the client that nothing more comes, and throws away what it still sends.
async fn read_to_the_end(mut stream: TcpStream) {
    let mut unread = [0; 4096];
    if stream.shutdown().await.is_ok() {
        while let Ok(1..) = stream.read(&mut unread).await {}
    }
}
