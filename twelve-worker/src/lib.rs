//! Background work of twelve: jobs, the engine that runs them, and the store that keeps them.
//!
//! ```text
//! Jobs ──enqueue──► Store ──claim──► claimer ──► executor slot ──► handler
//!   └─ wake-up ─► listener ─ hint ─────►┘                             │
//!                                                                  outcome
//!   heartbeat ─► Store ◄─ rescuer                                     ▼
//!                  ▲────────────────────────── ack ◄─────────────── acker
//! ```
//!
//! - A job is in exactly one [state](store::State), and every attempt ends in exactly one recorded outcome.
//! - An ack names its lease's epoch, a fencing token: the ack of a worker that was declared dead in the meantime is refused.
//! - What a handler did in its `Tx` commits together with the ack, or not at all.
//!
//! Only the crate `twelve` promises a stable API: depend on that one.

mod admin;
mod engine;
mod enqueue;
mod group_commit;
mod handler;
mod host;
mod job;
#[cfg(feature = "mail")]
pub mod mail;
mod schedule;
#[doc(hidden)]
pub mod store;
mod variables;

pub use admin::{Act, Admin, Progress};
pub use engine::settings::{Settings, Waking};
pub use engine::weights::Weights;
pub use engine::worker::{Drained, drain, worker};
pub use enqueue::jobs::{Jobs, Within};
pub use handler::arguments::JobArguments;
pub use handler::outcome::{IntoOutcome, Outcome};
pub use handler::registry::{Registered, Registry};
pub use handler::run::{Attempt, Cancel, JobRun};
pub use handler::steps::{StepKey, Steps};
pub use job::Job;
pub use job::draft::Due;
pub use job::enqueued::Enqueued;
pub use job::id::{ClaimId, JobId, WorkerId};
pub use job::new_job::{IntoNewJob, NewJob};
pub use job::policy::Policy;
pub use job::priority::Priority;
pub use job::queues::Queues;
pub use job::retention::Keep;
pub use job::timestamp::Timestamp;
pub use job::unique::Unique;
#[doc(hidden)]
pub use job::unique::{OnConflict, UniqueKey, Until};
pub use schedule::{
    Schedule,
    admin::{ScheduleSummary, Schedules},
    missed::Missed,
    scheduler::scheduler,
    tick::Tick,
};
pub use store::{
    listing::{Filter, JobDetails, JobError, JobSummary, WorkerSummary},
    postgres::migrations,
    state::{Cause, State},
    verbs::{Cancellation, Pausable, Paused},
    why::{Reason, Why},
};
pub use variables::read_for_arguments;
