//! `ao kill`: ends sessions. What is not committed keeps its worktree.

use ao_api::ClientError;
use ao_api::kill::{BranchOutcome, KillRequest, KillResponse, WorkspaceOutcome};
use ao_api::session::{Phase, Session, SessionsQuery};
use clap::Args;
use futures_util::StreamExt as _;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{Ui, text};

/// Kills at the same time: most of one is waiting for processes to end.
const KILLS_AT_ONCE: usize = 8;

/// Arguments of `ao kill`.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// Ids, names or unique prefixes.
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub ids: Vec<String>,
    /// Every live session of the project.
    #[arg(long, requires = "project")]
    pub all: bool,
    /// The project.
    #[arg(long, value_name = "ID", requires = "all")]
    pub project: Option<String>,
    /// Remove the worktree all the same; its work is preserved under a ref first.
    #[arg(long)]
    pub discard: bool,
}

pub(crate) async fn run(
    args: KillArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let is_one = args.ids.len() == 1;
    // Those that wait first: a place that becomes free would start them.
    let (waiting, others): (Vec<String>, Vec<String>) = if args.all {
        let query = SessionsQuery { project: args.project, all: false };
        let (waiting, others): (Vec<Session>, Vec<Session>) =
            (context.client.sessions(&query).await?.into_iter())
                .partition(|session| session.phase == Phase::Queued);
        let ids = |sessions: Vec<Session>| sessions.into_iter().map(|it| it.id).collect();
        (ids(waiting), ids(others))
    } else {
        (Vec::new(), resolve(&args.ids, context).await?)
    };
    let request =
        KillRequest { discard: args.discard, caller_pid: i32::try_from(std::process::id()).ok() };
    let mut killed: Vec<KillResponse> = Vec::new();
    let mut failure: Option<ClientError> = None;
    for ids in [waiting, others] {
        let kills = ids.iter().map(|id| context.client.kill(id, &request));
        let mut kills = futures_util::stream::iter(kills).buffered(KILLS_AT_ONCE);
        for id in &ids {
            ui.progress(format!("{id}: ending …"));
            match kills.next().await {
                Some(Ok(response)) => killed.push(response),
                // The others are ended all the same; the first failure is the answer.
                Some(Err(error)) => failure = failure.or(Some(error)),
                None => {}
            }
        }
    }
    match failure {
        // A failure leaves no JSON on standard output.
        Some(error) if ui.is_json() => Err(error.into()),
        Some(error) => show_text(&killed, ui).and(Err(error.into())),
        None if ui.is_json() && is_one => killed.first().map_or(Ok(()), |one| ui.json(one)),
        None if ui.is_json() => ui.json(&killed),
        None => show_text(&killed, ui),
    }
}

/// Every name is looked up before anything is done: a typing error ends nothing.
pub(super) async fn resolve(
    named: &[String],
    context: &Context<'_>,
) -> Result<Vec<String>, CliError> {
    let mut ids = Vec::new();
    for name in named {
        let id = context.session_id(Some(name)).await?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn show_text(killed: &[KillResponse], ui: &mut Ui) -> Result<(), CliError> {
    for response in killed {
        let fate = fate(response.workspace, response.reason.as_deref(), response.branch);
        let preserved = response.preserved_ref.as_ref();
        let preserved = preserved.map(|r| format!(", work preserved as {r}")).unwrap_or_default();
        ui.line(format!("{}: killed, {fate}{preserved}", response.session))?;
    }
    Ok(())
}

/// What became of a worktree and its branch, in words.
pub(crate) fn fate(
    workspace: WorkspaceOutcome,
    reason: Option<&str>,
    branch: BranchOutcome,
) -> String {
    let worktree = match workspace {
        WorkspaceOutcome::Removed => "worktree removed",
        WorkspaceOutcome::Kept => "worktree kept",
        WorkspaceOutcome::Pending => "worktree not removed yet",
    };
    let why = reason.map(|reason| format!(" ({})", text::one_line(reason))).unwrap_or_default();
    let branch = match branch {
        BranchOutcome::Deleted => "branch deleted",
        BranchOutcome::Kept => "branch kept",
    };
    format!("{worktree}{why}, {branch}")
}
