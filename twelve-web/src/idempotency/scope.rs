//! Whose key it is: two callers may choose the same key, and must not see each other's answers.
//!
//! A scope is stored behind the process type, such as `web/7`: the customer 7 of `web` is not the partner 7 of `partners`.
//! All processes of one type share their keys, whatever their release; a type that is renamed forgets them.

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use std::{
    fmt::{self, Write as _},
    sync::Arc,
};
use twelve_core::{Context, Handler, Needs};
use uuid::Uuid;

use crate::handler::PartsArguments;

/// The longest scope that is stored as it is, in bytes; Postgres bounds what an index can hold.
const LONGEST: usize = 255;

/// What a scope function may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whose idempotency key it is",
    label = "expected a caller's id: `String`, `Uuid`, `i64`, or a `Result` of one",
    note = "the error of the `Result` is the answer: a `Problem`, a `StatusCode`, any `IntoResponse`"
)]
pub trait IntoScope {
    /// The scope, or the answer to somebody who may not ask.
    ///
    /// # Errors
    ///
    /// The refusal, as a response.
    fn into_scope(self) -> Result<String, Response>;
}

macro_rules! by_to_string {
    ($($type:ty),*) => {$(
        impl IntoScope for $type {
            fn into_scope(self) -> Result<String, Response> {
                Ok(self.to_string())
            }
        }
    )*};
}

by_to_string!(String, &str, Uuid, i32, i64, u32, u64);

impl<T: IntoScope, E: IntoResponse> IntoScope for Result<T, E> {
    fn into_scope(self) -> Result<String, Response> {
        self.map_err(IntoResponse::into_response)?.into_scope()
    }
}

/// A scope function with its types erased.
#[derive(Clone)]
pub(super) struct Scope {
    needs: Needs,
    find: Arc<Find>,
}

type Find =
    dyn for<'a> Fn(&'a mut Parts, Context) -> BoxFuture<'a, Result<String, Response>> + Send + Sync;

impl Scope {
    pub(super) fn new<A, H>(function: H) -> Self
    where
        H: Handler<A>,
        A: PartsArguments,
        H::Output: IntoScope,
        H::Future: Send,
    {
        let mut needs = Needs::default();
        A::needs(&mut needs);
        Self {
            needs,
            find: Arc::new(move |parts, context| {
                let function = function.clone();
                Box::pin(async move {
                    let arguments = A::gather(parts, &context).await?;
                    let scope = function.call(arguments).await.into_scope()?;
                    let process_type = &context.identity().process_type;
                    Ok(storable(format!("{process_type}/{scope}")))
                })
            }),
        }
    }

    pub(super) fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Whose key the request carries, or the answer to somebody who may not ask.
    pub(super) async fn find(
        &self,
        parts: &mut Parts,
        context: Context,
    ) -> Result<String, Response> {
        (self.find)(parts, context).await
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// A scope that Postgres can hold: a text of bounded length without NUL.
fn storable(scope: String) -> String {
    if scope.len() <= LONGEST && !scope.contains('\0') {
        return scope;
    }
    let mut hash = String::from("sha256:");
    for byte in Sha256::digest(scope.as_bytes()) {
        // Writing to a `String` cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_cannot_be_stored_is_hashed() {
        assert_eq!(storable("customer 7".into()), "customer 7");
        let long = storable("x".repeat(256));
        assert_eq!(long.len(), "sha256:".len() + 64);
        assert_ne!(long, storable("y".repeat(256)));
        assert!(storable("a\0b".into()).starts_with("sha256:"));
    }
}
