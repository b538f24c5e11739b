//! Which handler answers which method of one path.

use axum::{
    extract::{Request, State},
    response::IntoResponse,
    routing::{self, MethodFilter},
};
use std::convert::Infallible;
use tower::{Layer, Service};
use twelve_core::Context;

use crate::{
    endpoint::Endpoint,
    handler::{Description, HttpArguments, HttpHandler},
};

/// The handlers of one path, by method.
#[derive(Clone, Debug, Default)]
pub struct MethodRouter {
    pub(super) inner: routing::MethodRouter<Context>,
    pub(super) handlers: Vec<(&'static str, Description)>,
    /// Methods that were given two handlers.
    pub(super) twice: Vec<&'static str>,
}

impl MethodRouter {
    fn on<H, A, M>(mut self, method: &'static str, filter: MethodFilter, handler: H) -> Self
    where
        H: HttpHandler<A>,
        A: HttpArguments<M>,
        H::Output: IntoResponse,
        H::Future: Send,
    {
        if self.handlers.iter().any(|(known, _)| *known == method) {
            // axum would panic here; the router reports it instead.
            self.twice.push(method);
            return self;
        }
        let endpoint = Endpoint::new(handler);
        self.handlers.push((method, endpoint.description().clone()));
        let call = move |State(context): State<Context>, request: Request| {
            let answer = endpoint.call(request, context);
            async move { answer.await.into_response() }
        };
        self.inner = self.inner.on(filter, call);
        self
    }

    /// Wraps the handlers of this path so far in a tower layer.
    #[must_use]
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
}

/// Writes, for every method, the free function and the method of [`MethodRouter`].
macro_rules! methods {
    ($($function:ident $name:literal $filter:ident $also:literal;)*) => {
        impl MethodRouter {
            $(
                #[doc = concat!("Answers `", $name, "` as well.", $also)]
                #[must_use]
                pub fn $function<H, A, M>(self, handler: H) -> Self
                where
                    H: HttpHandler<A>,
                    A: HttpArguments<M>,
                    H::Output: IntoResponse,
                    H::Future: Send,
                {
                    self.on($name, MethodFilter::$filter, handler)
                }
            )*
        }

        $(
            #[doc = concat!("Answers `", $name, "` requests.", $also)]
            pub fn $function<H, A, M>(handler: H) -> MethodRouter
            where
                H: HttpHandler<A>,
                A: HttpArguments<M>,
                H::Output: IntoResponse,
                H::Future: Send,
            {
                MethodRouter::default().$function(handler)
            }
        )*
    };
}

methods! {
    get "GET" GET " `HEAD` too, unless it has a handler of its own.";
    post "POST" POST "";
    put "PUT" PUT "";
    patch "PATCH" PATCH "";
    delete "DELETE" DELETE "";
    head "HEAD" HEAD "";
    options "OPTIONS" OPTIONS "";
}
