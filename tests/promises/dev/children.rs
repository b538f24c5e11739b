//! Children that end though nobody asked them to.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::place::Place;
use crate::harness::database::Database;

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_child_is_back_within_a_second_and_its_port_never_refuses() {
    let place = Place::new();
    let database = Database::create().await;
    let mut dev = place.dev_on(&database, &[]).await;
    for (kills, bound) in [(1, 1), (1, 2), (2, 4)] {
        let killed = Instant::now();
        // The last time it is killed again as soon as it exists, most likely before it is ready.
        for _ in 0..kills {
            kill(dev.pid_of(&place, "web").await);
        }
        // The connection waits in the supervisor's socket, so the first try is answered.
        assert!(dev.serves(dev.base).await);
        let back = killed.elapsed();
        println!("back after {back:?}");
        assert!(back < Duration::from_secs(bound), "back after {back:?}");
    }
    dev.until_said("ended with signal 9; starts again in", SOON)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_on_crash_ends_all_with_a_failure() {
    let place = Place::new();
    let database = Database::create().await;
    let mut dev = place.dev_on(&database, &["--exit-on-crash"]).await;
    kill(dev.pid_of(&place, "payments").await);
    assert_eq!(dev.process.exit_within(SOON).await.code, Some(1));
    assert!(
        dev.process
            .log()
            .contains("payments.1 ended with signal 9: ending all")
    );
    place.until_empty(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_cannot_boot_says_why_once() {
    let place = Place::new();
    let database = Database::create().await;
    let mut dev = place.dev_on(&database, &[]).await;
    // From now on no process can start: as if a new build lacked a variable.
    let pid = dev.pid_of(&place, "worker").await;
    place.put_script(
        "#!/bin/sh\nif [ $1 = release ]; then exit 1; fi\necho a variable is missing\nexit 78\n",
    );
    kill(pid);
    dev.until_said(
        "ended with exit code 78: starting it again would not help",
        SOON,
    )
    .await;
    dev.until_said("the old processes go on", SOON).await;
    assert!(dev.serves(dev.base).await);
    let said = dev.process.log().matches("a variable is missing").count();
    assert_eq!(said, 1, "{}", dev.process.log());
    // A binary that works again brings it back.
    place.put_binary();
    dev.until_said("every process runs the new binary", Duration::from_secs(20))
        .await;
    assert_ne!(dev.pid_of(&place, "worker").await, pid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_ends_is_noticed_though_something_it_started_goes_on() {
    let place = Place::new();
    let database = Database::create().await;
    let mut dev = place.dev_on(&database, &[]).await;
    place.put_script("#!/bin/sh\n[ $1 = release ] && exit 1\nsleep 45 &\nexit 3\n");
    kill(dev.pid_of(&place, "worker").await);
    dev.until_said("ended with exit code 3; starts again in", SOON)
        .await;
    dev.process.signal(Signal::INT);
    assert_eq!(dev.process.exit_within(SOON).await.code, Some(0));
    place.until_empty(SOON).await;
}

fn kill(pid: i32) {
    let pid = Pid::from_raw(pid).expect("a process id");
    kill_process(pid, Signal::KILL).expect("kill a child");
}
