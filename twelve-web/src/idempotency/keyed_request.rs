//! One request with a key, from the claim to the commit.

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use twelve_core::{Context, Db, Error, Problem, Slot, Tx};

use super::{
    Idempotency,
    fingerprint::{self, Fingerprint},
    key::Key,
    prune,
    record::{Record, Unstorable},
    store,
    verdict::Verdict,
};
use crate::{endpoint::Endpoint, service::catch};

/// How long a duplicate is asked to wait for the request that is in flight, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// A request with its key, about to be handled.
pub(super) struct KeyedRequest {
    pub(super) route: String,
    pub(super) endpoint: Endpoint,
    pub(super) policy: Idempotency,
    pub(super) context: Context,
    pub(super) db: Db,
    /// The slot of the handler's `Tx`: its own, for the one around the whole request would commit too late.
    pub(super) slot: Slot,
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
        match self.try_run(request).await {
            Ok(response) => response,
            Err(error) => {
                self.slot.rollback().await;
                error.into_response()
            }
        }
    }

    async fn try_run(&self, mut request: Request) -> Result<Response, Error> {
        match self.claim().await? {
            Claim::Ours => {}
            Claim::InFlight => return Ok(self.undone(in_flight()).await),
            Claim::Answered(fingerprint, record) => {
                let response = self.repeat(&fingerprint, record)?;
                return Ok(self.undone(response).await);
            }
        }
        request.extensions_mut().insert(self.slot.clone());
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
        let mut tx = Tx::of(&self.slot, self.db.clone())?;
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
        let mut tx = Tx::of(&self.slot, self.db.clone())?;
        tx.forget_after_commit();
        store::undo_handler(&mut tx).await
    }

    /// Commits the answer together with what the handler wrote.
    async fn keep(&self, response: Response) -> Result<Response, Error> {
        let (record, response) = match Record::of(response, &self.policy.keep_headers).await {
            Ok(kept) => kept,
            Err(why) => return Ok(self.undone(self.unstorable(why)).await),
        };
        let mut tx = Tx::of(&self.slot, self.db.clone())?;
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
        self.slot.commit_after_success().await?;
        prune::after_storing(&self.context, &self.db);
        Ok(response)
    }

    async fn undone(&self, response: Response) -> Response {
        self.slot.rollback().await;
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
