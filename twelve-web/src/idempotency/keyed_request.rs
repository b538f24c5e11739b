//! One request with a key, from the claim to the commit.

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;
use twelve_core::{Context, Db, Error, Problem, Tx, TxCell};

use super::{
    Idempotency,
    fingerprint::{self, Fingerprint},
    key::Key,
    prune,
    record::{Record, Unstorable},
    store,
    verdict::Verdict,
};
use crate::{endpoint::Endpoint, limit::Held, server::Peer, service::catch};

/// How long a duplicate is asked to wait for the request that is in flight, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// A request with its key, about to be handled.
pub(super) struct KeyedRequest {
    /// The connection that it came on; `None` in process.
    pub(super) peer: Option<Peer>,
    pub(super) route: String,
    pub(super) endpoint: Endpoint,
    pub(super) policy: Idempotency,
    pub(super) context: Context,
    pub(super) db: Db,
    /// The cell of the handler's `Tx`: its own, for the one around the whole request would commit too late.
    pub(super) cell: TxCell,
    pub(super) scope: String,
    pub(super) key: Key,
    pub(super) fingerprint: Fingerprint,
}

/// What the key says about the request.
enum Claim {
    /// It is new, and ours until the transaction ends.
    Ours,
    /// Another request with it is being handled.
    InFlight,
    /// It was answered already.
    Answered(Vec<u8>, Record),
}

impl KeyedRequest {
    /// Handles the request, or repeats what it was answered before.
    pub(super) async fn run(self, request: Request) -> Response {
        let room = match &self.peer {
            Some(peer) => peer.room_to_detach().await,
            None => None,
        };
        match self.claim().await {
            Ok(Claim::Ours) => self.detached(request, room).await,
            Ok(Claim::InFlight) => self.undone(in_flight()).await,
            Ok(Claim::Answered(fingerprint, record)) => {
                let response = self.repeat(&fingerprint, record);
                self.undone(response.unwrap_or_else(IntoResponse::into_response))
                    .await
            }
            Err(error) => self.undone(error.into_response()).await,
        }
    }

    /// Handles the request in a task of its own: hyper drops a handler whose client has left, and then a slow request could never be retried to its end.
    ///
    /// Not before the key is claimed: what runs then has a connection to Postgres, so a client that takes its requests back leaves no more of them behind than the pool has places.
    async fn detached(self, request: Request, room: Option<OwnedSemaphorePermit>) -> Response {
        let tracked = self.context.lifecycle().tracker().begin(self.route.clone());
        let body = request.extensions().get::<Held>().cloned();
        let work = async move {
            let response = match self.handle(request).await {
                Ok(response) => response,
                Err(error) => self.undone(error.into_response()).await,
            };
            drop((tracked, room, body));
            response
        };
        match tokio::spawn(work.in_current_span()).await {
            Ok(response) => response,
            Err(error) if error.is_panic() => Problem::internal().into_response(),
            Err(_) => Problem::unavailable().into_response(),
        }
    }

    async fn handle(&self, mut request: Request) -> Result<Response, Error> {
        request.extensions_mut().insert(self.cell.clone());
        let answer = catch(self.endpoint.call(request, self.context.clone())).await;
        match answer.map(Verdict::of) {
            Ok(Verdict::Keep(response)) => self.keep(response).await,
            Ok(Verdict::KeepAnswer(response)) => {
                self.undo_handler().await?;
                self.keep(response).await
            }
            Ok(Verdict::Forget(response)) | Err(response) => Ok(self.undone(response).await),
        }
    }

    async fn claim(&self) -> Result<Claim, Error> {
        let mut tx = Tx::of(&self.cell, self.db.clone())?;
        let number = fingerprint::lock(&self.scope, &self.key);
        if !store::claim(&mut tx, number).await? {
            return Ok(Claim::InFlight);
        }
        Ok(match store::find(&mut tx, &self.scope, &self.key).await? {
            Some((fingerprint, record)) => Claim::Answered(fingerprint, record),
            None => Claim::Ours,
        })
    }

    fn repeat(&self, fingerprint: &[u8], record: Record) -> Result<Response, Error> {
        if fingerprint != self.fingerprint.as_bytes() {
            return Ok(reused());
        }
        record
            .replay()
            .ok_or_else(|| Error::internal("a stored answer cannot be read"))
    }

    /// Takes the handler's writes back, and keeps the claim.
    async fn undo_handler(&self) -> Result<(), Error> {
        let mut tx = Tx::of(&self.cell, self.db.clone())?;
        tx.forget_after_commit();
        store::undo_handler(&mut tx).await
    }

    /// Commits the answer together with what the handler wrote.
    async fn keep(&self, response: Response) -> Result<Response, Error> {
        let (record, response) = match Record::of(response, &self.policy.keep_headers).await {
            Ok(kept) => kept,
            Err(why) => return Ok(self.undone(self.unstorable(why)).await),
        };
        let mut tx = Tx::of(&self.cell, self.db.clone())?;
        let stored = store::insert(
            &mut tx,
            &self.scope,
            &self.key,
            &self.fingerprint,
            &record,
            self.policy.expires,
        )
        .await?;
        drop(tx);
        if !stored {
            // The lock did not keep another request out, the index did: its answer is the one.
            return Ok(self.undone(in_flight()).await);
        }
        // The insert has proved the transaction.
        self.cell.commit_after_success().await?;
        prune::after_storing(&self.context, &self.db);
        Ok(response)
    }

    async fn undone(&self, response: Response) -> Response {
        self.cell.rollback().await;
        response
    }

    fn unstorable(&self, why: Unstorable) -> Response {
        tracing::error!(
            route = self.route,
            "nothing was committed: {why}, and an idempotent route must store it"
        );
        let (kind, title) = match why {
            Unstorable::Broken => return Problem::internal().into_response(),
            Unstorable::TooLarge | Unstorable::Streaming => (
                "response-too-large",
                "The answer cannot be remembered, so nothing was done",
            ),
        };
        Problem::new(500, kind, title).into_response()
    }
}

fn in_flight() -> Response {
    Problem::new(
        409,
        "idempotency-key-in-flight",
        "A request with this Idempotency-Key is being handled",
    )
    .retry_after(RETRY_AFTER_S)
    .into_response()
}

fn reused() -> Response {
    Problem::new(
        422,
        "idempotency-key-reused",
        "This Idempotency-Key belongs to another request",
    )
    .into_response()
}
