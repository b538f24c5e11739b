//! A handler with its types erased, so that the router and idempotency are compiled once and not per handler.

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use std::{fmt, sync::Arc};
use twelve_core::Context;

use crate::handler::{Description, HttpArguments, HttpHandler};

/// One handler, ready to be called.
#[derive(Clone)]
pub(crate) struct Endpoint {
    description: Description,
    call: Arc<Call>,
}

type Call = dyn Fn(Request, Context) -> BoxFuture<'static, Outcome> + Send + Sync;

/// How a request ended.
///
/// Idempotency remembers what the handler itself refuses, and nothing of what never reached it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The handler answered.
    Answered(Response),
    /// An extractor refused the request: the handler never ran.
    Rejected(Response),
}

impl Outcome {
    pub(crate) fn into_response(self) -> Response {
        match self {
            Self::Answered(response) | Self::Rejected(response) => response,
        }
    }
}

impl Endpoint {
    pub(crate) fn new<H, A, M>(handler: H) -> Self
    where
        H: HttpHandler<A>,
        A: HttpArguments<M>,
        H::Output: IntoResponse,
        H::Future: Send,
    {
        let description = handler.description().cloned();
        let call = move |request, context: Context| -> BoxFuture<'static, Outcome> {
            let handler = handler.clone();
            Box::pin(async move {
                match A::gather(request, &context).await {
                    Ok(arguments) => {
                        Outcome::Answered(handler.call(arguments).await.into_response())
                    }
                    Err(refusal) => Outcome::Rejected(refusal),
                }
            })
        };
        Self {
            description: description.unwrap_or_else(Description::of::<H, A, M>),
            call: Arc::new(call),
        }
    }

    pub(crate) fn description(&self) -> &Description {
        &self.description
    }

    pub(crate) fn call(&self, request: Request, context: Context) -> BoxFuture<'static, Outcome> {
        (self.call)(request, context)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint")
            .field(&self.description.name)
            .finish()
    }
}
