//! Jobs that no worker wants: each leaves a clear record, nothing is lost, and the other jobs go on (P10).

mod app;
mod blocking;
mod clock;
mod deadly;
mod payloads;
