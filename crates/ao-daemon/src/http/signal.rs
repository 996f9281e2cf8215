//! What programs inside a session have to say.

use std::sync::Arc;
use std::time::Duration;

use ao_api::signal::{ReportState, SIGNAL_BYTES_MAX, Signal, SignalRequest, SignalResponse, Stamp};
use ao_core::fact::{Fact, FactKind, SignalDetail, SignalFact};
use ao_core::ids::{AgentName, FactId, LaunchId, SessionId};
use ao_core::ports::AgentEvent;
use ao_core::record::{ActivitySource, ActivityState};
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
        None => session.record.launch_id,
    };
    let (Some(launch), Some(event)) = (launch, meaning(app, asked.signal)?) else {
        return Ok(false);
    };
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

/// What a signal means; nothing when its agent is not known or gives the event no meaning.
fn meaning(app: &App, signal: Signal) -> Result<Option<AgentEvent>, Fault> {
    match signal {
        Signal::Hook { agent, event, payload, truncated: _ } => {
            let agent = AgentName::parse(agent)?;
            Ok(app.ports.agents.get(&agent).and_then(|agent| agent.parse_event(&event, &payload)))
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
