//! Blows, one after the other, while connections are cut all the time.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use super::crew::Crew;
use super::errands::Errands;
use super::ledger::{Ledger, Outage, PATIENCE_S, seconds};
use crate::harness::pgbouncer::Pooler;
use crate::harness::postgres::Postgres;
use crate::harness::process::at_a_moment;
use crate::harness::seed;
use crate::harness::wait::until_true;

/// Longer than a silent worker is waited for, 15 s, and than it takes to notice, 3 s.
const PAUSE: Duration = Duration::from_secs(22);

/// How long a woken worker has to find that its acks are refused.
const AWAKE: Duration = Duration::from_secs(3);

/// After the last blow: the wait for dead workers, and the rest of the work.
const DONE_BOUND: Duration = Duration::from_mins(2);

/// What is done to the workers, or to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// SIGKILL to a worker.
    Kill,
    /// SIGSTOP, and SIGCONT when its jobs have been taken back.
    Pause,
    /// `pg_terminate_backend` for every connection.
    CutAll,
    /// Postgres stops as with `pg_ctl stop -m immediate`, and starts again.
    Restart,
}

/// What is to happen.
pub(crate) struct Plan {
    pub(crate) errands: usize,
    /// How long each takes on average.
    pub(crate) average_ms: u64,
    pub(crate) blows: &'static [Blow],
    /// Whether they come in another order each time.
    pub(crate) shuffled: bool,
    /// From one blow to the next.
    pub(crate) gap_ms: Range<u64>,
    /// From one cut connection to the next.
    pub(crate) cut_ms: Range<u64>,
}

/// How the workers reach Postgres.
#[derive(Debug)]
pub(crate) enum Way {
    Straight,
    /// Through PgBouncer, which pools transactions.
    Pooled,
}

impl Way {
    /// Nothing, and a word about it, where there is no PgBouncer that can do it.
    pub(crate) fn through_a_pooler() -> Option<Self> {
        match Pooler::find() {
            Ok(_) => Some(Self::Pooled),
            Err(why) => {
                println!("SKIPPED, so this is untested here: {why}");
                None
            }
        }
    }

    /// A Postgres of the test's own, and errands on it.
    pub(super) async fn errands(self, count: usize, average_ms: u64) -> Errands {
        let (postgres, pooler) = self.servers().await;
        Errands::enqueued(postgres, pooler, count, average_ms).await
    }

    /// The same without tables and errands.
    pub(super) async fn unreleased(self) -> Errands {
        let (postgres, pooler) = self.servers().await;
        Errands::unreleased(postgres, pooler, 0).await
    }

    async fn servers(self) -> (Postgres, Option<Pooler>) {
        let postgres = Postgres::private().await;
        let pooler = match self {
            Self::Straight => None,
            Self::Pooled => Some(Pooler::before(&postgres).await),
        };
        (postgres, pooler)
    }
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) errands: usize,
    pub(crate) starts: usize,
    pub(crate) kills: usize,
    pub(crate) pauses: usize,
    pub(crate) restarts: usize,
    /// Acks that came too late.
    pub(crate) refused: usize,
    /// Claims of dead workers.
    pub(crate) lost: usize,
    longest_wait_s: f64,
    took: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} errands in {:.1?} with {} starts; {} kills, {} pauses, {} restarts of Postgres; ",
            self.errands, self.took, self.starts, self.kills, self.pauses, self.restarts
        )?;
        write!(
            f,
            "{} acks refused; {} claims of dead workers, the longest wait after a death {:.1} s",
            self.refused, self.lost, self.longest_wait_s
        )
    }
}

/// Carries the plan out and checks what must hold whatever happens.
pub(crate) async fn blow(way: Way, plan: Plan) -> Figures {
    let mut random = seed::random("the storm");
    let began = Instant::now();
    let errands = way.errands(plan.errands, plan.average_ms).await;
    let mut crew = Crew::start(&errands);
    let mut outages = Vec::new();
    let mut blows = plan.blows.to_vec();
    if plan.shuffled {
        random.shuffle(&mut blows);
    }
    let cutting = cut_now_and_then(&errands, plan.cut_ms, random.fork());
    let blowing = async {
        until_at_work(&errands).await;
        let mut resume_at = None;
        for blow in blows {
            let gap = Duration::from_millis(random.u64(plan.gap_ms.clone()));
            wait_and_resume(gap, &mut resume_at, &mut crew).await;
            println!("{:6.1?} {blow:?}", began.elapsed());
            match blow {
                Blow::Kill => crew.kill().await,
                // One that is asleep is enough; the count of pauses tells.
                Blow::Pause if resume_at.is_some() => {}
                Blow::Pause => {
                    crew.pause().await;
                    resume_at = Some(Instant::now() + PAUSE);
                }
                Blow::CutAll => errands.cut(1_000).await,
                Blow::Restart => {
                    outages.push(restart(&errands.postgres).await);
                    // They watch from the beginning again.
                    resume_at = resume_at.map(|_| Instant::now() + PAUSE);
                }
            }
        }
        let rest = resume_at.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(Instant::now())
        });
        wait_and_resume(rest + AWAKE, &mut resume_at, &mut crew).await;
    };
    tokio::select! {
        () = blowing => {}
        _ = cutting => unreachable!("it cuts for ever"),
    }
    errands.until_done(plan.errands, DONE_BOUND).await;

    let ledger = Ledger::of(&errands.database).await;
    let figures = Figures {
        errands: plan.errands,
        starts: ledger.starts(),
        kills: crew.kills,
        pauses: crew.pauses,
        restarts: outages.len(),
        refused: crew.refusals(),
        lost: crew.deaths.iter().map(|death| death.held.len()).sum(),
        longest_wait_s: ledger.longest_wait(&crew.deaths, &outages),
        took: began.elapsed(),
    };
    ledger.expect_one_mark_each(plan.errands);
    assert!(figures.longest_wait_s <= PATIENCE_S, "{figures}");
    figures
}

/// Waits, and wakes the paused worker when its time comes meanwhile.
async fn wait_and_resume(gap: Duration, resume_at: &mut Option<Instant>, crew: &mut Crew<'_>) {
    let until = Instant::now() + gap;
    if let Some(at) = resume_at.take_if(|at| *at <= until) {
        at_a_moment(at.saturating_duration_since(Instant::now())).await;
        crew.resume();
    }
    at_a_moment(until.saturating_duration_since(Instant::now())).await;
}

/// Waits until every worker has begun: a blow to one that is still starting would show nothing.
pub(super) async fn until_at_work(errands: &Errands) {
    let workers = "(SELECT DISTINCT pid FROM starts) AS workers";
    until_true("all workers at work", Duration::from_mins(1), async || {
        errands.database.count(workers).await == 3
    })
    .await;
}

async fn restart(postgres: &Postgres) -> Outage {
    let began = seconds(SystemTime::now());
    postgres.stop_immediately().await;
    postgres.start_again().await;
    let ended = seconds(SystemTime::now());
    Outage { began, ended }
}

async fn cut_now_and_then(errands: &Errands, pause_ms: Range<u64>, mut random: fastrand::Rng) -> ! {
    loop {
        at_a_moment(Duration::from_millis(random.u64(pause_ms.clone()))).await;
        errands.cut(1).await;
    }
}
