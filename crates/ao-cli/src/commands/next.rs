//! `ao next`: the session that needs a human the most.

use ao_api::ErrorKind;
use ao_api::session::{Session, SessionsQuery};
use clap::Args;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// Statuses that ask for a human, the most urgent first.
const URGENT_FIRST: [&str; 10] = [
    "needs_input",
    "stuck",
    "limited",
    "detecting",
    "ci_failed",
    "merge_conflict",
    "changes_requested",
    "mergeable",
    "approved",
    "idle",
];

/// Arguments of `ao next`.
#[derive(Debug, Args)]
pub struct NextArgs {
    /// Only the sessions of this project.
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
}

pub(crate) async fn run(
    args: NextArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let query = SessionsQuery { project: args.project, all: false };
    let sessions = context.client.sessions(&query).await?;
    let Some(session) = most_urgent(&sessions) else {
        return Err(CliError::new(
            ErrorKind::NotFound,
            "NOTHING_WAITS",
            "no session needs a human",
        ));
    };
    if ui.is_json() {
        return ui.json(session);
    }
    ui.note(format!("{} ({})", session.status, session.lifecycle.session.reason));
    ui.line(&session.id)
}

/// Among equals the one that waits the longest: whose record did not change since.
fn most_urgent(sessions: &[Session]) -> Option<&Session> {
    let rank = |session: &Session| URGENT_FIRST.iter().position(|status| session.status == *status);
    sessions
        .iter()
        .filter_map(|session| Some((rank(session)?, session)))
        .min_by(|(left_rank, left), (right_rank, right)| {
            (left_rank, &left.updated_at).cmp(&(right_rank, &right.updated_at))
        })
        .map(|(_, session)| session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::sample;

    #[test]
    fn the_most_urgent_comes_first_and_then_the_one_that_waits_longest() {
        let session = |id: &str, status: &str, updated_at: &str| Session {
            status: status.to_owned(),
            updated_at: updated_at.to_owned(),
            ..sample::session(id)
        };
        let sessions = [
            session("app-1", "working", "2026-03-02T10:00:00.000Z"),
            session("app-2", "idle", "2026-03-02T09:00:00.000Z"),
            session("app-3", "needs_input", "2026-03-02T11:00:00.000Z"),
            session("app-4", "needs_input", "2026-03-02T10:30:00.000Z"),
        ];
        let next = |sessions: &[Session]| most_urgent(sessions).map(|session| session.id.clone());
        assert_eq!(next(&sessions).as_deref(), Some("app-4"));
        assert_eq!(next(&sessions[..2]).as_deref(), Some("app-2"));
        assert_eq!(next(&sessions[..1]), None);
    }
}
