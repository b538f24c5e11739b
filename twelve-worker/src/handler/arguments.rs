//! Job handlers: the payload first, then extractors.

use twelve_core::{Error, FromContext, Needs, Run, for_each_arity};

use super::run::JobRun;
use crate::job::Job;

/// The arguments of a job handler: its payload, then up to nine extractors.
pub trait JobArguments: Sized + Send + 'static {
    /// The first argument.
    type Payload: Job;

    /// Collects what the other arguments need.
    fn needs(needs: &mut Needs);

    /// Makes the other arguments, in their order.
    fn gather(
        payload: Self::Payload,
        run: &Run<JobRun>,
    ) -> impl Future<Output = Result<Self, Error>> + Send;
}

macro_rules! job_arguments {
    () => {};
    ($payload:ident $(, $argument:ident)*) => {
        #[allow(non_snake_case, unused_variables, clippy::unused_async, reason = "type parameters double as variables, and a payload alone uses nothing")]
        impl<$payload: Job, $($argument: FromContext<JobRun>,)*> JobArguments for ($payload, $($argument,)*) {
            type Payload = $payload;

            fn needs(needs: &mut Needs) {
                $($argument::needs(needs);)*
            }

            async fn gather(payload: $payload, run: &Run<JobRun>) -> Result<Self, Error> {
                $(let $argument = $argument::from_context(run).await?;)*
                Ok((payload, $($argument,)*))
            }
        }
    };
}

for_each_arity!(job_arguments);
