//! What one look at process and runtime means.
//!
//! The decider asks a [`Question`]: plain values, finitely many, so that a golden table can hold its
//! every answer. It is the only one that ends a session which nobody asked to end, and it does so
//! only on two witnesses: the process is dead, and the runtime is dead or missing.

use crate::closed::closed_enum;
use crate::fact::{BootProbe, LookFact, LookValues, ProcessProbe, RuntimeProbe, ServerProbe};
use crate::policy::Policy;
use crate::record::{
    ActivityState, EndIntent, Exit, Lifecycle, RuntimeReason, RuntimeState, RuntimeVerdict,
    SessionReason, SessionState, SessionVerdict,
};
use crate::step::Rule;
use crate::time::Moment;

closed_enum! {
    /// How a look stands to the session that it is about.
    pub enum Standing {
        /// The session has ended.
        Terminal = "terminal",
        /// `ao kill` was asked for.
        Kill = "kill",
        /// `ao cleanup` was asked for.
        Cleanup = "cleanup",
        /// The merge policy ends it.
        Merged = "merged",
        /// No launch runs yet.
        NoLaunch = "no_launch",
        /// The look is about another launch, or began before this one was committed.
        Fenced = "fenced",
        /// The look began before what is known already.
        Outdated = "outdated",
        /// The look is about the running launch.
        Current = "current",
    }
}

closed_enum! {
    /// What was heard from the agent, seen from its death.
    pub enum Voice {
        /// Nothing since, or only a goodbye, or too long ago.
        Silent = "silent",
        /// It was heard from after the death evidence.
        HeardSince = "heard_since",
    }
}

closed_enum! {
    /// What is known about how the process ended.
    pub enum Ending {
        /// Nothing yet.
        Unknown = "unknown",
        /// Nothing, and it was asked for once more.
        StillUnknown = "still_unknown",
        /// Status 0.
        Clean = "clean",
        /// Another status, or a signal.
        Failed = "failed",
    }
}

closed_enum! {
    /// What would make the end of the process the end of the work.
    pub enum Completion {
        /// Nothing.
        Never = "never",
        /// The agent ends when its work is complete, so a clean exit says so.
        OnCleanExit = "on_clean_exit",
        /// The agent said that it is done.
        Claimed = "claimed",
    }
}

/// Everything that the decider looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question {
    /// How the look stands to the session.
    pub standing: Standing,
    /// What was seen.
    pub look: LookValues,
    /// What was heard since.
    pub voice: Voice,
    /// How the process ended.
    pub ending: Ending,
    /// What would make that the end of the work.
    pub completion: Completion,
}

/// What a look says about the session axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a finding that is not persisted is lost"]
pub enum Finding {
    /// Nothing.
    NotAddressed,
    /// Process and runtime are well.
    Healthy,
    /// The evidence is missing or contradicts itself: quarantine, for this reason.
    Doubt(SessionReason),
    /// It ended.
    Ended(SessionVerdict),
}

/// The decider's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an answer that is not persisted is lost"]
pub struct Answer {
    /// Which rule gave it.
    pub rule: Rule,
    /// What it says about the session axis.
    pub finding: Finding,
    /// What it says about the runtime axis; `None` is *not addressed*.
    pub runtime: Option<RuntimeVerdict>,
    /// Whether a fresh look should be taken at once.
    pub wants_look: bool,
}

impl Answer {
    /// Whether it is a death whose cause is not proven. Nobody asked for it, no server and no boot
    /// explains it, and the work was not complete.
    pub fn is_unproven_death(self) -> bool {
        matches!(self.rule, Rule::PaneDead | Rule::RuntimeMissing)
    }
}

impl Question {
    /// Reads the question off a record and a look that began at `at`.
    pub fn of(lifecycle: &Lifecycle, look: &LookFact, at: &Moment, policy: &Policy) -> Self {
        Self {
            standing: standing(lifecycle, look, at),
            look: look.values,
            voice: voice(lifecycle, at, policy),
            ending: ending(lifecycle, look, at),
            completion: completion(lifecycle),
        }
    }
}

