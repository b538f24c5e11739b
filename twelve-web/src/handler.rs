//! HTTP handlers: plain async functions of axum's extractors.
//!
//! The shape of a function and its arguments are two traits, as in core: so a compile error names the argument at fault.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use std::any::type_name;
use twelve_core::{Context, Handler, Needs};

/// An async function of up to ten extractors, or one that [`Idempotent`](crate::Idempotent) wraps.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an HTTP handler",
    label = "expected an `async fn` of up to ten extractors"
)]
pub trait HttpHandler<A>: Clone + Send + Sync + 'static {
    /// What it returns.
    type Output;
    /// Its future.
    type Future: Future<Output = Self::Output>;

    /// Calls it.
    fn call(self, arguments: A) -> Self::Future;

    /// What listings say about it, when that is not what its own type says.
    #[doc(hidden)]
    fn description(&self) -> Option<&Description> {
        None
    }
}

impl<A, H: Handler<A>> HttpHandler<A> for H {
    type Output = H::Output;
    type Future = H::Future;

    fn call(self, arguments: A) -> H::Future {
        Handler::call(self, arguments)
    }
}

/// What is known of a handler without running it.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Description {
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    pub(crate) idempotent: bool,
    /// What is wrong with how the handler is put together.
    pub(crate) fault: Option<&'static str>,
}

impl Description {
    pub(crate) fn of<H, A: HttpArguments<M>, M>() -> Self {
        let mut needs = Needs::default();
        A::needs(&mut needs);
        Self {
            name: type_name::<H>(),
            needs,
            idempotent: false,
            fault: None,
        }
    }
}

/// A tuple of extractors; the last one may take the request's body.
///
/// `M` is axum's marker that tells the two kinds of extractors apart.
pub trait HttpArguments<M>: Sized + Send + 'static {
    /// Collects the arguments' types.
    fn needs(needs: &mut Needs);

    /// Extracts the arguments, in their order; an extractor's refusal is the answer.
    fn gather(
        request: Request,
        context: &Context,
    ) -> impl Future<Output = Result<Self, Response>> + Send;
}

impl HttpArguments<()> for () {
    fn needs(_: &mut Needs) {}

    async fn gather(_: Request, _: &Context) -> Result<Self, Response> {
        Ok(())
    }
}

macro_rules! http_arguments {
    ([$($argument:ident),*], $last:ident) => {
        #[allow(non_snake_case, unused_mut, reason = "type parameters double as variables")]
        impl<M, $($argument,)* $last> HttpArguments<M> for ($($argument,)* $last,)
        where
            $($argument: FromRequestParts<Context> + Send + 'static,)*
            $last: FromRequest<Context, M> + Send + 'static,
        {
            fn needs(needs: &mut Needs) {
                $(needs.add::<$argument>();)*
                needs.add::<$last>();
            }

            async fn gather(request: Request, context: &Context) -> Result<Self, Response> {
                let (mut parts, body) = request.into_parts();
                $(
                    let $argument = $argument::from_request_parts(&mut parts, context)
                        .await
                        .map_err(IntoResponse::into_response)?;
                )*
                let request = Request::from_parts(parts, body);
                let $last = $last::from_request(request, context)
                    .await
                    .map_err(IntoResponse::into_response)?;
                Ok(($($argument,)* $last,))
            }
        }
    };
}

http_arguments!([], A1);
http_arguments!([A1], A2);
http_arguments!([A1, A2], A3);
http_arguments!([A1, A2, A3], A4);
http_arguments!([A1, A2, A3, A4], A5);
http_arguments!([A1, A2, A3, A4, A5], A6);
http_arguments!([A1, A2, A3, A4, A5, A6], A7);
http_arguments!([A1, A2, A3, A4, A5, A6, A7], A8);
http_arguments!([A1, A2, A3, A4, A5, A6, A7, A8], A9);
http_arguments!([A1, A2, A3, A4, A5, A6, A7, A8, A9], A10);

/// A tuple of extractors that leave the request's body alone.
pub trait PartsArguments: Sized + Send + 'static {
    /// Collects the arguments' types.
    fn needs(needs: &mut Needs);

    /// Extracts the arguments, in their order; an extractor's refusal is the answer.
    fn gather(
        parts: &mut Parts,
        context: &Context,
    ) -> impl Future<Output = Result<Self, Response>> + Send;
}

macro_rules! parts_arguments {
    ($($argument:ident),*) => {
        #[allow(
            non_snake_case,
            unused_variables,
            clippy::unused_async,
            reason = "type parameters double as variables, and the empty tuple uses nothing"
        )]
        impl<$($argument,)*> PartsArguments for ($($argument,)*)
        where
            $($argument: FromRequestParts<Context> + Send + 'static,)*
        {
            fn needs(needs: &mut Needs) {
                $(needs.add::<$argument>();)*
            }

            async fn gather(parts: &mut Parts, context: &Context) -> Result<Self, Response> {
                $(
                    let $argument = $argument::from_request_parts(parts, context)
                        .await
                        .map_err(IntoResponse::into_response)?;
                )*
                Ok(($($argument,)*))
            }
        }
    };
}

twelve_core::for_each_arity!(parts_arguments);
