//! Which agents there are.

use std::sync::Arc;

use ao_api::agents::{Agent, AgentNeed, AgentSignals, CallerRequest};
use ao_core::agent::Signals;
use axum::Json;
use axum::extract::State;

use super::extract::Body;
use crate::agents::{self, Place, Seen};
use crate::app::App;
use crate::fault::Fault;

pub(crate) async fn of_daemon(State(app): State<Arc<App>>) -> Result<Json<Vec<Agent>>, Fault> {
    of_caller(State(app), Body(CallerRequest::default())).await
}

pub(crate) async fn of_caller(
    State(app): State<Arc<App>>,
    Body(asked): Body<CallerRequest>,
) -> Result<Json<Vec<Agent>>, Fault> {
    let place = place(&app, asked).await?;
    let seen = agents::look(&app.ports.agents, &app.config, &place).await;
    Ok(Json(seen.into_iter().map(on_wire).collect()))
}

/// Where whoever asks stands.
pub(super) async fn place(app: &App, asked: CallerRequest) -> Result<Place, Fault> {
    let projects = app.ports.projects.projects().await?;
    Ok(Place {
        env: asked.caller_env.unwrap_or_else(agents::own_env),
        repositories: projects.into_iter().map(|project| project.path).collect(),
    })
}

fn on_wire(seen: Seen) -> Agent {
    Agent {
        name: seen.name.to_string(),
        kind: seen.kind,
        program: seen.program,
        path: seen.path.map(|path| path.display().to_string()),
        tested: seen.is_tested,
        tested_versions: seen.tested_versions.iter().map(|&it| it.to_owned()).collect(),
        signals: match seen.signals {
            Signals::None => AgentSignals::None,
            Signals::Activity => AgentSignals::Activity,
            Signals::Full => AgentSignals::Full,
        },
        resume: seen.can_resume,
        install: seen.install.map(str::to_owned),
        needs: of_version(seen.version.as_ref())
            .chain(
                seen.needs.into_iter().map(|it| AgentNeed { message: it.message, hint: it.hint }),
            )
            .collect(),
        version: seen.version.and_then(Result::ok),
    }
}

/// A program that does not tell its version may not start at all.
fn of_version(version: Option<&Result<String, String>>) -> impl Iterator<Item = AgentNeed> {
    let failed = version.and_then(|version| version.as_ref().err());
    failed.into_iter().map(|because| AgentNeed {
        message: because.clone(),
        hint: "run it in a terminal, or install it again".to_owned(),
    })
}
