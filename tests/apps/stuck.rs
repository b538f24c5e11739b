//! An app that misbehaves, for the tests of budgets: its handlers block the thread that they run on.

use std::{thread::sleep, time::Duration};
use twelve::prelude::*;

async fn stuck() {
    sleep(Duration::from_hours(1));
}

fn main() -> ExitCode {
    App::new("stuck")
        .web(Router::new().route("/stuck", get(stuck)))
        .main()
}
