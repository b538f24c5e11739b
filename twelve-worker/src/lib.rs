//! Background work of twelve: jobs, the engine that runs them, and the store that keeps them.
//!
//! ```text
//! Jobs ──enqueue──► Store ──claim──► claimer ──► executor ──► handler
//!   └─ wake ─► listener ─┘              ▲            │
//!                                       │          outcome
//!   heartbeat ─► Store ◄─ rescuer ──────┘            ▼
//!                  ▲─────────────── ack ◄──────── acker
//! ```
//!
//! - A job is in exactly one [state](store::State), and every attempt ends in exactly one recorded outcome.
//! - An ack names the epoch of its claim; a worker that was declared dead in the meantime is refused.
//! - What a handler did in its `Tx` commits together with the ack, or not at all.
//!
//! Only the crate `twelve` promises a stable API: depend on that one.

mod admin;
mod annotations;
mod backoff;
mod canonical;
mod coalescer;
mod engine;
mod enqueued;
mod handler;
mod id;
mod job;
mod jobs;
mod keep;
mod label;
#[cfg(feature = "mail")]
pub mod mail;
mod new_job;
mod outcome;
mod policy;
mod priority;
mod process;
mod queues;
mod registry;
mod run;
mod schedule;
mod settings;
mod steps;
#[doc(hidden)]
pub mod store;
mod unique;
mod weights;

pub use admin::{Act, Admin, Progress};
pub use enqueued::Enqueued;
pub use handler::JobArguments;
pub use id::{ClaimId, JobId, WorkerId};
pub use job::Job;
pub use jobs::{Jobs, Within};
pub use keep::Keep;
pub use new_job::{IntoNewJob, NewJob};
pub use outcome::{IntoOutcome, Outcome};
pub use policy::Policy;
pub use priority::Priority;
pub use process::{Drained, drain, worker};
pub use queues::Queues;
pub use registry::{Registered, Registry};
pub use run::{Attempt, Cancel, JobRun};
pub use schedule::{Missed, Schedule, ScheduleSummary, Schedules, Tick, scheduler};
pub use settings::{Settings, Waking};
pub use steps::{StepKey, Steps};
pub use store::{
    Cancelled, Due, Filter, JobDetails, JobError, JobSummary, Pausable, Paused, Reason, State, Why,
    WorkerSummary, postgres::migrations,
};
pub use unique::Unique;
#[doc(hidden)]
pub use unique::{OnConflict, UniqueKey, Until};
pub use weights::Weights;
