//! `ao restore`: brings ended sessions back and waits until their agents are proven to run.

use std::cell::RefCell;

use ao_api::restore::{RestoreRequest, Restored};
use ao_api::session::SessionsQuery;
use clap::Args;
use futures_util::StreamExt as _;

use super::settle::{self, name_others, settle};
use super::spawn::plan::variables;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::{Ui, text};

/// Sessions restored at the same time: each makes a worktree and starts an agent, which reads its
/// whole conversation.
const RESTORES_AT_ONCE: usize = 4;

/// Arguments of `ao restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Ids, names or unique prefixes.
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub ids: Vec<String>,
    /// Every session that ended though nobody asked for that: after a reboot, the death of a
    /// terminal server or of an agent.
    #[arg(long)]
    pub all: bool,
    /// Only those of this project.
    #[arg(long, value_name = "ID", requires = "all")]
    pub project: Option<String>,
    /// A variable for the agent.
    #[arg(long, value_name = "K=V")]
    pub env: Vec<String>,
    /// Do not wait until the agent runs.
    #[arg(long)]
    pub no_wait: bool,
}

/// How the restore of one session ended.
type Ended = (String, Result<Restored, CliError>);

pub(crate) async fn run(
    args: RestoreArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let request =
        RestoreRequest { env: variables(&args.env)?, caller_env: context.env.inheritable() };
    let is_one = args.ids.len() == 1;
    let ids = if args.all {
        lost(args.project, context).await?
    } else {
        super::kill::resolve(&args.ids, context).await?
    };
    if ids.is_empty() {
        ui.note("No session ended though nobody asked for it.");
    }
    let ended: Vec<Ended> = {
        let shared = RefCell::new(&mut *ui);
        let progress = |what: String| shared.borrow_mut().progress(what);
        let restores = ids.into_iter().map(|id| {
            let request = &request;
            async move {
                let restored = restore(&id, request, args.no_wait, context, progress).await;
                (id, restored)
            }
        });
        futures_util::stream::iter(restores).buffered(RESTORES_AT_ONCE).collect().await
    };
    conclude(ended, is_one, ui)
}

/// The sessions that nobody ended.
async fn lost(project: Option<String>, context: &Context<'_>) -> Result<Vec<String>, CliError> {
    let query = SessionsQuery { project, all: true };
    let sessions = context.client.sessions(&query).await?;
    let is_lost = |session: &ao_api::session::Session| {
        session.restore.as_ref().is_some_and(|restore| restore.lost)
    };
    Ok(sessions.into_iter().filter(is_lost).map(|session| session.id).collect())
}

async fn restore(
    id: &str,
    request: &RestoreRequest,
    no_wait: bool,
    context: &Context<'_>,
    progress: impl Fn(String),
) -> Result<Restored, CliError> {
    progress(format!("{id}: restoring …"));
    let restored = context.client.restore(id, request).await?;
    if no_wait {
        return Ok(restored);
    }
    let session = settle(restored.session, settle::RESTORE, context, progress).await?;
    Ok(Restored { session, lost: restored.lost })
}

/// Tells what came back and what did not. The first failure is the answer; it keeps no other
/// session from being restored.
fn conclude(ended: Vec<Ended>, is_one: bool, ui: &mut Ui) -> Result<(), CliError> {
    let mut restored = Vec::new();
    let mut failures = Vec::new();
    for (id, outcome) in ended {
        match outcome {
            Ok(one) => restored.push(one),
            Err(error) => failures.push((id, error)),
        }
    }
    for one in &restored {
        for lost in &one.lost {
            ui.note(format!("{}: {}", one.session.id, text::one_line(lost)));
        }
    }
    let mut failures = failures.into_iter();
    let first = failures.next();
    for (id, error) in failures {
        ui.note(format!("{id}: {error}"));
    }
    match first {
        // A failure leaves no JSON on standard output: what came back is named in it.
        Some((_, error)) if ui.is_json() => {
            let ids: Vec<&str> = restored.iter().map(|one| one.session.id.as_str()).collect();
            Err(name_others(error, settle::RESTORE, &ids))
        }
        Some((_, error)) => show_text(&restored, ui).and(Err(error)),
        None if ui.is_json() && is_one => restored.first().map_or(Ok(()), |one| ui.json(one)),
        None if ui.is_json() => ui.json(&restored),
        None => show_text(&restored, ui),
    }
}

fn show_text(restored: &[Restored], ui: &mut Ui) -> Result<(), CliError> {
    restored.iter().try_for_each(|one| ui.line(&one.session.id))
}
