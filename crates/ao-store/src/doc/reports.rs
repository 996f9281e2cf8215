//! The journal's facts and rules.

use ao_core::echo::PromptEcho;
use ao_core::fact::{Fact, FactKind, LookFact, LookValues, Outcome, SignalFact};
use ao_core::journal::JournalEntry;
use ao_core::pr::PrObservation;
use ao_core::step::Because;

use super::{enum_doc, struct_doc};

struct_doc!(LookValues { boot, server, runtime, process });
struct_doc!(LookFact { launch, values, exit, is_first_after_gap, incident, is_held_back });
struct_doc!(SignalFact {
    id,
    launch,
    activity,
    source,
    detail,
    agent_session_id,
    paused_until,
    is_submit,
    prompt,
    transcript,
    message,
});
struct_doc!(PromptEcho { text, is_cut });
struct_doc!(PrObservation { pr });
enum_doc!(Outcome {
    "launched" => Launched(launch),
    "adopted" => Adopted(launch),
    "spawn_failed" => SpawnFailed,
    "end_requested" => EndRequested(intent),
    "runtime_destroyed" => RuntimeDestroyed,
    "restore_requested" => RestoreRequested,
    "restore_queued" => RestoreQueued,
    "spawn_admitted" => SpawnAdmitted,
    "restore_admitted" => RestoreAdmitted,
});
enum_doc!(FactKind {
    "look" => Look(look),
    "signal" => Signal(signal),
    "pull_requests" => PullRequests(seen),
    "outcome" => Outcome(outcome),
    "due" => Due(kind),
    "idle_due" => IdleDue(work),
    "send_failed" => SendFailed(origin),
    "signals_lost" => SignalsLost(n),
});
struct_doc!(Fact { at, kind });
struct_doc!(Because { rule, values });
struct_doc!(JournalEntry { at, fact, because });
