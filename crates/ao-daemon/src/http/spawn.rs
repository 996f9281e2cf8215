//! Asking for a session.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ao_api::session::Session as WireSession;
use ao_api::spawn::SpawnRequest as Asked;
use ao_core::ids::{AgentName, BranchName, IdempotencyKey, IssueRef, ProjectId, RefName};
use ao_core::ports::ErrorKind;
use ao_core::project::Project;
use ao_core::session::SessionKind;
use ao_engine::SpawnRequest;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::extract::Body;
use super::{projects, sessions};
use crate::agent_env::{self, EnvError, EnvSources};
use crate::app::App;
use crate::config::{COMMAND_AGENT, ProjectTable};
use crate::fault::Fault;

/// Seeds a session; its phases go on from there.
pub(crate) async fn spawn(
    State(app): State<Arc<App>>,
    Body(asked): Body<Asked>,
) -> Result<(StatusCode, Json<WireSession>), Fault> {
    let project = match asked.project.as_deref() {
        Some(id) => app.project(&ProjectId::parse(id)?).await?,
        None => projects::of_directory(&app, Path::new(&asked.cwd)).await?,
    };
    let request = planned(&app, project, asked)?;
    let manager = app.engine.sessions.clone();
    let work = async move { Ok(manager.spawn(request).await?) };
    let id = app.finish("spawn", work).await?;
    let session = sessions::read(&app, &id).await?;
    Ok((StatusCode::CREATED, Json(sessions::on_wire(&app, &session).await?)))
}

/// What was asked over what the project says.
fn planned(app: &App, project: Project, asked: Asked) -> Result<SpawnRequest, Fault> {
    let table = app.config.project(&project.id);
    let env = environment(&project, &table, asked.caller_env, asked.env)?;
    let agent = known(app, agent(asked.agent.as_deref(), &asked.command, &table)?)?;
    let rules = rules(&project, &table)?;
    Ok(SpawnRequest {
        agent,
        kind: SessionKind::Worker,
        name: asked.name.as_deref().map(sessions::checked_name).transpose()?.flatten(),
        issue: asked.issue.filter(|issue| !issue.is_empty()).map(IssueRef::new),
        branch: asked.branch.map(BranchName::new),
        base: asked.base.or(table.base).map(RefName::new),
        prompt: with_rules(rules, asked.prompt),
        argv: asked.command,
        model: asked.model.or(table.model),
        permission_mode: asked.permission.or(table.permission),
        env,
        idempotency_key: asked.idempotency_key.map(IdempotencyKey::new),
        project,
    })
}

/// The agent that was named; with a command line the one that runs it; else the configured one.
fn agent(
    named: Option<&str>,
    command: &[String],
    table: &ProjectTable,
) -> Result<AgentName, Fault> {
    let name = match named {
        Some(name) => Some(name),
        None if !command.is_empty() => Some(COMMAND_AGENT),
        None => table.agent.as_deref(),
    };
    match name {
        Some(name) => Ok(AgentName::parse(name)?),
        None => Err(Fault::new("AGENT_UNKNOWN", ErrorKind::User, "no agent was named").with_hint(
            "name one with `--agent`, give a command after `--`, or set `[defaults] agent` and \
             restart the daemon",
        )),
    }
}

/// The agent, when there is one of this name.
fn known(app: &App, name: AgentName) -> Result<AgentName, Fault> {
    let agents = &app.ports.agents;
    if agents.contains_key(&name) {
        return Ok(name);
    }
    let names: Vec<String> = agents.keys().map(|name| format!("`{name}`")).collect();
    let message = format!("there is no agent `{name}`, only {}", names.join(", "));
    Err(Fault::new("AGENT_UNKNOWN", ErrorKind::NotFound, message))
}

/// What the caller has, over it what the project says, over that what was asked.
pub(super) fn environment(
    project: &Project,
    table: &ProjectTable,
    caller: BTreeMap<String, String>,
    request: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Fault> {
    let file = match &table.env_file {
        Some(path) => Some(read_text(&project.path.join(path))?),
        None => None,
    };
    let sources = EnvSources { caller, file: file.as_deref(), project: table.env.clone(), request };
    agent_env::merged(sources).map_err(|error| match error {
        EnvError::Name { .. } | EnvError::Value { .. } | EnvError::Line { .. } => {
            Fault::new("ENV_INVALID", ErrorKind::User, error.to_string())
        }
    })
}

fn rules(project: &Project, table: &ProjectTable) -> Result<Option<String>, Fault> {
    let file = match &table.rules_file {
        Some(path) => Some(read_text(&project.path.join(path))?),
        None => None,
    };
    let parts: Vec<&str> = [table.rules.as_deref(), file.as_deref()]
        .into_iter()
        .flatten()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    Ok(Some(parts.join("\n\n")).filter(|rules| !rules.is_empty()))
}

/// Rules alone are no task: without a prompt nothing is asked.
fn with_rules(rules: Option<String>, prompt: Option<String>) -> Option<String> {
    let prompt = prompt.filter(|prompt| !prompt.is_empty())?;
    Some(match rules {
        Some(rules) => format!("{rules}\n\n{prompt}"),
        None => prompt,
    })
}

fn read_text(path: &Path) -> Result<String, Fault> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("`{}` cannot be read: {error}", path.display());
        Fault::new("FILE_UNREADABLE", ErrorKind::User, message)
            .with_hint("the configuration of the project names it")
    })
}
