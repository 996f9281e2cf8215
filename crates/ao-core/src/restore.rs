//! What can be told of a restore before it begins: whether anybody asked for the session's end, and
//! what of it does not come back.
//!
//! Whether a session *may* be restored now is not decided here: that depends on what is in flight
//! for it, and on its processes.

use crate::fact::{FactKind, SignalDetail};
use crate::journal::JournalRecord;
use crate::message::{Message, MessageReason, MessageState};
use crate::record::{ActivityState, Lifecycle, PrReason, SessionReason, SessionState};
use crate::session::Session;

/// Whether a session ended though nobody asked for its end: `ao restore --all` takes these up.
///
/// A session that is done, or that somebody ended, ended as it was meant to. One that was put away
/// by a kill *after* it had died is left alone, too. A start that failed is nobody's loss, unless
/// it was the start of a restore.
pub fn is_lost(lifecycle: &Lifecycle) -> bool {
    if lifecycle.session.state != SessionState::Terminated || lifecycle.intent.is_some() {
        return false;
    }
    let reason = lifecycle.session.reason;
    let was_asked_for = matches!(
        reason,
        SessionReason::ManuallyKilled | SessionReason::PrMerged | SessionReason::AutoCleanup
    );
    // Until a forge is heard from, only a restore leaves this reason.
    let was_restored = lifecycle.pr.reason == PrReason::ClearedOnRestore;
    !was_asked_for && (reason != SessionReason::SpawnFailed || was_restored)
}

/// What was under way in an ended session and does not come back with it, as sentence fragments.
///
/// `messages` and `journal` are those of the session; what is not of its last launch is passed over.
pub fn losses(session: &Session, messages: &[Message], journal: &[JournalRecord]) -> Vec<String> {
    let mut lost = Vec::new();
    let activity = last_activity(session, journal);
    lost.extend(
        activity.and_then(|(state, detail)| lost_activity(state, detail)).map(str::to_owned),
    );
    let is_of_the_end =
        |message: &&Message| !session.lifecycle.state_since.is_after(&message.updated_at);
    let n_untyped = messages
        .iter()
        .filter(|it| it.state == MessageState::Cancelled)
        .filter(|it| it.reason == Some(MessageReason::SessionEnded))
        .filter(is_of_the_end)
        .count();
    lost.extend(counted(n_untyped, "was never typed", "were never typed"));
    let n_in_doubt = messages
        .iter()
        .filter(|it| it.launch.is_some() && it.launch == session.record.launch_id)
        .filter(|it| is_in_doubt(it))
        .count();
    lost.extend(counted(n_in_doubt, "may or may not have arrived", "may or may not have arrived"));
    lost
}

/// What the agent was at when it ended. One that still says goodbye says nothing about that: then
/// it is what it had said before.
fn last_activity(
    session: &Session,
    journal: &[JournalRecord],
) -> Option<(ActivityState, Option<SignalDetail>)> {
    let known = session.lifecycle.activity?;
    if known.state != ActivityState::Exited {
        return Some((known.state, known.detail));
    }
    let signals = journal.iter().rev().filter_map(|record| match &record.entry.fact.kind {
        FactKind::Signal(signal) => Some(signal),
        FactKind::Look(_)
        | FactKind::SignalsLost(_)
        | FactKind::PullRequests(_)
        | FactKind::Outcome(_)
        | FactKind::Due(_)
        | FactKind::IdleDue(_)
        | FactKind::SendFailed(_) => None,
    });
    signals
        .filter(|signal| Some(&signal.launch) == session.record.launch_id.as_ref())
        .find(|signal| signal.activity != ActivityState::Exited)
        .map(|signal| (signal.activity, signal.detail))
}

fn is_in_doubt(message: &Message) -> bool {
    match message.state {
        MessageState::InDoubt => true,
        MessageState::Typing | MessageState::Typed => !message.is_final(),
        MessageState::Queued
        | MessageState::Submitted
        | MessageState::Acknowledged
        | MessageState::Refused
        | MessageState::Expired
        | MessageState::Superseded
        | MessageState::Cancelled => false,
    }
}

fn counted(n: usize, one: &str, many: &str) -> Option<String> {
    match n {
        0 => None,
        1 => Some(format!("1 message {one}")),
        n => Some(format!("{n} messages {many}")),
    }
}

