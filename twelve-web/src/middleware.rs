//! Middleware: async functions of extractors that see a request on its way in, and the answer on its way out.

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
    routing::Route,
};
use futures_util::future::BoxFuture;
use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};
use tower::{Layer, Service, ServiceExt};
use twelve_core::{Context, Handler, Problem};

use crate::handler::PartsArguments;

/// A layer from an async function of extractors, then the [`Request`](axum::extract::Request), then [`Next`].
///
/// It is axum's `from_fn`, but its extractors find the process's context: `Conf<T>`, `Db`, `Res<T>`.
/// Their arguments are not checked at boot: what is not registered fails on the first request.
///
/// ```
/// use axum::{extract::Request, response::Response};
/// use twelve_core::Db;
/// use twelve_web::{Next, Router, from_fn};
///
/// async fn with_greeting(_: Db, request: Request, next: Next) -> Response {
///     let mut response = next.run(request).await;
///     response.headers_mut().insert("x-greeting", "hello".parse().unwrap());
///     response
/// }
///
/// let router = Router::new().layer(from_fn(with_greeting));
/// ```
pub fn from_fn<A, H>(function: H) -> Middleware
where
    H: Handler<A>,
    A: MiddlewareArguments,
    H::Output: IntoResponse,
    H::Future: Send,
{
    Middleware(Arc::new(move |request, context, next| {
        let function = function.clone();
        Box::pin(async move {
            match A::gather(request, &context, next).await {
                Ok(arguments) => function.call(arguments).await.into_response(),
                Err(refusal) => refusal,
            }
        })
    }))
}

/// The rest of the way to the handler.
pub struct Next(Route);

impl Next {
    /// Goes on with the request, and answers with the response.
    pub async fn run(self, request: Request) -> Response {
        match self.0.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

/// A layer made by [`from_fn`].
#[derive(Clone)]
pub struct Middleware(Arc<Call>);

type Call = dyn Fn(Request, Context, Next) -> BoxFuture<'static, Response> + Send + Sync;

impl fmt::Debug for Middleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Middleware").finish_non_exhaustive()
    }
}

impl Layer<Route> for Middleware {
    type Service = Wrapped;

    fn layer(&self, route: Route) -> Wrapped {
        Wrapped {
            middleware: self.clone(),
            route,
        }
    }
}

/// A route with a middleware around it.
#[derive(Clone, Debug)]
pub struct Wrapped {
    middleware: Middleware,
    route: Route,
}

impl Service<Request> for Wrapped {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(context) = request.extensions().get::<Context>().cloned() else {
            // Only a router of axum's that was taken out of ours could come here.
            return Box::pin(async { Ok(Problem::internal().into_response()) });
        };
        let answer = (self.middleware.0)(request, context, Next(self.route.clone()));
        Box::pin(async move { Ok(answer.await) })
    }
}

/// The arguments of a middleware: extractors that leave the body alone, then the request and [`Next`].
pub trait MiddlewareArguments: Sized + Send + 'static {
    /// Extracts the arguments, in their order; an extractor's refusal is the answer.
    fn gather(
        request: Request,
        context: &Context,
        next: Next,
    ) -> impl Future<Output = Result<Self, Response>> + Send;
}

macro_rules! middleware_arguments {
    ($($argument:ident),*) => {
        #[allow(non_snake_case, reason = "type parameters double as variables")]
        impl<$($argument,)*> MiddlewareArguments for ($($argument,)* Request, Next)
        where
            ($($argument,)*): PartsArguments,
            $($argument: Send + 'static,)*
        {
            async fn gather(
                request: Request,
                context: &Context,
                next: Next,
            ) -> Result<Self, Response> {
                let (mut parts, body) = request.into_parts();
                let ($($argument,)*) =
                    <($($argument,)*) as PartsArguments>::gather(&mut parts, context).await?;
                Ok(($($argument,)* Request::from_parts(parts, body), next))
            }
        }
    };
}

middleware_arguments!();
middleware_arguments!(A1);
middleware_arguments!(A1, A2);
middleware_arguments!(A1, A2, A3);
middleware_arguments!(A1, A2, A3, A4);
middleware_arguments!(A1, A2, A3, A4, A5);
middleware_arguments!(A1, A2, A3, A4, A5, A6);
