//! Everything above the socket: what happens to every request, whichever way it came.
//!
//! ```text
//! request ─► /health, /ready ─► body limit ─► unit of work ─► routes
//! response ◄─ no content where none may be ◄─ problem for a bare 404 or 405, for a body that was cut ◄─ commit or rollback ◄┘
//! ```

mod blank;
mod content;
mod cut;
mod health;
mod panic;
mod unit_of_work;

pub(crate) use content::fit;
pub(crate) use health::is_probe;
pub(crate) use panic::catch;

use axum::{
    body::Body,
    extract::Request,
    http::Method,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use std::{
    convert::Infallible,
    fmt,
    task::{Context as TaskContext, Poll},
    time::Instant,
};
use tracing::Instrument;
use twelve_core::{Context, Error};

use self::cut::Cut;
use crate::{
    limit::{self, Held, Limits},
    router::Router,
    settings::Settings,
};

/// A router with everything that surrounds its routes, as a tower service.
///
/// It answers requests in process, without a socket: that is what the test kit drives.
#[derive(Clone)]
pub struct Service {
    routes: axum::Router,
    context: Context,
    limits: Limits,
}

/// Makes a router answer requests.
///
/// # Errors
///
/// [`Error::is_configuration`] when the router has faults, or a variable is wrong.
pub fn service(router: Router, context: &Context) -> Result<Service, Error> {
    let settings = Settings::of(context)?;
    Service::new(router, context, &settings)
}

impl Service {
    pub(crate) fn new(
        router: Router,
        context: &Context,
        settings: &Settings,
    ) -> Result<Self, Error> {
        if !router.faults().is_empty() {
            let faults = router.faults().join("\n  ");
            return Err(Error::configuration(format!(
                "the routes are wrong:\n  {faults}"
            )));
        }
        Ok(Self {
            routes: router.into_axum(context.clone()),
            context: context.clone(),
            limits: Limits::new(settings, context.lifecycle()),
        })
    }

    /// What bodies may take.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Answers a request.
    pub async fn respond(&self, request: Request) -> Response {
        let for_head = request.method() == Method::HEAD;
        let mut answer = match health::answer(&request, self.context.lifecycle()) {
            Some(answer) => answer,
            None => self.answer(request).await,
        };
        fit(&mut answer, for_head);
        answer
    }

    async fn answer(&self, request: Request) -> Response {
        let begun = Instant::now();
        let method = request.method().clone();
        let path =
            tracing::enabled!(tracing::Level::DEBUG).then(|| request.uri().path().to_owned());
        let response = match limit::bound(request, &self.limits) {
            Ok(mut request) => {
                // What its body takes counts for as long as it is handled.
                let _held = request.extensions().get::<Held>().cloned();
                let cut = Cut::watch(&mut request);
                // Middleware is built before there is a context, and finds it here.
                request.extensions_mut().insert(self.context.clone());
                // Whatever is logged on the way tells which request it was.
                let span = tracing::info_span!(
                    "request",
                    method = request.method().as_str(),
                    path = request.uri().path(),
                );
                let mut response = unit_of_work::run(&self.routes, request)
                    .instrument(span)
                    .await;
                if let Some(cut) = cut {
                    cut.explain(&mut response).await;
                }
                response
            }
            Err(refusal) => refusal,
        };
        if let Some(path) = path {
            let status = response.status().as_u16();
            tracing::debug!(%method, path, status, took = ?begun.elapsed(), "answered");
        }
        blank::fill(response, &method)
    }
}

impl<B> tower::Service<axum::http::Request<B>> for Service
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: axum::http::Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            Ok(service
                .respond(request.map(Body::new))
                .await
                .into_response())
        })
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
