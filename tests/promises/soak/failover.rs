//! Five switchovers, there and back.

use crate::failover::switch_over;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: a minute"]
async fn writes_work_two_seconds_after_each_of_five_switchovers_and_nothing_is_lost() {
    switch_over(5).await;
}
