//! No tick enqueues twice and none is lost, whatever happens to schedulers, clocks and Postgres (P7).

mod record;
mod ticking;

mod clock;
mod command_line;
mod kills;
mod missed;
mod outage;
mod soak;
