//! The handler of a job: its arguments, its outcome, and which one runs which kind.

pub(crate) mod arguments;
pub(crate) mod outcome;
pub(crate) mod registry;
pub(crate) mod run;
pub(crate) mod steps;
