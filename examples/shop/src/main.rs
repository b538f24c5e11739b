//! The shop's one binary: argv picks the process type.

use std::process::ExitCode;

fn main() -> ExitCode {
    shop::app().main()
}
