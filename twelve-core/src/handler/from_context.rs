//! What can be an argument of a handler.

use super::{Needs, Run};
use crate::error::Error;

/// An argument of a handler that is not HTTP's own.
///
/// Derive it for a struct of extractors: the struct then works in HTTP handlers too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of this handler",
    label = "not available to `{K}` handlers",
    note = "handlers take `Db`, `Redis`, `Tx`, `Jobs`, `Mailer`, `Res<T>`, `Conf<T>`, `Blocking`, `Shutdown` and types with `#[derive(FromContext)]`",
    note = "axum's extractors cannot be fields of a struct with `#[derive(FromContext)]`: other handlers have no request",
    note = "`Path`, `Query`, `HeaderMap` and the like need a request, `JobId`, `Attempt`, `Steps` and `Cancel` need a job, `Tick` needs a schedule, `Args<T>` needs a task"
)]
pub trait FromContext<K>: Sized + Send + 'static {
    /// Says what this argument needs, so that the wiring is checked and only what is used is required.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }

    /// Makes the argument.
    fn from_context(run: &Run<K>) -> impl Future<Output = Result<Self, Error>> + Send;
}

/// Writes axum's `FromRequestParts` for a type that implements [`FromContext`].
///
/// A blanket impl would be shorter, but the trait is axum's.
#[doc(hidden)]
#[macro_export]
macro_rules! extractable {
    (impl $(<$parameter:ident: $bound:path>)? for $type:ty) => {
        impl<S, $($parameter: $bound)?> $crate::__private::FromRequestParts<S> for $type
        where
            S: Send + Sync,
            $crate::Context: $crate::__private::FromRef<S>,
        {
            type Rejection = $crate::Error;

            async fn from_request_parts(
                parts: &mut $crate::__private::Parts,
                state: &S,
            ) -> Result<Self, $crate::Error> {
                let run = $crate::Run::request(parts, state);
                <Self as $crate::FromContext<$crate::Request>>::from_context(&run).await
            }
        }
    };
}
pub(crate) use extractable;
