//! Idempotency keys: a request that is sent again is answered again, and takes effect once.
//!
//! ```text
//! scope (who is asking, and may they?) ─► key ─► body ─►
//!   BEGIN ─► lock, SAVEPOINT ─► find ─► detached task: extract ─► handler ─► store ─► COMMIT ─► answer
//!              │                 └─ known: replay, or 422 for another request
//!              └─ taken: 409
//! ```
//!
//! Until the key is claimed, a client that takes its request back ends it; from then on it is handled to its end.
//!
//! Claim, the handler's writes and the stored answer are one transaction, so none of them exists without the others.
//! The words are those of the IETF draft *The Idempotency-Key HTTP Header Field*.

mod fingerprint;
mod handler;
mod key;
mod keyed_request;
mod prune;
mod record;
mod scope;
mod store;
mod verdict;

pub use handler::{IdempotencyExt, Idempotent};
pub use scope::IntoScope;

use axum::http::HeaderName;
use sqlx::migrate::Migration;
use std::time::Duration;
use twelve_core::{Handler, migrations::migration};

use self::scope::Scope;
use crate::handler::PartsArguments;

/// How long an answer is remembered, unless the route says otherwise.
///
/// Clients retry for minutes, people for a day.
const EXPIRES: Duration = Duration::from_hours(24);

/// For how long one can be remembered: a leap year.
const LONGEST: Duration = Duration::from_hours(24 * 366);

/// Whether and for whom a route remembers its answers.
///
/// The rules are those of the IETF draft *The Idempotency-Key HTTP Header Field* (`draft-ietf-httpapi-idempotency-key-header`):
///
/// - A key is the header `Idempotency-Key`: 1 to 255 visible ASCII characters, quoted or bare.
///   Without one where it is required, or with a malformed one: 400.
/// - A key belongs to a scope of a process type, and to one request: method, path with query, content type and body.
///   With another request: 422. While the first one is being handled: 409 with `Retry-After`.
///
/// What the draft leaves open is decided by the status:
///
/// - Below 400, the handler's writes and its answer are committed together, and the answer is replayed with `Idempotent-Replayed: true`.
/// - From 400 to 499, the answer is kept and the writes are undone: the same request would be refused again.
/// - 401, 403, 408, 413, 425, 429, anything from 500 on, a panic and what an extractor refuses are about this attempt:
///   nothing is kept, and the key can be used again.
///
/// Only an answer of known length and at most 1 MiB can be kept.
/// Any other is undone and becomes 500 `response-too-large`, for it could not be repeated.
///
/// ```text
/// POST /orders                          POST /orders, again
/// Idempotency-Key: "7f1c"               Idempotency-Key: "7f1c"
///
/// 201 Created                           201 Created
/// Location: /orders/1                   Location: /orders/1
///                                       Idempotent-Replayed: true
/// ```
///
/// ```
/// use axum::http::HeaderMap;
/// use twelve_web::{Idempotency, IdempotencyExt, Router, post};
///
/// async fn create_order() -> &'static str {
///     "created"
/// }
///
/// // A real one authenticates, and answers 401 or 403 by its `Result`.
/// async fn by_customer(headers: HeaderMap) -> String {
///     format!("{:?}", headers.get("authorization"))
/// }
///
/// let create = create_order.idempotent(Idempotency::required(by_customer));
/// let router = Router::new().route("/orders", post(create));
/// assert!(router.routes()[0].is_idempotent());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Idempotency {
    scope: Scope,
    key: Presence,
    expires: Duration,
    keep_headers: Vec<HeaderName>,
}

/// What becomes of a request without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// It is refused.
    Required,
    /// It is handled like any other.
    Optional,
}

impl Idempotency {
    /// Refuses requests without a key, with 400.
    ///
    /// `scope` says whose key it is: an async function of extractors that leave the body alone.
    /// It runs before anything else, so it is the place to authenticate and authorise: what it refuses is neither handled, nor replayed, nor remembered.
    /// It is no part of the unit of work, so it cannot take `Tx`.
    ///
    /// ```
    /// use axum::http::HeaderMap;
    /// use twelve_core::{Problem, Result};
    /// use twelve_web::Idempotency;
    ///
    /// async fn by_token(headers: HeaderMap) -> Result<i64> {
    ///     match headers.get("authorization") {
    ///         Some(token) if token == "Bearer ada" => Ok(7),
    ///         _ => Err(Problem::unauthorized().into()),
    ///     }
    /// }
    ///
    /// let policy = Idempotency::required(by_token);
    /// ```
    pub fn required<A, H>(scope: H) -> Self
    where
        H: Handler<A>,
        A: PartsArguments,
        H::Output: IntoScope,
        H::Future: Send,
    {
        Self::new(Scope::new(scope), Presence::Required)
    }

    /// Handles requests without a key like those of any other route.
    ///
    /// `scope` is as in [`required`](Self::required), and runs for requests without a key too.
    ///
    /// ```
    /// # async fn by_customer() -> i64 { 7 }
    /// let policy = twelve_web::Idempotency::optional(by_customer);
    /// ```
    pub fn optional<A, H>(scope: H) -> Self
    where
        H: Handler<A>,
        A: PartsArguments,
        H::Output: IntoScope,
        H::Future: Send,
    {
        Self::new(Scope::new(scope), Presence::Optional)
    }

    fn new(scope: Scope, key: Presence) -> Self {
        Self {
            scope,
            key,
            expires: EXPIRES,
            keep_headers: Vec::new(),
        }
    }

    /// For how long an answer is remembered: 24 h by default, and 366 days at most, whatever is asked for.
    ///
    /// ```
    /// # async fn by_customer() -> i64 { 7 }
    /// use std::time::Duration;
    /// use twelve_web::Idempotency;
    ///
    /// let policy = Idempotency::required(by_customer).expires(Duration::from_hours(72));
    /// ```
    pub fn expires(mut self, after: Duration) -> Self {
        self.expires = after.min(LONGEST);
        self
    }

    /// Replays this header of the answer too.
    ///
    /// Replayed anyway is what describes the answer and says how it may be used:
    /// every `content-…` header, `location`, `link`, `etag`, `last-modified`, `accept-ranges`, `repr-digest`, `cache-control`, `expires`, `vary`, `allow`, `accept-patch`, `retry-after` and `x-content-type-options`.
    /// Never replayed is what belongs to one exchange, one connection or one client:
    /// `set-cookie`, `date`, `age`, `content-length`, the hop-by-hop headers and those that `connection` names.
    ///
    /// ```
    /// # async fn by_customer() -> i64 { 7 }
    /// use axum::http::HeaderName;
    /// use twelve_web::Idempotency;
    ///
    /// let version = HeaderName::from_static("x-version");
    /// let policy = Idempotency::required(by_customer).keep_header(version);
    /// ```
    pub fn keep_header(mut self, name: HeaderName) -> Self {
        self.keep_headers.push(name);
        self
    }
}

/// The migrations of the table that holds the answers.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    vec![migration(
        20_261_121_000_002,
        "idempotency keys",
        include_str!("../../migrations/20261121000002_idempotency_keys.sql"),
    )]
}
