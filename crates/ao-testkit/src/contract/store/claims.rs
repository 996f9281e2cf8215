//! The list of claims.

use super::{Claim, children, effects, feed, sessions};

macro_rules! claims {
    ($($module:ident keeping $n_events:literal: $($name:ident),+;)+) => {
        &[$($((stringify!($name), $n_events, $module::$name)),+),+]
    };
}

/// Every claim, with the events that the feed of its store keeps: a thousand are more than any
/// claim makes.
pub(super) const ALL: &[Claim] = claims! {
    sessions keeping 1_000:
        a_new_session_is_read_as_it_was_written,
        each_commit_raises_the_revision_by_one,
        a_refused_commit_writes_nothing,
        of_two_writers_on_one_revision_one_wins,
        a_commit_without_a_session_checks_the_revision_and_keeps_it,
        a_repeated_request_is_answered_with_what_it_made,
        a_fact_is_taken_in_once,
        sessions_are_listed_in_the_order_of_making,
        the_journal_gives_the_last_entries_oldest_first,
        the_journal_leads_on_from_the_state_after_its_first_entry,
        only_a_terminal_session_is_removed_and_its_names_stay_used,
        a_session_number_is_never_given_out_again,
        session_numbers_that_are_skipped_are_not_given_out,
        a_project_is_its_id_and_its_path;
    children keeping 1_000:
        a_session_has_at_most_one_saga,
        sagas_in_flight_come_oldest_first,
        a_deadline_is_one_of_its_kind,
        a_deadline_is_due_at_its_very_moment,
        a_deadline_counts_on_its_own_clock,
        a_repeated_message_is_queued_once,
        a_message_moves_only_from_the_state_that_was_read,
        unfinished_messages_are_those_that_are_not_final,
        the_end_of_a_session_cancels_what_is_queued_and_nothing_else,
        the_end_of_an_incident_supersedes_its_own_messages_only;
    effects keeping 1_000:
        an_effect_is_planned_once,
        effects_go_in_order_within_session_and_sink,
        an_effect_that_waits_holds_up_its_own_lane_only,
        a_wait_ends_with_its_boot,
        what_is_no_longer_pending_is_left_alone,
        what_was_told_together_is_done_in_one_write,
        effects_of_a_removed_session_are_performed_all_the_same,
        a_notification_is_delivered_once,
        an_incident_is_opened_once_with_its_effects;
    feed keeping 1_000:
        every_change_is_told_once_and_without_a_gap,
        what_changes_no_axis_is_no_news,
        pages_of_the_feed_join_without_a_gap,
        who_waits_is_woken_by_the_commit,
        a_cursor_of_another_database_is_reset;
    feed keeping 3:
        a_cursor_that_is_too_old_is_reset;
};
