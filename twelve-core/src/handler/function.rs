//! Handlers: plain async functions of extractors.
//!
//! The shape of a function and its arguments are two traits on purpose.
//! [`Handler`] puts no bound on the arguments, so choosing its impl never fails because of them.
//! Their own bounds are then checked one by one, and a compile error names the argument at fault.

use futures_util::future::BoxFuture;
use std::sync::Arc;

use super::{Context, FromContext, Needs, Run};
use crate::error::{Error, Failure};

/// An async function of up to ten arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "expected an `async fn` of up to ten arguments"
)]
pub trait Handler<A>: Clone + Send + Sync + 'static {
    /// What it returns.
    type Output;
    /// Its future.
    type Future: Future<Output = Self::Output>;

    /// Calls it.
    fn call(self, arguments: A) -> Self::Future;
}

/// A tuple of arguments, each an extractor for runs of kind `K`.
pub trait Arguments<K>: Sized + Send + 'static {
    /// Collects what the arguments need.
    fn needs(needs: &mut Needs);

    /// Makes the arguments, in their order.
    fn gather(run: &Run<K>) -> impl Future<Output = Result<Self, Error>> + Send;
}

/// Calls a macro with every list of arguments that a handler can have.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_arity {
    ($each:ident) => {
        $each!();
        $each!(A1);
        $each!(A1, A2);
        $each!(A1, A2, A3);
        $each!(A1, A2, A3, A4);
        $each!(A1, A2, A3, A4, A5);
        $each!(A1, A2, A3, A4, A5, A6);
        $each!(A1, A2, A3, A4, A5, A6, A7);
        $each!(A1, A2, A3, A4, A5, A6, A7, A8);
        $each!(A1, A2, A3, A4, A5, A6, A7, A8, A9);
        $each!(A1, A2, A3, A4, A5, A6, A7, A8, A9, A10);
    };
}

macro_rules! handler {
    ($($argument:ident),*) => {
        #[allow(non_snake_case, reason = "type parameters double as variables")]
        impl<F, Fut, $($argument,)*> Handler<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future,
        {
            type Output = Fut::Output;
            type Future = Fut;

            fn call(self, ($($argument,)*): ($($argument,)*)) -> Fut {
                self($($argument),*)
            }
        }

        #[allow(non_snake_case, unused_variables, clippy::unused_async, reason = "the empty tuple uses nothing")]
        impl<K: Send + Sync + 'static, $($argument: FromContext<K>,)*> Arguments<K> for ($($argument,)*) {
            fn needs(needs: &mut Needs) {
                $($argument::needs(needs);)*
            }

            async fn gather(run: &Run<K>) -> Result<Self, Error> {
                $(let $argument = $argument::from_context(run).await?;)*
                Ok(($($argument,)*))
            }
        }
    };
}

for_each_arity!(handler);

/// What a process or a task may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what this handler may return",
    label = "expected `()` or `Result<(), E>`",
    note = "`E` is any error: `twelve::Result<()>` takes all of them with `?`"
)]
pub trait IntoEnd {
    /// Whether it went well.
    ///
    /// # Errors
    ///
    /// What the handler failed with.
    fn into_end(self) -> Result<(), Failure>;
}

impl IntoEnd for () {
    fn into_end(self) -> Result<(), Failure> {
        Ok(())
    }
}

impl<E: Into<Failure>> IntoEnd for Result<(), E> {
    fn into_end(self) -> Result<(), Failure> {
        self.map_err(Into::into)
    }
}

/// A handler with its types erased: it takes a context and the value of its kind of run.
pub struct Erased<K> {
    needs: Needs,
    call: Arc<Call<K>>,
}

type Call<K> = dyn Fn(Context, K) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync;

impl<K: Send + Sync + 'static> Erased<K> {
    /// Erases a handler that is one unit of work: its [`Tx`](crate::Tx) commits when it returns `Ok`.
    pub fn new<A, H>(handler: H) -> Self
    where
        H: Handler<A>,
        A: Arguments<K>,
        H::Output: IntoEnd,
        H::Future: Send,
    {
        let mut needs = Needs::default();
        A::needs(&mut needs);
        let call = move |context, kind| -> BoxFuture<'static, _> {
            let handler = handler.clone();
            Box::pin(async move {
                let run = Run::new(context, kind);
                let arguments = A::gather(&run).await?;
                handler.call(arguments).await.into_end()?;
                Ok(run.tx_cell().commit().await?)
            })
        };
        Self {
            needs,
            call: Arc::new(call),
        }
    }

    /// What its arguments need.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Runs it.
    pub fn call(&self, context: Context, kind: K) -> BoxFuture<'static, Result<(), Failure>> {
        (self.call)(context, kind)
    }
}

impl<K> Clone for Erased<K> {
    fn clone(&self) -> Self {
        Self {
            needs: self.needs.clone(),
            call: Arc::clone(&self.call),
        }
    }
}

impl<K> std::fmt::Debug for Erased<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erased")
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}
