//! Item 3's rounds of SIGKILL to `web` at full length.

use crate::idempotency::kills::rounds;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: a minute"]
async fn a_hundred_rounds_of_sigkill_to_web_leave_one_order_each() {
    let figures = rounds(100).await;
    println!("{figures}");
    assert_eq!((figures.rounds, figures.orders), (100, 100));
    // Else the kills never met a request.
    assert!(
        figures.cut_before_commit + figures.cut_after_commit >= 10,
        "{figures}"
    );
}
