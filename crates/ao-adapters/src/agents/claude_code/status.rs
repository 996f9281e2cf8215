//! The file in which a Claude keeps what it does now: `sessions/PID.json`.
//!
//! Claude writes it within a tenth of a second of every change, also of those that no hook tells: a
//! permission granted or refused, a turn interrupted. It goes away with the process, except when
//! that is killed, so it counts only for the process that it names, number and start.

use std::path::PathBuf;

use ao_core::fact::SignalDetail;
use ao_core::ids::AgentSessionId;
use ao_core::ports::RunningAgent;
use ao_core::reading::{Reading, StatusReading};
use ao_core::record::ActivityState;
use ao_core::time::Timestamp;
use serde_json::Value;

use super::config_dir;

/// Where it is.
pub(super) fn path(running: &RunningAgent) -> Option<PathBuf> {
    let file = format!("{}.json", running.process.pid);
    Some(config_dir(running)?.join("sessions").join(file))
}

/// What it says.
pub(super) fn read(running: &RunningAgent, text: &str) -> Option<StatusReading> {
    let file: Value = serde_json::from_str(text).ok()?;
    let word = |name: &str| file.get(name).and_then(Value::as_str);
    let is_its_own = file.get("pid").map(Value::to_string) == Some(running.process.pid.to_string())
        && word("procStart") == Some(running.process.start_ticks.to_string().as_str());
    if !is_its_own {
        return None;
    }
    let (activity, detail) = match word("status")? {
        "busy" => (ActivityState::Active, None),
        "idle" => (ActivityState::Idle, None),
        "shell" => (ActivityState::Ready, Some(SignalDetail::Background)),
        "waiting" => (ActivityState::Blocked, Some(dialog(word("waitingFor")))),
        _ => return None,
    };
    // At rest there may be no conversation yet, or none any more; what works has one.
    let works = matches!(activity, ActivityState::Active | ActivityState::Ready);
    Some(StatusReading {
        reading: Reading { activity, detail },
        since: file.get("statusUpdatedAt").and_then(Value::as_i64).map(Timestamp::from_millis),
        agent_session_id: word("sessionId").filter(|_| works).map(AgentSessionId::new),
    })
}

/// What it waits for, as far as it tells: a plan's approval is called a permission, too.
fn dialog(waiting_for: Option<&str>) -> SignalDetail {
    match waiting_for {
        Some("permission prompt" | "sandbox request" | "worker request") => {
            SignalDetail::Permission
        }
        Some(_) | None => SignalDetail::Question,
    }
}
