//! A registered resource: the function that builds it, and its attempts to do so.

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use std::{
    any::{Any, TypeId, type_name},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Res, Resource};
use crate::{
    error::{Error, Failure},
    handler::{Arguments, Context, Handler, Needs, Run},
};

/// For how long a failed build is the answer to everyone, before it is tried again.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// The kind of run in which a resource is built: it has no transaction.
#[derive(Debug)]
#[non_exhaustive]
pub struct Building;

/// What a function that builds a resource may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a resource's function may return",
    label = "expected `Result<T, E>`",
    note = "`E` is any error: `twelve::Result<T>` takes all of them with `?`"
)]
pub trait IntoResource {
    /// The resource.
    type Resource;

    /// The resource, or why it cannot be built.
    ///
    /// # Errors
    ///
    /// What the function failed with.
    fn into_resource(self) -> Result<Self::Resource, Failure>;
}

impl<T, E: Into<Failure>> IntoResource for Result<T, E> {
    type Resource = T;

    fn into_resource(self) -> Result<T, Failure> {
        self.map_err(Into::into)
    }
}

type Value = Arc<dyn Any + Send + Sync>;
/// A failure is kept with the moment when it happened.
type Attempt = Shared<BoxFuture<'static, Result<Value, (Instant, Error)>>>;

/// A registered resource with its type erased.
#[derive(Clone)]
pub(crate) struct ResourceSpec {
    /// `TypeId` of `Res<T>`: what the recorded arguments of a handler hold.
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
    needs: Needs,
    build: Arc<dyn Fn(Context) -> BoxFuture<'static, Result<Value, Error>> + Send + Sync>,
    attempt: Arc<Mutex<Option<Attempt>>>,
}

impl ResourceSpec {
    pub(crate) fn new<A, H, T>(build: H) -> Self
    where
        H: Handler<A>,
        A: Arguments<Building>,
        H::Output: IntoResource<Resource = T>,
        H::Future: Send,
        T: Send + Sync + 'static,
    {
        let mut needs = Needs::default();
        A::needs(&mut needs);
        let build = move |context| -> BoxFuture<'static, Result<Value, Error>> {
            let build = build.clone();
            Box::pin(async move {
                let arguments = A::gather(&Run::new(context, Building)).await?;
                match build.call(arguments).await.into_resource() {
                    Ok(value) => Ok(Arc::new(value) as Value),
                    Err(failure) => {
                        let name = type_name::<T>();
                        Err(failure.into_error(format!("the resource `{name}` cannot be built")))
                    }
                }
            })
        };
        Self {
            id: TypeId::of::<Res<T>>(),
            name: type_name::<T>(),
            needs,
            build: Arc::new(build),
            attempt: Arc::default(),
        }
    }

    pub(crate) fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The attempt that everyone shares: the running one, the successful one, or one that failed a moment ago.
    fn attempt(&self, context: &Context) -> Attempt {
        let mut attempt = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*attempt
            && !matches!(known.peek(), Some(Err((failed, _))) if failed.elapsed() >= FAILURE_KEPT)
        {
            return known.clone();
        }
        // A separate task: the first caller may be cancelled, and the others must not start over.
        let build = (self.build)(context.clone());
        let task = tokio::spawn(async { build.await.map_err(|error| (Instant::now(), error)) });
        let name = self.name;
        let fresh = async move {
            task.await.unwrap_or_else(|panic| {
                let error = Error::internal(format!("building `{name}` panicked"));
                Err((Instant::now(), error.with_source(panic)))
            })
        }
        .boxed()
        .shared();
        *attempt = Some(fresh.clone());
        fresh
    }

    /// The value; builds it on its first use, once, however many ask.
    pub(super) async fn value<T: Resource>(&self, context: &Context) -> Result<Res<T>, Error> {
        loop {
            match self.attempt(context).await {
                Ok(value) => {
                    let wrong = |_| Error::internal(format!("`{}` is of another type", self.name));
                    return value.downcast().map(Res).map_err(wrong);
                }
                // Its caller may have left long ago, so this failure is too old to be an answer.
                Err((failed, _)) if failed.elapsed() >= FAILURE_KEPT => {}
                Err((_, error)) => return Err(error),
            }
        }
    }
}
