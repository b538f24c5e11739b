//! The router: axum's, with its table open to be listed and checked.
//!
//! ```text
//! route, nest, merge ──► Table (method, path, handler, arguments, faults)
//!                  └───► axum::Router<Context>, unless the table found a fault
//! ```
//!
//! axum panics over a table that is wrong.
//! Here every fault is collected instead, so that an app hears of all of them at once, before it binds a port.

mod method;
mod quiet;
mod route;
mod table;

pub use method::{MethodRouter, delete, get, head, options, patch, post, put};
pub use route::Route;

use axum::{
    extract::{Request, State},
    middleware::{self, Next},
    response::IntoResponse,
    routing,
};
use std::convert::Infallible;
use tower::{Layer, Service};
use twelve_core::{Context, Handler, Needs};

use self::table::{Table, fault_of_path};
use crate::{
    endpoint::Endpoint,
    handler::{HttpArguments, HttpHandler},
    middleware::{Middleware, MiddlewareArguments},
};

/// Which handler answers which request.
///
/// It has axum's names and takes axum's extractors, responses and layers.
///
/// ```
/// use twelve_web::{Router, get};
///
/// async fn greet() -> &'static str {
///     "hello"
/// }
///
/// let router = Router::new().route("/", get(greet));
/// assert_eq!(router.routes()[0].method(), "GET");
/// assert!(router.faults().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Router {
    inner: axum::Router<Context>,
    table: Table,
}

impl Router {
    /// A router without routes: it answers 404.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the handlers of one path. Captures are written `/orders/{id}`, the rest of a path `/files/{*path}`.
    pub fn route(mut self, path: &str, handlers: MethodRouter) -> Self {
        for method in handlers.twice {
            self.table
                .fault(format!("{method} {path}: is routed twice"));
        }
        let routes = handlers
            .handlers
            .iter()
            .map(|(method, description)| Route::new(method, path, description))
            .collect();
        if self.table.admit(routes) {
            self.attempt(|inner| inner.route(path, handlers.inner));
        }
        self
    }

    /// Adds all routes of another router under a prefix.
    ///
    /// Handlers see the path without the prefix, extractors like `OriginalUri` and `MatchedPath` see all of it.
    pub fn nest(mut self, prefix: &str, router: impl Into<Self>) -> Self {
        let router = router.into();
        let fault = fault_of_path(prefix).or_else(|| {
            if prefix == "/" {
                Some("a prefix is longer than `/`: use `merge`")
            } else if prefix.contains("{*") {
                Some("a prefix cannot hold a wildcard")
            } else {
                None
            }
        });
        if let Some(fault) = fault {
            self.table.fault(format!("nest {prefix}: {fault}"));
            return self;
        }
        if self.table.absorb(router.table, Some(prefix)) {
            self.attempt(|inner| inner.nest(prefix, router.inner));
        }
        self
    }

    /// Adds all routes of another router: one of ours, or any `axum::Router`, whose routes cannot be listed.
    pub fn merge(mut self, router: impl Into<Self>) -> Self {
        let router = router.into();
        if self.table.absorb(router.table, None) {
            self.attempt(|inner| inner.merge(router.inner));
        }
        self
    }

    /// Wraps all routes so far, and the fallback, in an async function of extractors, then the [`Request`], then [`Next`].
    ///
    /// It is a layer of axum's `from_fn`, but its extractors find the process's context: `Conf<T>`, `Db`, `Res<T>`.
    /// What they need is recorded like what handlers need, so it is checked at boot.
    /// To wrap only some routes, give them a router of their own and [`merge`](Self::merge) it.
    ///
    /// ```
    /// use axum::{extract::Request, response::Response};
    /// use twelve_core::Db;
    /// use twelve_web::{Next, Router, get};
    ///
    /// async fn with_greeting(_: Db, request: Request, next: Next) -> Response {
    ///     let mut response = next.run(request).await;
    ///     response.headers_mut().insert("x-greeting", "hello".parse().unwrap());
    ///     response
    /// }
    ///
    /// let router = Router::new()
    ///     .route("/", get(async || "hello"))
    ///     .middleware(with_greeting);
    /// assert!(router.needs().has::<Db>());
    /// ```
    pub fn middleware<A, H>(mut self, function: H) -> Self
    where
        H: Handler<A>,
        A: MiddlewareArguments,
        H::Output: IntoResponse,
        H::Future: Send,
    {
        let wrapping = Middleware::new(function);
        self.table.wrap(wrapping.clone());
        self.layer(middleware::from_fn(move |request: Request, next: Next| {
            wrapping.clone().run(request, next)
        }))
    }

    /// Wraps all routes so far, and the fallback, in a tower layer.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<routing::Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        self.inner = self.inner.layer(layer);
        self
    }

    /// Wraps all routes so far in a tower layer, but not the fallback: an unknown path stays 404.
    pub fn route_layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<routing::Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        if self.inner.has_routes() {
            self.inner = self.inner.route_layer(layer);
        } else if self.table.faults().is_empty() {
            self.table
                .fault("`route_layer` comes before any route: it would wrap nothing");
        }
        self
    }

    /// Answers what no route matches. Without one that is a 404.
    pub fn fallback<H, A, M>(mut self, handler: H) -> Self
    where
        H: HttpHandler<A>,
        A: HttpArguments<M>,
        H::Output: IntoResponse,
        H::Future: Send,
    {
        let endpoint = Endpoint::new(handler);
        let route = Route::fallback(endpoint.description());
        if self.table.admit(vec![route]) {
            let call = move |State(context): State<Context>, request: Request| {
                let answer = endpoint.call(request, context);
                async move { answer.await.into_response() }
            };
            self.inner = self.inner.fallback(call);
        }
        self
    }

    /// Every route, and every fallback as the route `* /*`.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        self.table.routes()
    }

    /// Every middleware.
    #[must_use]
    pub fn middlewares(&self) -> &[Middleware] {
        self.table.middleware()
    }

    /// Whatever is wrong with the table; a process does not start with any of it.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        self.table.faults()
    }

    /// What the arguments of all handlers and all middleware need.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.table.needs()
    }

    pub(crate) fn into_axum(self, context: Context) -> axum::Router {
        self.inner.with_state(context)
    }

    /// Changes axum's router; what axum panics over becomes a fault.
    ///
    /// The table knows most faults beforehand, but not the routes inside an `axum::Router`.
    fn attempt(&mut self, change: impl FnOnce(axum::Router<Context>) -> axum::Router<Context>) {
        let inner = std::mem::take(&mut self.inner);
        match quiet::catch(|| change(inner)) {
            Ok(changed) => self.inner = changed,
            Err(panic) => self.table.fault(panic),
        }
    }
}

impl From<axum::Router<Context>> for Router {
    fn from(router: axum::Router<Context>) -> Self {
        let mut table = Table::default();
        table.admit(vec![Route::opaque()]);
        Self {
            inner: router,
            table,
        }
    }
}

impl From<axum::Router<()>> for Router {
    fn from(router: axum::Router<()>) -> Self {
        router.with_state::<Context>(()).into()
    }
}

#[cfg(test)]
mod tests;
