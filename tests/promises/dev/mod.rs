//! `dev` and `start`: one supervisor, and every process type as a real child.

mod place;

mod children;
mod formation;
mod nothing_left;
mod ports;
mod reload;