const fn lost_activity(state: ActivityState, detail: Option<SignalDetail>) -> Option<&'static str> {
    match (state, detail) {
        (ActivityState::Active, _) => Some("a turn was running and is interrupted"),
        (ActivityState::Ready, Some(SignalDetail::Background)) => {
            Some("background work of the agent was running and ended with it")
        }
        (ActivityState::Ready, _) => Some("the agent had work to come and may not have begun it"),
        (ActivityState::WaitingInput, _) => Some("a question to a human was not answered"),
        (ActivityState::Blocked, _) => Some("a dialog was open and is gone"),
        (ActivityState::Idle | ActivityState::Exited, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fact::{Fact, SignalFact};
    use crate::ids::{FactId, LaunchId, MessageId, ProjectId, Revision, SessionId};
    use crate::journal::JournalEntry;
    use crate::message::Lane;
    use crate::record::{Activity, ActivitySource, EndIntent};
    use crate::step::{Because, Rule};
    use crate::time::{BootId, Moment, Timestamp};

    fn at(seconds: u64) -> Moment {
        Moment {
            wall: Timestamp::from_millis(i64::try_from(seconds * 1_000).unwrap()),
            boot: BootId(1),
            since_boot: Duration::from_secs(seconds),
            awake: Duration::from_secs(seconds),
        }
    }

    fn ended(reason: SessionReason) -> Lifecycle {
        let mut lifecycle = Lifecycle::seeded(SessionReason::SpawnRequested, at(0));
        lifecycle.session.state = SessionState::Terminated;
        lifecycle.session.reason = reason;
        lifecycle.state_since = at(100);
        lifecycle
    }

    #[test]
    fn what_nobody_asked_for_is_lost() {
        for reason in [
            SessionReason::HostRebooted,
            SessionReason::ServerGone,
            SessionReason::RuntimeLost,
            SessionReason::AgentProcessExited,
        ] {
            assert!(is_lost(&ended(reason)), "{reason}");
        }
        for reason in [
            SessionReason::ManuallyKilled,
            SessionReason::PrMerged,
            SessionReason::AutoCleanup,
            SessionReason::SpawnFailed,
        ] {
            assert!(!is_lost(&ended(reason)), "{reason}");
        }
    }

    #[test]
    fn what_was_put_away_or_is_done_or_lives_is_not_lost() {
        let mut killed_late = ended(SessionReason::AgentProcessExited);
        killed_late.intent = Some(EndIntent::Kill);
        assert!(!is_lost(&killed_late));
        let mut done = ended(SessionReason::Completed);
        done.session.state = SessionState::Done;
        assert!(!is_lost(&done));
        assert!(!is_lost(&Lifecycle::seeded(SessionReason::SpawnRequested, at(0))));
    }

    #[test]
    fn a_restore_that_failed_is_tried_again_with_the_others() {
        let mut failed = ended(SessionReason::SpawnFailed);
        failed.pr.reason = PrReason::ClearedOnRestore;
        assert!(is_lost(&failed));
    }

    fn session(activity: Option<(ActivityState, Option<SignalDetail>)>) -> Session {
        let mut lifecycle = ended(SessionReason::ServerGone);
        lifecycle.activity = activity.map(|(state, detail)| Activity {
            state,
            at: at(90),
            source: ActivitySource::Hook,
            detail,
        });
        let record = crate::session::SessionRecord {
            id: SessionId::of(&ProjectId::parse("app").unwrap(), 1),
            node: crate::ids::NodeId::parse("node").unwrap(),
            project: ProjectId::parse("app").unwrap(),
            issue: None,
            kind: crate::session::SessionKind::Worker,
            agent: crate::ids::AgentName::parse("scripted").unwrap(),
            name: None,
            model: None,
            permission_mode: None,
            branch: crate::ids::BranchName::new("ao/app-1"),
            base: crate::session::Base { name: None, sha: None },
            workspace: crate::session::WorkspaceRecord {
                path: "/w".into(),
                fate: crate::session::WorkspaceFate::Present,
                because: None,
                branch: crate::session::BranchFate::Kept,
                preserved_ref: None,
            },
            handle: None,
            launch_id: Some(LaunchId::parse("second").unwrap()),
            nonce: None,
            agent_session_id: None,
            transcript: None,
            usage: None,
            prompt: None,
            argv: Vec::new(),
            phase: crate::session::Phase::Ended,
            trouble: None,
            created_at: at(0).wall,
            updated_at: at(100).wall,
        };
        Session { record, lifecycle, ledger: crate::ledger::Ledger::default() }
    }

    fn message(
        state: MessageState,
        reason: Option<MessageReason>,
        launch: Option<&str>,
        seconds: u64,
    ) -> Message {
        Message {
            id: MessageId::parse("m").unwrap(),
            session: SessionId::of(&ProjectId::parse("app").unwrap(), 1),
            lane: Lane::Human,
            text: "x".to_owned(),
            n_stripped: 0,
            state,
            reason,
            launch: launch.map(|it| LaunchId::parse(it).unwrap()),
            idempotency_key: None,
            origin: None,
            created_at: at(0),
            typing_at: None,
            updated_at: at(seconds),
        }
    }

    #[track_caller]
    fn check(
        activity: Option<(ActivityState, Option<SignalDetail>)>,
        messages: &[Message],
        expect: &[&str],
    ) {
        assert_eq!(losses(&session(activity), messages, &[]), expect);
    }

    #[test]
    fn what_the_agent_was_at_is_told() {
        check(None, &[], &[]);
        check(Some((ActivityState::Idle, None)), &[], &[]);
        check(Some((ActivityState::Active, None)), &[], &["a turn was running and is interrupted"]);
        check(
            Some((ActivityState::Ready, Some(SignalDetail::Background))),
            &[],
            &["background work of the agent was running and ended with it"],
        );
        check(
            Some((ActivityState::Blocked, Some(SignalDetail::Permission))),
            &[],
            &["a dialog was open and is gone"],
        );
    }

    #[test]
    fn messages_of_the_last_launch_are_counted_and_no_others() {
        use MessageState::{Acknowledged, Cancelled, InDoubt, Typed, Typing};
        let ended = Some(MessageReason::SessionEnded);
        check(
            None,
            &[
                message(Cancelled, ended, None, 100),
                message(Cancelled, ended, None, 101),
                // Of an earlier end, and taken back by its sender.
                message(Cancelled, ended, None, 50),
                message(Cancelled, Some(MessageReason::TakenBack), None, 100),
                message(InDoubt, None, Some("second"), 99),
                message(Typed, None, Some("second"), 99),
                message(Typing, None, Some("second"), 99),
                message(Typed, Some(MessageReason::CannotConfirm), Some("second"), 99),
                message(InDoubt, None, Some("first"), 40),
                message(Acknowledged, None, Some("second"), 99),
            ],
            &["2 messages were never typed", "3 messages may or may not have arrived"],
        );
        check(None, &[message(Cancelled, ended, None, 100)], &["1 message was never typed"]);
    }

    #[test]
    fn behind_a_goodbye_stands_what_the_last_launch_was_at() {
        let goodbye = ActivityState::Exited;
        let heard = |launch: &str, activity: &str| {
            let signal = SignalFact {
                id: FactId::parse("f").unwrap(),
                launch: LaunchId::parse(launch).unwrap(),
                activity: activity.parse().unwrap(),
                source: ActivitySource::Hook,
                detail: None,
                agent_session_id: None,
                paused_until: None,
                is_submit: false,
                prompt: None,
                transcript: None,
                message: None,
            };
            let fact = Fact { at: at(90), kind: FactKind::Signal(signal) };
            let because = Because { rule: Rule::Settled, values: String::new() };
            JournalRecord {
                seq: 1,
                session: SessionId::parse("app-1").unwrap(),
                revision: Revision(1),
                entry: JournalEntry { at: at(90), fact, because },
            }
        };
        let session = session(Some((goodbye, None)));
        let told = |journal: &[JournalRecord]| losses(&session, &[], journal);
        let turn = ["a turn was running and is interrupted"];
        assert_eq!(told(&[heard("second", "active"), heard("second", "exited")]), turn);
        assert_eq!(
            told(&[
                heard("second", "active"),
                heard("first", "blocked"),
                heard("second", "exited")
            ]),
            turn
        );
        let rested =
            [heard("second", "active"), heard("second", "idle"), heard("second", "exited")];
        assert!(told(&rested).is_empty());
        assert!(told(&[heard("first", "active"), heard("second", "exited")]).is_empty());
    }
}