fn standing(lifecycle: &Lifecycle, look: &LookFact, at: &Moment) -> Standing {
    if lifecycle.is_terminal() {
        return Standing::Terminal;
    }
    match lifecycle.intent {
        Some(EndIntent::Kill) => return Standing::Kill,
        Some(EndIntent::Cleanup) => return Standing::Cleanup,
        Some(EndIntent::Merged) => return Standing::Merged,
        None => {}
    }
    let Some(launch) = &lifecycle.launch else { return Standing::NoLaunch };
    // A look in a later boot is later, whatever the wall clock was set to in between.
    let is_later_boot =
        look.values.boot == BootProbe::Rebooted && at.boot != launch.committed_at.boot;
    let is_before_launch = !is_later_boot && launch.committed_at.is_after(at);
    if look.launch != launch.id || is_before_launch {
        return Standing::Fenced;
    }
    // A process that is known to be dead never lives again: a look that says so began earlier.
    let is_before_death = look.values.process == ProcessProbe::Alive
        && lifecycle.process_dead_at.is_some_and(|dead_at| !at.is_after(&dead_at));
    let is_before_doubt = !is_later_boot
        && lifecycle.detecting.is_some_and(|quarantine| quarantine.counted_at.is_after(at));
    if is_before_death || is_before_doubt { Standing::Outdated } else { Standing::Current }
}

fn voice(lifecycle: &Lifecycle, at: &Moment, policy: &Policy) -> Voice {
    let dead_at = lifecycle.process_dead_at.unwrap_or(*at);
    match lifecycle.activity {
        Some(activity)
            if activity.state != ActivityState::Exited
                && activity.at.is_after(&dead_at)
                && at.since(&activity.at) <= policy.veto_for =>
        {
            Voice::HeardSince
        }
        Some(_) | None => Voice::Silent,
    }
}

fn ending(lifecycle: &Lifecycle, look: &LookFact, at: &Moment) -> Ending {
    // The look that asked is not the answer, however often it is taken in.
    let is_asked_again = lifecycle.exit_asked
        && lifecycle.detecting.is_none_or(|doubt| at.is_after(&doubt.counted_at));
    match look.exit.or(lifecycle.exit) {
        Some(Exit::Status(0)) => Ending::Clean,
        Some(Exit::Status(_) | Exit::Signal(_)) => Ending::Failed,
        None if is_asked_again => Ending::StillUnknown,
        None => Ending::Unknown,
    }
}

fn completion(lifecycle: &Lifecycle) -> Completion {
    if lifecycle.claim.is_some() {
        Completion::Claimed
    } else if lifecycle.launch.as_ref().is_some_and(|launch| launch.traits.exits_when_done) {
        Completion::OnCleanExit
    } else {
        Completion::Never
    }
}

/// Decides what a look means.
pub fn decide(question: Question) -> Answer {
    match question.standing {
        Standing::Terminal => not_addressed(Rule::Terminal),
        Standing::Kill => asked_for(SessionReason::ManuallyKilled),
        Standing::Cleanup => asked_for(SessionReason::AutoCleanup),
        Standing::Merged => asked_for(SessionReason::PrMerged),
        Standing::NoLaunch => not_addressed(Rule::NoLaunch),
        Standing::Fenced => not_addressed(Rule::Fenced),
        Standing::Outdated => not_addressed(Rule::OutdatedLook),
        Standing::Current => look(question),
    }
}

