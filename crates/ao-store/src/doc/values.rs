//! Names, moments and closed enums.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::Duration;

use ao_core::agent::Signals;
use ao_core::deadline::{DeadlineClock, DeadlineKind};
use ao_core::fact::{BootProbe, ProcessProbe, RuntimeProbe, ServerProbe, SignalDetail, WorkFound};
use ao_core::ids::{
    AgentName, AgentSessionId, BranchName, CauseKey, EffectId, FactId, HomeId, IdempotencyKey,
    InfraIncidentId, IssueRef, LaunchId, MessageId, NodeId, Nonce, NotifierId, Pid, PrNumber,
    ProjectId, RefName, Revision, SessionId, Sha,
};
use ao_core::inbox::Priority;
use ao_core::ledger::{IncidentKey, ReactionKind};
use ao_core::message::{Lane, MessageReason, MessageState};
use ao_core::outbox::{OutboxState, Sink};
use ao_core::ports::InfraIncidentKind;
use ao_core::pr::{Draftness, Mergeability, PrLife};
use ao_core::record::{
    ActivitySource, ActivityState, EndIntent, Exit, PrReason, PrState, RuntimeReason, RuntimeState,
    SessionReason, SessionState,
};
use ao_core::saga::{SagaDirection, SagaKind, SagaStep};
use ao_core::session::{BranchFate, Phase, SessionKind, WorkspaceFate};
use ao_core::step::Rule;
use ao_core::time::{BootId, Moment, Timestamp};

use super::{BadDoc, Doc, Value, enum_doc, opaque_doc, struct_doc, text_doc};

text_doc!(
    ActivitySource,
    ActivityState,
    AgentName,
    BootProbe,
    BranchFate,
    DeadlineClock,
    Draftness,
    EndIntent,
    FactId,
    HomeId,
    InfraIncidentKind,
    Lane,
    LaunchId,
    Mergeability,
    MessageId,
    MessageReason,
    MessageState,
    NodeId,
    Nonce,
    NotifierId,
    OutboxState,
    Phase,
    PrLife,
    PrReason,
    PrState,
    Priority,
    ProcessProbe,
    ProjectId,
    ReactionKind,
    Rule,
    RuntimeProbe,
    RuntimeReason,
    RuntimeState,
    SagaDirection,
    SagaKind,
    SagaStep,
    ServerProbe,
    SessionId,
    SessionKind,
    SessionReason,
    SessionState,
    SignalDetail,
    WorkFound,
    WorkspaceFate,
);

opaque_doc!(
    AgentSessionId,
    BranchName,
    CauseKey,
    EffectId,
    IdempotencyKey,
    InfraIncidentId,
    IssueRef,
    RefName,
    Sha,
);

macro_rules! wrapped_doc {
    ($($name:ident),+) => {$(
        impl Doc for $name {
            fn write(&self) -> Value<'_> {
                self.0.write()
            }

            fn read(value: Value<'_>) -> Result<Self, BadDoc> {
                Doc::read(value).map(Self)
            }
        }
    )+};
}

wrapped_doc!(Pid, PrNumber, Revision);

impl Doc for Timestamp {
    fn write(&self) -> Value<'_> {
        Value::Number(self.as_millis().into())
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        i64::read(value).map(Self::from_millis)
    }
}

/// Seconds and nanoseconds: exact for every duration.
impl Doc for Duration {
    fn write(&self) -> Value<'_> {
        let (secs, nanos) = (self.as_secs(), self.subsec_nanos());
        Value::pair(Value::Number(secs.into()), Value::Number(nanos.into()))
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        let (secs, nanos) = <(u64, u32)>::read(value)?;
        if nanos >= 1_000_000_000 {
            return Err(BadDoc::new(format!("{nanos} nanoseconds are more than a second")));
        }
        Ok(Self::new(secs, nanos))
    }
}

impl Doc for BootId {
    fn write(&self) -> Value<'_> {
        Value::String(self.to_string().into())
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        let text = String::read(value)?;
        Self::parse(&text).ok_or_else(|| BadDoc::new(format!("`{text}` is not a boot id")))
    }
}

struct_doc!(Moment { wall, boot, since_boot, awake });

/// A text where it is one, else its bytes: a path need not be UTF-8.
impl Doc for PathBuf {
    fn write(&self) -> Value<'_> {
        if let Some(text) = self.to_str() {
            return Value::String(text.into());
        }
        let bytes = self.as_os_str().as_bytes();
        Value::Array(bytes.iter().map(|&byte| Value::Number(byte.into())).collect())
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        if matches!(value, Value::String(_)) {
            String::read(value).map(Self::from)
        } else {
            Vec::<u8>::read(value).map(|bytes| Self::from(OsString::from_vec(bytes)))
        }
    }
}

enum_doc!(Exit { "status" => Status(status), "signal" => Signal(signal) });
enum_doc!(Signals { "none" => None, "activity" => Activity, "full" => Full });
enum_doc!(Sink { "notifier" => Notifier(notifier) });
struct_doc!(IncidentKey { reaction, pr });
enum_doc!(DeadlineKind {
    "escalate" => Escalate(incident),
    "no_signal" => NoSignal,
    "agent_idle" => AgentIdle,
    "turn_finished" => TurnFinished,
    "pause_ends" => PauseEnds,
});
