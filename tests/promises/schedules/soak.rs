//! The same with the shop, for minutes.

use super::kills::kill_in_turn;
use super::record::Record;
use crate::harness::shop::Shop;
use crate::harness::wait::until;

const RUNS: &str =
    "(SELECT schedule, extract(epoch FROM tick)::bigint AS second FROM schedule_runs)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: five minutes"]
async fn every_minute_is_ticked_once_while_schedulers_are_killed_for_five_minutes() {
    let shop = Shop::released().await;
    let _worker = shop.launch(["worker"]).spawn();
    let start = || shop.launch(["scheduler"]).spawn();
    // A kill every 1.5 s on average.
    let _schedulers = kill_in_turn(start, 200, 200..2_800).await;
    let last_kill = shop.database.now().await;
    let record = until("the last minute", super::ticking::SOON * 3, async || {
        let record = Record::of("expire-unpaid", &shop.database.rows(RUNS).await);
        (record.after(last_kill) > 0).then_some(record)
    })
    .await;
    println!("{} ticks of five minutes", record.ticks().len());
    assert!(record.ticks().len() >= 5, "{record:?}");
    assert_eq!(record.missing(60, last_kill), [0; 0]);
    assert_eq!(record.twice(), [0; 0]);
}