fn look(question: Question) -> Answer {
    let seen = question.look;
    let answer =
        |rule, finding| Answer { rule, finding, runtime: runtime_axis(seen), wants_look: false };
    if seen.boot == BootProbe::Rebooted {
        return answer(Rule::Rebooted, ended(SessionReason::HostRebooted));
    }
    let runtime = runtime_of(seen);
    if seen.server == ServerProbe::Unreachable {
        return answer(Rule::CannotTell, Finding::Doubt(SessionReason::ProbeFailure));
    }
    match (seen.process, runtime) {
        (ProcessProbe::Unknown, _) | (_, RuntimeProbe::Unknown) => {
            answer(Rule::CannotTell, Finding::Doubt(SessionReason::ProbeFailure))
        }
        (ProcessProbe::Alive, RuntimeProbe::Alive) => answer(Rule::Healthy, Finding::Healthy),
        (ProcessProbe::Alive, RuntimeProbe::Dead | RuntimeProbe::Missing) => {
            answer(Rule::ProcessWithoutRuntime, Finding::Doubt(SessionReason::RuntimeLost))
        }
        (ProcessProbe::Alive, RuntimeProbe::NotLooked) => {
            answer(Rule::RuntimeNotLooked, Finding::NotAddressed)
        }
        (ProcessProbe::Dead, RuntimeProbe::Alive | RuntimeProbe::NotLooked) => Answer {
            wants_look: true,
            ..answer(Rule::RuntimeWithoutProcess, Finding::Doubt(SessionReason::AgentProcessExited))
        },
        (ProcessProbe::Dead, RuntimeProbe::Dead | RuntimeProbe::Missing) => both_gone(question),
    }
}

fn both_gone(question: Question) -> Answer {
    let runtime = runtime_of(question.look);
    let is_completed = match question.completion {
        Completion::Claimed => true,
        Completion::OnCleanExit => question.ending == Ending::Clean,
        Completion::Never => false,
    };
    let (rule, finding) = if question.voice == Voice::HeardSince {
        (Rule::HeardSince, Finding::Doubt(SessionReason::RuntimeLost))
    } else if runtime == RuntimeProbe::Dead && question.ending == Ending::Unknown {
        // Only a pane that is kept can still tell: a missing one is not asked again.
        (Rule::ExitUnknown, Finding::Doubt(SessionReason::AgentProcessExited))
    } else if is_completed {
        let verdict =
            SessionVerdict { state: SessionState::Done, reason: SessionReason::Completed };
        (Rule::Completed, Finding::Ended(verdict))
    } else if runtime == RuntimeProbe::Dead {
        (Rule::PaneDead, ended(SessionReason::AgentProcessExited))
    } else if question.look.server == ServerProbe::Gone {
        (Rule::ServerGone, ended(SessionReason::ServerGone))
    } else {
        (Rule::RuntimeMissing, ended(SessionReason::RuntimeLost))
    };
    Answer {
        rule,
        finding,
        runtime: runtime_axis(question.look),
        wants_look: rule == Rule::ExitUnknown,
    }
}

/// A server that is proven dead has no runtimes, whatever else was read.
fn runtime_of(seen: LookValues) -> RuntimeProbe {
    if seen.server == ServerProbe::Gone { RuntimeProbe::Missing } else { seen.runtime }
}

/// What a look says about the runtime axis, whatever it says about the session.
fn runtime_axis(seen: LookValues) -> Option<RuntimeVerdict> {
    let runtime_verdict = |state, reason| Some(RuntimeVerdict { state, reason });
    if seen.boot == BootProbe::Rebooted {
        return runtime_verdict(RuntimeState::Missing, RuntimeReason::HostRebooted);
    }
    match seen.server {
        ServerProbe::Gone => {
            return runtime_verdict(RuntimeState::Missing, RuntimeReason::ServerGone);
        }
        ServerProbe::Unreachable => {
            return runtime_verdict(RuntimeState::ProbeFailed, RuntimeReason::ServerUnreachable);
        }
        ServerProbe::Living => {}
    }
    match seen.runtime {
        RuntimeProbe::NotLooked => None,
        RuntimeProbe::Unknown => {
            runtime_verdict(RuntimeState::ProbeFailed, RuntimeReason::ProbeError)
        }
        RuntimeProbe::Missing => runtime_verdict(RuntimeState::Missing, RuntimeReason::TmuxMissing),
        RuntimeProbe::Dead => runtime_verdict(RuntimeState::Exited, RuntimeReason::ProcessMissing),
        RuntimeProbe::Alive => match seen.process {
            ProcessProbe::Alive => {
                runtime_verdict(RuntimeState::Alive, RuntimeReason::ProcessRunning)
            }
            ProcessProbe::Dead => {
                runtime_verdict(RuntimeState::Alive, RuntimeReason::ProcessMissing)
            }
            ProcessProbe::Unknown => {
                runtime_verdict(RuntimeState::ProbeFailed, RuntimeReason::ProbeError)
            }
        },
    }
}

