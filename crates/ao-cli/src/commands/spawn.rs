//! `ao spawn`: starts sessions and waits until their agents are proven to run.

pub(super) mod plan;

use ao_api::error::PROJECT_UNKNOWN;
use ao_api::project::AddProjectRequest;
use ao_api::session::{Phase, Session};
use ao_api::spawn::SpawnRequest;
use ao_api::terminal::AttachQuery;
use ao_api::{ClientError, ErrorBody};
use clap::Args;

use super::settle::{self, name_others, settle};
use crate::context::Context;
use crate::error::CliError;
use crate::stdin;
use crate::ui::{Ui, text};

/// Arguments of `ao spawn`.
#[derive(Debug, Default, Args)]
pub struct SpawnArgs {
    /// What to do; `-` reads it from standard input.
    #[arg(conflicts_with_all = ["prompt_text", "prompt_file", "prompts"])]
    pub prompt: Option<String>,
    /// The project [default: that of the working directory].
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// The agent.
    #[arg(long, value_name = "A")]
    pub agent: Option<String>,
    /// The model.
    #[arg(long, value_name = "M")]
    pub model: Option<String>,
    /// The agent's permission mode.
    #[arg(long, value_name = "MODE")]
    pub permission: Option<String>,
    /// What the branch starts from.
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// The branch.
    #[arg(long, value_name = "B")]
    pub branch: Option<String>,
    /// A name for people.
    #[arg(long, value_name = "N")]
    pub name: Option<String>,
    /// A variable for the agent.
    #[arg(long, value_name = "K=V")]
    pub env: Vec<String>,
    /// The issue; one session for each.
    #[arg(long = "issue", value_name = "I")]
    pub issues: Vec<String>,
    /// What to do, when it begins with a dash.
    #[arg(long = "prompt", value_name = "TEXT", conflicts_with_all = ["prompt_file", "prompts"])]
    pub prompt_text: Option<String>,
    /// What to do is in this file; `-` is standard input.
    #[arg(long, value_name = "F", conflicts_with = "prompts")]
    pub prompt_file: Option<String>,
    /// One session for each paragraph of this file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<String>,
    /// This many sessions for each prompt.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub count: u16,
    /// Enter the session's terminal.
    #[arg(long, conflicts_with = "no_wait")]
    pub attach: bool,
    /// Do not wait until the agent runs.
    #[arg(long)]
    pub no_wait: bool,
    /// The same key again starts nothing twice.
    #[arg(long, value_name = "K")]
    pub idempotency_key: Option<String>,
    /// The program to run, as a shell would split it; nothing is expanded.
    #[arg(long, value_name = "STR", conflicts_with = "argv")]
    pub command: Option<String>,
    /// The program to run.
    #[arg(last = true)]
    pub argv: Vec<String>,
}

pub(crate) async fn run(
    args: SpawnArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let (attach, no_wait) = (args.attach, args.no_wait);
    let requests = plan::requests(args, &context.env, &context.cwd_text()?)?;
    if attach && requests.len() > 1 {
        return Err(CliError::usage("`--attach` enters one session, and several are asked for"));
    }
    let mut sessions = Vec::new();
    for request in &requests {
        let started = start(request, context, ui).await;
        sessions.push(started.map_err(|error| with_started(error, &sessions))?);
    }
    if !no_wait {
        for at in 0..sessions.len() {
            let Some(session) = sessions.get(at).cloned() else { continue };
            let progress = |what: String| ui.progress(what);
            let settled = settle(session, settle::SPAWN, context, progress).await;
            let settled = settled.map_err(|error| with_others(error, &sessions, at))?;
            if settled.phase == Phase::Queued {
                let why =
                    settled.queue.as_ref().map(|it| format!(": {}", text::one_line(&it.reason)));
                let why = why.unwrap_or_default();
                ui.note(format!("{} waits for a place{why}", settled.id));
            }
            if let Some(session) = sessions.get_mut(at) {
                *session = settled;
            }
        }
    }
    if attach && let [session] = sessions.as_slice() {
        return super::attach::enter(&session.id, &AttachQuery::default(), context, ui).await;
    }
    show(&sessions, ui)
}

/// Asks for a session. A person in an unknown repository is offered to register it.
async fn start(
    request: &SpawnRequest,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<Session, CliError> {
    match context.client.spawn(request).await {
        Ok(session) => Ok(session),
        Err(ClientError::Refused(refusal))
            if refusal.code == PROJECT_UNKNOWN && request.project.is_none() =>
        {
            offer_to_register(refusal, &request.cwd, context, ui).await?;
            Ok(context.client.spawn(request).await?)
        }
        Err(error) => Err(error.into()),
    }
}

async fn offer_to_register(
    refusal: ErrorBody,
    cwd: &str,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    if !context.env.is_interactive || ui.is_json() {
        let hint = "`ao project add` registers the repository of the working directory";
        return Err(CliError::Own(refusal).hint(hint));
    }
    ui.ask(&format!("{cwd} belongs to no project. Register its repository? [Y/n] "));
    if !stdin::read_yes()? {
        return Err(CliError::Own(refusal));
    }
    let request = AddProjectRequest { path: cwd.to_owned(), id: None, github: None };
    let project = context.client.add_project(&request).await?;
    ui.note(format!("Project {} is {}", project.id, project.path));
    Ok(())
}

/// The failure, naming the sessions that were started before it: their ids are lost otherwise.
fn with_started(error: CliError, started: &[Session]) -> CliError {
    let ids: Vec<&str> = started.iter().map(|session| session.id.as_str()).collect();
    name_others(error, settle::SPAWN, &ids)
}

fn with_others(error: CliError, sessions: &[Session], failed: usize) -> CliError {
    let others = sessions.iter().enumerate().filter(|(at, _)| *at != failed);
    let ids: Vec<&str> = others.map(|(_, session)| session.id.as_str()).collect();
    name_others(error, settle::SPAWN, &ids)
}

fn show(sessions: &[Session], ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        return match sessions {
            [one] => ui.json(one),
            all => ui.json(&all),
        };
    }
    sessions.iter().try_for_each(|session| ui.line(&session.id))
}
