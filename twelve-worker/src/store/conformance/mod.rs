//! The suite that every store must pass: one test for each sentence that an author may rely on.
//!
//! ```text
//! #[test]
//! fn the_store_conforms() {
//!     conformance::check(fixture);
//! }
//! ```

mod ack;
mod admin;
mod batch;
mod claim;
mod control;
mod enqueue;
mod fence;
mod fixture;
mod rescue;
mod steps;
mod survey;
mod unique;

pub use fixture::{Fixture, draft, profile, retention, until};

use futures_util::future::LocalBoxFuture;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use tokio::runtime;

/// How many tests run at a time.
const AT_ONCE: usize = 4;

type Case = fn(Fixture) -> LocalBoxFuture<'static, ()>;

macro_rules! cases {
    ($($room:ident: [$($case:ident,)*];)*) => {
        /// Every test by its name.
        pub const CASES: &[(&str, Case)] = &[
            $($((stringify!($case), |fixture| Box::pin($room::$case(fixture))),)*)*
        ];
    };
}

cases! {
    control: [
        a_waiting_job_that_was_cancelled_does_not_run,
        the_cancellation_of_a_running_job_is_requested,
        a_cancellation_request_outlives_its_worker,
        a_cancellation_request_that_nobody_can_fulfil_is_forgotten,
        a_job_that_was_rescheduled_is_due_at_its_new_time_alone,
        nobody_is_offered_the_jobs_of_a_paused_queue,
        the_jobs_of_a_paused_kind_are_held_back_and_come_back_in_their_order,
        a_claim_that_knows_only_of_a_pause_that_is_over_holds_nothing_back,
        a_filter_is_walked_in_batches_to_its_end,
        workers_hear_of_control_apart_from_jobs,
        why_knows_who_would_take_a_job,
    ];
    enqueue: [
        a_job_is_claimed_with_everything_that_it_was_given,
        a_payload_comes_back_as_it_was,
        a_job_enqueued_in_a_transaction_is_there_when_that_commits,
        a_job_enqueued_in_a_transaction_that_rolls_back_is_never_there,
        many_jobs_are_enqueued_all_or_none,
        a_delayed_job_is_not_claimed_before_its_time,
        a_moment_that_has_passed_is_now,
        no_delay_is_too_long_to_be_stored,
        jobs_of_every_sort_are_enqueued_at_once,
        a_wake_reaches_those_who_listen,
    ];
    unique: [
        a_second_job_is_kept_out_and_the_answer_names_the_first,
        a_second_job_is_refused_and_nothing_else_is_enqueued_with_it,
        a_second_job_replaces_one_that_has_not_started,
        a_replaced_job_is_due_when_the_second_is,
        a_job_that_runs_is_not_replaced_and_its_key_passes_on,
        a_job_that_has_started_is_followed_by_its_replacement_within_the_period,
        a_job_that_waits_for_its_next_attempt_is_replaced,
        a_key_is_held_until_the_job_has_ended,
        a_job_whose_key_another_holds_is_not_retried,
        a_retried_job_takes_its_key_again,
        a_retried_job_keeps_the_key_that_it_holds_for_its_period,
        of_several_ended_jobs_with_one_key_one_is_retried,
        of_a_retry_and_an_enqueue_at_once_one_job_comes,
        a_key_that_is_held_until_the_start_is_free_when_the_job_runs,
        a_key_that_is_held_until_the_start_is_free_after_its_period_though_the_job_runs,
        a_key_is_held_for_its_period_even_if_the_job_has_ended,
        a_job_that_has_not_ended_holds_its_key_longer_than_its_period,
        of_many_that_are_enqueued_at_once_one_is_new,
        of_many_replacements_at_once_one_job_comes,
        batches_that_share_keys_in_another_order_do_not_deadlock,
        a_key_that_was_taken_in_a_transaction_is_free_when_that_rolls_back,
    ];
    survey: [
        a_survey_of_nothing_is_empty,
        a_survey_has_every_lane_of_a_queue_that_was_ever_used,
        a_survey_tells_where_jobs_wait_and_which_are_older,
        a_survey_tells_when_the_next_job_is_due,
        what_is_due_is_promoted_to_its_lane_the_longest_due_first,
        the_first_job_of_all_is_claimed_by_who_has_looked_before,
        two_that_promote_at_once_promote_once,
    ];
    claim: [
        nobody_claims_what_another_holds,
        a_worker_that_is_not_registered_claims_nothing,
        a_claim_takes_the_oldest_and_no_more_than_its_limit,
        a_claim_takes_from_its_lanes_in_their_order,
        a_claim_takes_from_no_lane_but_its_own,
        a_worker_claims_from_its_own_queues_alone,
        claimers_at_once_never_share_a_job,
        every_claim_has_a_higher_epoch,
        an_outdated_entry_is_taken_off_and_gives_no_job,
        a_job_that_is_released_goes_first,
    ];
    batch: [
        a_group_of_jobs_is_done_at_once,
        of_a_group_only_what_is_not_held_any_more_is_refused,
        a_claim_is_known_until_it_is_forgotten,
        a_claim_whose_answer_was_lost_is_given_up,
        a_claim_cannot_be_made_twice_by_one_name,
    ];
    ack: [
        a_done_job_is_kept_and_never_runs_again,
        a_failed_attempt_is_recorded_and_runs_again_after_its_pause,
        the_last_failed_attempt_fails_the_job,
        a_snooze_spends_no_attempt,
        a_discarded_job_keeps_its_reason,
        a_cancelled_job_keeps_its_reason_and_can_be_retried,
        an_undecodable_job_fails_without_an_attempt,
        a_job_that_is_deferred_for_ever_keeps_one_record,
        deferrals_count_until_an_attempt_ends_otherwise,
        an_endless_snooze_can_be_acked,
        a_job_that_is_released_is_due_at_once_and_spends_no_attempt,
        an_ack_commits_with_its_transaction,
        an_ack_rolls_back_with_its_transaction,
        of_a_done_job_as_much_is_kept_as_was_asked_for,
        a_bare_job_leaves_nothing,
        finished_jobs_are_pruned_in_batches_when_their_time_is_over,
    ];
    fence: [
        an_ack_is_accepted_once,
        an_ack_of_an_earlier_claim_is_refused,
        an_ack_after_a_hand_back_is_refused,
        a_hand_back_after_an_ack_changes_nothing,
        a_hand_back_of_an_earlier_claim_changes_nothing,
        of_an_ack_and_a_rescue_one_wins,
        of_an_ack_in_a_transaction_and_a_rescue_one_wins_and_the_writes_follow,
        a_rescue_does_not_wait_for_an_ack_that_is_being_committed,
    ];
    rescue: [
        a_dead_workers_jobs_run_again_and_spend_no_attempt,
        a_worker_whose_heart_has_beaten_since_is_not_dead,
        a_worker_that_was_declared_dead_is_registered_by_its_next_beat,
        a_job_under_which_too_many_workers_die_fails,
        suspects_wait_in_a_lane_of_their_own,
        the_neighbours_of_a_job_that_kills_are_not_blamed,
        a_suspect_that_has_run_to_an_orderly_end_is_none_any_more,
        a_crash_is_not_counted_against_a_suspect_that_had_company,
        a_crash_is_counted_against_all_that_a_worker_held,
        a_job_that_has_killed_too_often_is_kept_whole,
        a_job_that_nobody_holds_is_rescued,
        a_claim_and_a_rescue_at_once_strand_no_job,
        two_rescuers_rescue_once,
    ];
    steps: [
        the_first_result_of_a_step_is_kept_across_attempts,
        a_result_whose_lease_is_lost_is_refused,
        a_result_comes_back_as_it_was,
    ];
    admin: [
        a_retry_grants_all_attempts_again_and_their_numbers_go_on,
        a_running_job_can_neither_be_retried_nor_discarded,
        a_job_that_was_discarded_by_hand_does_not_run,
        a_listing_shows_what_its_filter_says,
    ];
}

/// Runs every test, each with a store of its own.
///
/// # Panics
///
/// A test failed; the message names each that did.
pub fn check<F: Future<Output = Fixture> + 'static>(fixture: fn() -> F) {
    let next = AtomicUsize::new(0);
    let run_some = || {
        let mut failed = Vec::new();
        while let Some((name, case)) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
            // A thread and a runtime for each: one that panics takes no other with it.
            if thread::spawn(move || run(fixture, *case)).join().is_err() {
                failed.push(*name);
            }
        }
        failed
    };
    let failed = thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(run_some)).collect();
        let failed = threads.into_iter().map(thread::ScopedJoinHandle::join);
        failed.flat_map(Result::unwrap).collect::<Vec<_>>()
    });
    assert!(failed.is_empty(), "the store does not conform: {failed:#?}");
}

fn run<F: Future<Output = Fixture>>(fixture: fn() -> F, case: Case) {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { case(fixture().await).await });
}