const fn ended(reason: SessionReason) -> Finding {
    Finding::Ended(SessionVerdict { state: SessionState::Terminated, reason })
}

fn asked_for(reason: SessionReason) -> Answer {
    Answer { rule: Rule::EndRequested, finding: ended(reason), runtime: None, wants_look: false }
}

const fn not_addressed(rule: Rule) -> Answer {
    Answer { rule, finding: Finding::NotAddressed, runtime: None, wants_look: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(look: &str, rest: &str, expect: &str) {
        let mut words = look.split(' ');
        let look = LookValues {
            boot: BootProbe::Same,
            server: words.next().unwrap().parse().unwrap(),
            runtime: words.next().unwrap().parse().unwrap(),
            process: words.next().unwrap().parse().unwrap(),
        };
        let mut words = rest.split(' ');
        let answer = decide(Question {
            standing: Standing::Current,
            look,
            voice: words.next().unwrap().parse().unwrap(),
            ending: words.next().unwrap().parse().unwrap(),
            completion: words.next().unwrap().parse().unwrap(),
        });
        let finding = match answer.finding {
            Finding::NotAddressed => "not addressed".to_owned(),
            Finding::Healthy => "healthy".to_owned(),
            Finding::Doubt(reason) => format!("doubt {reason}"),
            Finding::Ended(verdict) => format!("{}/{}", verdict.state, verdict.reason),
        };
        assert_eq!(format!("{}: {finding}", answer.rule), expect);
    }

    #[test]
    fn one_witness_alone_ends_nothing() {
        let rest = "silent failed never";
        check("living alive dead", rest, "runtime_without_process: doubt agent_process_exited");
        check(
            "living not_looked dead",
            rest,
            "runtime_without_process: doubt agent_process_exited",
        );
        check("living missing alive", rest, "process_without_runtime: doubt runtime_lost");
        check("gone missing alive", rest, "process_without_runtime: doubt runtime_lost");
        check("unreachable missing dead", rest, "cannot_tell: doubt probe_failure");
        check("living missing unknown", rest, "cannot_tell: doubt probe_failure");
    }

    #[test]
    fn the_verdict_names_what_died() {
        let rest = "silent failed never";
        check("living dead dead", rest, "pane_dead: terminated/agent_process_exited");
        check("gone missing dead", rest, "server_gone: terminated/server_gone");
        check("living missing dead", rest, "runtime_missing: terminated/runtime_lost");
    }

    #[test]
    fn the_end_of_the_process_completes_only_work_that_can_be_known_complete() {
        check("living dead dead", "silent clean on_clean_exit", "completed: done/completed");
        check("living dead dead", "silent failed claimed", "completed: done/completed");
        check(
            "living dead dead",
            "silent clean never",
            "pane_dead: terminated/agent_process_exited",
        );
        check(
            "living dead dead",
            "silent failed on_clean_exit",
            "pane_dead: terminated/agent_process_exited",
        );
    }

    #[test]
    fn an_exit_status_that_is_not_known_is_asked_for_once_more() {
        check(
            "living dead dead",
            "silent unknown on_clean_exit",
            "exit_unknown: doubt agent_process_exited",
        );
        check(
            "living dead dead",
            "silent still_unknown on_clean_exit",
            "pane_dead: terminated/agent_process_exited",
        );
        check(
            "living missing dead",
            "silent unknown on_clean_exit",
            "runtime_missing: terminated/runtime_lost",
        );
    }

    #[test]
    fn an_agent_heard_after_its_death_is_not_dead_yet() {
        check("living dead dead", "heard_since clean never", "heard_since: doubt runtime_lost");
    }
}
