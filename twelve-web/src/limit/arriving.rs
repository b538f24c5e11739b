//! A body as it arrives: it takes its bytes of the budget before they are read, and fails when it stands still.

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
};
use http_body::{Frame, SizeHint};
use http_body_util::Limited;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

use super::{
    Stalled,
    budget::{Full, Held},
    patience::Patience,
};

/// So much is handed on at once, and taken of the budget in advance.
const PIECE: usize = 16 << 10;

/// What a piece costs beside its bytes: who sends single bytes fills memory with what surrounds them.
const AROUND: usize = 256;

/// How long a body waits for others to end, on the whole: else many would share what becomes free, and none would come to its end.
const WAIT: Duration = Duration::from_secs(2);

type Taking = Pin<Box<dyn Future<Output = Result<(), Full>> + Send>>;

pub(super) struct Arriving {
    body: Limited<Body>,
    patience: Patience,
    held: Held,
    /// What was taken of the budget for what comes next.
    reserved: usize,
    taking: Option<(Taking, Instant)>,
    /// How long it may still wait for others.
    patience_for_others: Duration,
    /// What has arrived at once beyond a piece.
    rest: Bytes,
}

impl Arriving {
    pub(super) fn new(body: Limited<Body>, patience: Patience, held: Held) -> Self {
        Self {
            body,
            patience,
            held,
            reserved: 0,
            taking: None,
            patience_for_others: WAIT,
            rest: Bytes::new(),
        }
    }

    /// Waits until so many bytes of the budget are reserved.
    fn poll_reserve(&mut self, context: &mut Context<'_>, bytes: usize) -> Poll<Result<(), Full>> {
        while self.reserved < bytes {
            // A piece is small.
            let missing = bytes - self.reserved;
            let count = u32::try_from(missing).unwrap_or(u32::MAX);
            if self.taking.is_none() && self.held.try_take(count) {
                self.reserved += missing;
                continue;
            }
            self.patience.pause();
            if self.patience.is_draining() {
                // There is no time to wait for others.
                self.patience_for_others = Duration::ZERO;
            }
            let (taking, since) = self.taking.get_or_insert_with(|| {
                let taking = self.held.clone().take(count, self.patience_for_others);
                (Box::pin(taking), Instant::now())
            });
            let taken = ready!(taking.as_mut().poll(context));
            let waited = since.elapsed();
            self.patience_for_others = self.patience_for_others.saturating_sub(waited);
            self.taking = None;
            taken?;
            self.reserved += missing;
        }
        Poll::Ready(Ok(()))
    }

    /// The next piece of what has arrived, which uses up what is reserved for it.
    fn piece(&mut self) -> Bytes {
        let bytes = self.rest.split_to(self.rest.len().min(PIECE));
        let cost = bytes.len() + AROUND;
        self.reserved -= cost;
        if !self.held.is_long() {
            return bytes;
        }
        let held = self.held.clone();
        Bytes::from_owner(Piece { bytes, cost, held })
    }

    /// How much of the budget the next piece may take.
    fn next_cost(&self) -> usize {
        let most = self.body.size_hint().upper().unwrap_or(u64::MAX);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let next = if self.rest.is_empty() {
            most
        } else {
            self.rest.len()
        };
        next.min(PIECE) + AROUND
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            let cost = this.next_cost();
            ready!(this.poll_reserve(context, cost))?;
            if !this.rest.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(this.piece()))));
            }
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Pending if this.patience.is_over(context) => {
                    return Poll::Ready(Some(Err(Box::new(Stalled))));
                }
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        this.patience.moved(data.len());
                        this.rest = data;
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(end) => {
                    this.held.read_whole();
                    return Poll::Ready(end);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut all = SizeHint::new();
        all.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            all.set_upper(upper + rest);
        }
        all
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.held.give_back(self.reserved);
    }
}

/// A piece of a long body, which counts as long as it is alive.
struct Piece {
    bytes: Bytes,
    cost: usize,
    held: Held,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.held.piece_gone(self.cost);
    }
}
