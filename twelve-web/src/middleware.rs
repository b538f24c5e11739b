//! Middleware: async functions of extractors that see a request on its way in, and the answer on its way out.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use std::{any::type_name, fmt, sync::Arc};
use twelve_core::{Context, Handler, Needs, Problem};

use crate::handler::PartsArguments;

/// One entry of a router's list of middleware: see [`Router::middleware`](crate::Router::middleware).
#[derive(Clone)]
pub struct Middleware {
    name: &'static str,
    needs: Needs,
    call: Arc<Call>,
}

type Call = dyn Fn(Request, Context, Next) -> BoxFuture<'static, Response> + Send + Sync;

impl Middleware {
    pub(crate) fn new<A, H>(function: H) -> Self
    where
        H: Handler<A>,
        A: MiddlewareArguments,
        H::Output: IntoResponse,
        H::Future: Send,
    {
        let mut needs = Needs::default();
        A::needs(&mut needs);
        Self {
            name: type_name::<H>(),
            needs,
            call: Arc::new(move |request, context, next| {
                let function = function.clone();
                Box::pin(async move {
                    match A::gather(request, &context, next).await {
                        Ok(arguments) => function.call(arguments).await.into_response(),
                        Err(refusal) => refusal,
                    }
                })
            }),
        }
    }

    /// The name of the function's type, such as `shop::payments::misbehave`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The types of its extractors.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    pub(crate) async fn run(self, request: Request, next: Next) -> Response {
        match request.extensions().get::<Context>().cloned() {
            Some(context) => (self.call)(request, context, next).await,
            // Only a router of axum's that was taken out of ours could come here.
            None => Problem::internal().into_response(),
        }
    }
}

impl fmt::Debug for Middleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Middleware").field(&self.name).finish()
    }
}

/// The arguments of a middleware: extractors that leave the body alone, then the request and [`Next`].
pub trait MiddlewareArguments: Sized + Send + 'static {
    /// Collects the extractors' types.
    fn needs(needs: &mut Needs);

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
            fn needs(needs: &mut Needs) {
                <($($argument,)*) as PartsArguments>::needs(needs);
            }

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
