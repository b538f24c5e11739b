//! Primary and standby change places under load, and the address of the database moves.

use std::time::{Duration, Instant};

use super::entries::Entries;
use crate::harness::database::Database;
use crate::harness::relay::Relay;
use crate::harness::standby::Pair;

/// From the move of the address on.
const BOUND: Duration = Duration::from_secs(2);

/// When requests may be answered 503.
struct Outage {
    began: Instant,
    /// The address has moved.
    moved: Instant,
}

impl Outage {
    fn excuses(&self, at: Instant) -> bool {
        // One that was sent just before may have met it.
        let from = self.began.checked_sub(BOUND);
        from.is_none_or(|from| at >= from) && at < self.moved + BOUND
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_work_two_seconds_after_the_address_has_left_an_old_primary_that_stays_up() {
    switch_over(1).await;
}

/// The old primary stays up where it was, so the connections that the app makes meanwhile are alive, and read-only for ever.
pub(crate) async fn switch_over(times: usize) {
    let mut pair = Pair::start().await;
    let relay = Relay::before(&pair.primary).await;
    let database = Database::create_on(&pair.primary).await;
    let url = relay.url_of(&database.url);
    let mut app = Entries::released(database, url).await;
    let mut web = app.web().await;
    let mut crew = app.crew();
    let load = Entries::load(web.port);
    let mut outages = Vec::new();
    let mut moved_at = 0;
    for _ in 0..times {
        load.until_more(100).await;
        app.until_crew_goes_on().await;

        let began = Instant::now();
        pair.switch_over().await;
        app.database.move_to(&pair.primary);
        // Once there are connections to the old primary, writes over them are refused.
        load.until_seen("a read from the old primary", |sent| {
            sent.request.method == "GET" && sent.is_served()
        })
        .await;
        load.until_more(100).await;

        relay.move_to(&pair.primary);
        let moved = Instant::now();
        moved_at = app.database.now().await;
        outages.push(Outage { began, moved });
        // As long again as they have time, no request may fail.
        while moved.elapsed() < 2 * BOUND {
            load.until_more(10).await;
        }
    }
    let account = load.stop().await;

    println!("{account}");
    for Outage { moved, .. } in &outages {
        let failed = account.0.iter().filter(|sent| !sent.is_served());
        let after = failed.filter_map(|sent| sent.at.checked_duration_since(*moved));
        let last = after.filter(|after| *after < BOUND).max();
        println!("the last failure, after the move: {last:?}");
    }
    account.expect_served(|sent| {
        let is_excused = outages.iter().any(|outage| outage.excuses(sent.at));
        sent.status() == Some(503) && is_excused
    });
    app.expect_all_once(&account).await;
    app.expect_ticks(moved_at).await;
    web.process.expect_running();
    for process in &mut crew {
        process.expect_running();
    }
}
