//! Three workers, of which those that die are replaced at once.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::errands::Errands;
use super::ledger::{Death, seconds};
use crate::harness::process::Process;

/// What a worker says whose job was taken back meanwhile.
const REFUSED: &str = "ack refused";

/// The workers, the one that was left alone for the longest first.
///
/// A worker is counted as dead by others that have watched it for 15 s.
/// So blows come in turn: with three workers and some seconds between the blows, there always is one that has lived long enough to see.
#[derive(Debug)]
pub(super) struct Crew<'e> {
    errands: &'e Errands,
    running: VecDeque<Process>,
    paused: Option<Process>,
    pub(super) deaths: Vec<Death>,
    pub(super) kills: usize,
    pub(super) pauses: usize,
    pub(super) refused: usize,
}

impl<'e> Crew<'e> {
    pub(super) fn start(errands: &'e Errands) -> Self {
        Self {
            errands,
            running: (0..3).map(|_| errands.worker()).collect(),
            paused: None,
            deaths: Vec::new(),
            kills: 0,
            pauses: 0,
            refused: 0,
        }
    }

    /// SIGKILL, and another worker in its place.
    pub(super) async fn kill(&mut self) {
        let mut victim = self.next();
        victim.kill();
        self.note_death(victim.id()).await;
        self.refused += refusals(&victim);
        self.kills += 1;
        self.running.push_back(self.errands.worker());
    }

    /// SIGTERM, and another worker in its place at once; answers the exit code.
    pub(super) async fn restart(&mut self, bound: Duration) -> Option<i32> {
        let mut victim = self.next();
        victim.signal(Signal::TERM);
        self.running.push_back(self.errands.worker());
        victim.exit_within(bound).await.code
    }

    /// SIGSTOP: for the others it is as dead as one that was killed.
    pub(super) async fn pause(&mut self) {
        assert!(self.paused.is_none(), "one pause at a time");
        let victim = self.next();
        victim.signal(Signal::STOP);
        self.note_death(victim.id()).await;
        self.pauses += 1;
        self.paused = Some(victim);
    }

    /// SIGCONT.
    pub(super) fn resume(&mut self) {
        if let Some(woken) = self.paused.take() {
            woken.signal(Signal::CONT);
            self.running.push_back(woken);
        }
    }

    /// How often the acks of its workers were refused.
    pub(super) fn refusals(&self) -> usize {
        self.refused + self.running.iter().map(refusals).sum::<usize>()
    }

    fn next(&mut self) -> Process {
        let mut victim = self.running.pop_front().expect("a worker runs");
        victim.expect_running();
        victim
    }

    async fn note_death(&mut self, pid: u32) {
        let at = seconds(SystemTime::now());
        let held = self.errands.held_by(pid).await;
        self.deaths.push(Death { at, held });
    }
}

fn refusals(worker: &Process) -> usize {
    worker.log().matches(REFUSED).count()
}
