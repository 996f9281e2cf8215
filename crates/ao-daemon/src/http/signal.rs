//! What programs inside a session have to say.

use std::sync::Arc;
use std::time::Duration;

use ao_api::signal::{ReportState, SIGNAL_BYTES_MAX, Signal, SignalRequest, SignalResponse, Stamp};
use ao_core::fact::{Fact, FactKind, SignalDetail, SignalFact};
use ao_core::ids::{AgentName, FactId, LaunchId, SessionId};
use ao_core::ports::AgentEvent;
use ao_core::record::{ActivitySource, ActivityState};
use ao_core::session::SessionRecord;
use ao_core::time::{BootId, Moment, Timestamp};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::extract::{Body, Id};
use super::sessions;
use crate::app::App;
use crate::fault::Fault;

/// Takes a signal in; answers once it is committed.
pub(crate) async fn signal(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
    Body(asked): Body<SignalRequest>,
) -> Result<(StatusCode, Json<SignalResponse>), Fault> {
    let observed = {
        let app = Arc::clone(&app);
        async move { observe(&app, &id, asked).await }
    };
    let taken = app.finish("signal", observed).await?;
    Ok((StatusCode::ACCEPTED, Json(SignalResponse { taken })))
}

/// Takes a signal in; `false` when it was one already, or means nothing.
pub(crate) async fn observe(
    app: &App,
    id: &SessionId,
    asked: SignalRequest,
) -> Result<bool, Fault> {
    let session = sessions::read(app, id).await?;
    let launch = match asked.launch_id {
        Some(launch) => Some(LaunchId::parse(launch)?),
        None => session.record.launch_id.clone(),
    };
    let event = meaning(app, &session.record, asked.signal)?;
    let (Some(launch), Some(event)) = (launch, event) else { return Ok(false) };
    let fact = Fact {
        at: moment(&asked.at, &app.ports.clock.now())?,
        kind: FactKind::Signal(SignalFact {
            id: FactId::parse(asked.id)?,
            launch,
            activity: event.activity,
            source: ActivitySource::Hook,
            detail: event.detail,
            agent_session_id: event.agent_session_id,
            paused_until: event.paused_until,
            is_submit: event.is_submit,
            prompt: event.prompt,
            transcript: event.transcript,
            message: event.message.map(bounded),
        }),
    };
    Ok(app.engine.lifecycle.observe(id, fact).await?.is_changed)
}

/// What a signal means; nothing when it is not of the session's own agent or its agent gives the
/// event no meaning.
///
/// An agent may start another one, and that one's hooks find the same session in their environment:
/// what they tell is not about this agent.
fn meaning(app: &App, record: &SessionRecord, signal: Signal) -> Result<Option<AgentEvent>, Fault> {
    match signal {
        Signal::Hook { agent: told, event, payload, truncated } => {
            let told = AgentName::parse(told)?;
            let agent = app.ports.agents.get(&told).filter(|_agent| told == record.agent);
            let Some(agent) = agent else {
                tracing::debug!(session = %record.id, agent = %told, event, "A hook is of another agent than the session.");
                return Ok(None);
            };
            let meant = agent.parse_event(&event, &whole(payload, truncated));
            if meant.is_none() {
                tracing::debug!(session = %record.id, agent = %told, event, "An event means nothing.");
            }
            Ok(meant)
        }
        Signal::Report { state, message } => {
            let (activity, detail) = match state {
                ReportState::Active => (ActivityState::Active, None),
                ReportState::Ready => (ActivityState::Ready, None),
                ReportState::Idle => (ActivityState::Idle, None),
                ReportState::WaitingInput => (ActivityState::WaitingInput, None),
                ReportState::Blocked => (ActivityState::Blocked, None),
                ReportState::Done => (ActivityState::Idle, Some(SignalDetail::Done)),
            };
            Ok(Some(AgentEvent {
                activity,
                detail,
                agent_session_id: None,
                is_submit: false,
                prompt: None,
                transcript: None,
                paused_until: None,
                message,
            }))
        }
    }
}

/// A payload as an agent may read it. Of one that was broken off nothing can be read, but that the
/// event came is known all the same. One that some other client did not reduce is reduced here.
fn whole(payload: String, is_truncated: bool) -> String {
    let is_broken = || serde_json::from_str::<serde::de::IgnoredAny>(&payload).is_err();
    if is_truncated && is_broken() {
        "{}".to_owned()
    } else if payload.len() > SIGNAL_BYTES_MAX {
        ao_api::payload::reduce(&payload).text
    } else {
        payload
    }
}

/// The sender's own moment; one that lies ahead of us is now.
fn moment(stamp: &Stamp, now: &Moment) -> Result<Moment, Fault> {
    let boot = BootId::parse(&stamp.boot_id)
        .ok_or_else(|| Fault::malformed(format!("`{}` is not a boot id", stamp.boot_id)))?;
    let at = Moment {
        wall: Timestamp::from_millis(stamp.wall_ms),
        boot,
        since_boot: Duration::from_nanos(stamp.since_boot_ns),
        awake: Duration::from_nanos(stamp.awake_ns),
    };
    Ok(if at.is_after(now) { *now } else { at })
}

/// Cuts a sentence at the bound, between characters.
fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(SIGNAL_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_string_ends_for_the_command_line_as_it_does_for_the_core() {
        assert_eq!(ao_api::payload::CUT_MARK, ao_core::echo::CUT_MARK);
        let kept = ao_api::payload::reduce(&serde_json::Value::from("x".repeat(5_000)).to_string());
        let told: String = serde_json::from_str(&kept.text).unwrap();
        let echo = ao_core::echo::PromptEcho::new(&told, false);
        assert!(echo.is_cut && echo.is_of(&"x".repeat(5_000)));
    }

    #[test]
    fn a_payload_that_was_broken_off_leaves_its_event() {
        let whole = |payload: &str, is_truncated| whole(payload.to_owned(), is_truncated);
        assert_eq!(whole("{\"prompt\": \"ab", true), "{}");
        assert_eq!(whole("{\"prompt\": \"ab…[cut]\"}", true), "{\"prompt\": \"ab…[cut]\"}");
        assert_eq!(whole("words", false), "words");
        let long = serde_json::json!({"prompt": "x".repeat(100_000)}).to_string();
        let kept: serde_json::Value = serde_json::from_str(&whole(&long, false)).unwrap();
        assert!(kept["prompt"].as_str().unwrap().ends_with("…[cut]"));
    }
}
