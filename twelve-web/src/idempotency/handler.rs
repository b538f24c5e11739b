//! A handler that takes idempotency keys.

use axum::{
    RequestExt,
    body::Body,
    extract::{MatchedPath, Request},
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use std::{fmt, sync::Arc};
use twelve_core::{Context, Db, Tx, TxCell};

use super::{
    Idempotency, Presence, fingerprint::Fingerprint, key::Key, keyed_request::KeyedRequest,
};
use crate::{
    endpoint::Endpoint,
    handler::{Description, HttpArguments, HttpHandler},
    limit,
};

/// Makes handlers take idempotency keys.
pub trait IdempotencyExt<A, M>: HttpHandler<A> {
    /// Remembers this handler's answers by the key that the client sends.
    ///
    /// `GET`, `HEAD`, `OPTIONS` and `TRACE` are idempotent by themselves: their keys are not looked at, and the scope is not asked.
    fn idempotent(self, policy: Idempotency) -> Idempotent;
}

impl<H, A, M> IdempotencyExt<A, M> for H
where
    H: HttpHandler<A>,
    A: HttpArguments<M>,
    H::Output: IntoResponse,
    H::Future: Send,
{
    fn idempotent(self, policy: Idempotency) -> Idempotent {
        Idempotent::new(Endpoint::new(self), policy)
    }
}

/// A handler whose answers are remembered: see [`IdempotencyExt::idempotent`].
#[derive(Clone)]
pub struct Idempotent(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    policy: Idempotency,
    description: Description,
}

/// The whole request: an idempotent handler extracts its arguments itself, once the key is claimed.
#[doc(hidden)]
pub struct Whole {
    request: Request,
    context: Context,
}

impl HttpArguments<()> for Whole {
    fn needs(_: &mut twelve_core::Needs) {}

    async fn gather(request: Request, context: &Context) -> Result<Self, Response> {
        let context = context.clone();
        Ok(Self { request, context })
    }
}

impl HttpHandler<Whole> for Idempotent {
    type Output = Response;
    type Future = BoxFuture<'static, Response>;

    fn call(self, Whole { request, context }: Whole) -> Self::Future {
        Box::pin(async move { self.0.answer(request, context).await })
    }

    fn description(&self) -> Option<&Description> {
        Some(&self.0.description)
    }
}

impl Idempotent {
    fn new(endpoint: Endpoint, policy: Idempotency) -> Self {
        let mut description = endpoint.description().clone();
        description.needs.extend(policy.scope.needs());
        // The answers are stored in Postgres, whether or not the handler uses it.
        description.needs.add::<Db>();
        description.idempotent = true;
        if policy.scope.needs().has::<Tx>() {
            description.fault =
                Some("its idempotency scope takes `Tx`, which nothing would commit: take `Db`");
        }
        Self(Arc::new(Inner {
            endpoint,
            policy,
            description,
        }))
    }
}

impl Inner {
    async fn answer(&self, request: Request, context: Context) -> Response {
        if request.method().is_safe() {
            return self.endpoint.call(request, context).await.into_response();
        }
        let route = route(&request);
        match self.handle(route, request, context).await {
            Ok(response) | Err(response) => response,
        }
    }

    /// Finds out whose request it is and which key it has, then runs it; an `Err` is an answer that comes before the claim.
    async fn handle(
        &self,
        route: String,
        request: Request,
        context: Context,
    ) -> Result<Response, Response> {
        let request = request.with_limited_body();
        let (mut parts, body) = request.into_parts();
        let scope = self.policy.scope.find(&mut parts, context.clone()).await?;
        let key = match Key::of(&parts.headers).map_err(IntoResponse::into_response)? {
            Some(key) => key,
            None if self.policy.key == Presence::Optional => {
                let request = Request::from_parts(parts, body);
                let outcome = self.endpoint.call(request, context).await;
                return Ok(outcome.into_response());
            }
            None => return Err(Key::missing().into_response()),
        };
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Err(limit::problem(&error).into_response()),
        };
        let keyed = KeyedRequest {
            peer: parts.extensions.get().cloned(),
            route,
            endpoint: self.endpoint.clone(),
            policy: self.policy.clone(),
            db: context.db().map_err(IntoResponse::into_response)?,
            context,
            cell: TxCell::default(),
            scope,
            key,
            fingerprint: Fingerprint::of(&parts, &body),
        };
        Ok(keyed
            .run(Request::from_parts(parts, Body::from(body)))
            .await)
    }
}

fn route(request: &Request) -> String {
    let path = match request.extensions().get::<MatchedPath>() {
        Some(matched) => matched.as_str(),
        None => request.uri().path(),
    };
    format!("{} {path}", request.method())
}

impl fmt::Debug for Idempotent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotent")
            .field("handler", &self.0.endpoint)
            .field("policy", &self.0.policy)
            .finish()
    }
}
