//! `ao wait`: returns once a session has one of the statuses asked for.

use std::time::Duration;

use ao_api::ErrorKind;
use ao_api::session::{WAIT_MS_MAX, WaitOutcome, WaitQuery};
use clap::Args;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// Every display status.
const STATUSES: [&str; 22] = [
    "approved",
    "changes_requested",
    "ci_failed",
    "cleanup",
    "detecting",
    "done",
    "draft",
    "errored",
    "idle",
    "killed",
    "limited",
    "merge_conflict",
    "mergeable",
    "merged",
    "needs_input",
    "pr_open",
    "queued",
    "review_pending",
    "spawning",
    "stuck",
    "terminated",
    "working",
];

/// Arguments of `ao wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
    /// Statuses: any of them ends the wait.
    #[arg(
        long = "for",
        value_name = "STATUS",
        required = true,
        num_args = 1..,
        value_delimiter = ',',
        value_parser = STATUSES,
        hide_possible_values = true
    )]
    pub statuses: Vec<String>,
    /// Give up after this long.
    #[arg(long, value_name = "D", value_parser = crate::duration::parse)]
    pub timeout: Option<Duration>,
}

pub(crate) async fn run(
    args: WaitArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = context.session_id(args.id.as_deref()).await?;
    let mut budget = Budget::of(args.timeout);
    let wanted = args.statuses.join(",");
    loop {
        let slice = budget.slice();
        let query = WaitQuery {
            status: Some(wanted.clone()),
            left_phase: None,
            timeout_ms: Some(u64::try_from(slice.as_millis()).unwrap_or(WAIT_MS_MAX)),
        };
        let waited = context.client.wait(&id, &query).await?;
        match waited.outcome {
            WaitOutcome::Reached if ui.is_json() => return ui.json(&waited.session),
            WaitOutcome::Reached => return ui.line(&waited.session.status),
            WaitOutcome::Over => {
                let message = format!("{id} ended as {}, not as {wanted}", waited.session.status);
                return Err(CliError::new(ErrorKind::Failed, "WAIT_OVER", message)
                    .hint(format!("`ao explain {id}` says why")));
            }
            WaitOutcome::TimedOut if budget.spend(slice) => {
                let message = format!("{id} is {}, not {wanted}", waited.session.status);
                return Err(CliError::new(ErrorKind::NotConfirmed, "WAIT_TIMED_OUT", message)
                    .hint(format!("`ao explain {id}` says what would change it")));
            }
            WaitOutcome::TimedOut => {}
        }
    }
}

/// A long wait, asked for in slices that the daemon takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    left: Option<Duration>,
}

impl Budget {
    /// Without a limit it lasts for ever.
    pub(crate) const fn of(limit: Option<Duration>) -> Self {
        Self { left: limit }
    }

    /// How long to ask for next.
    pub(crate) fn slice(&self) -> Duration {
        let longest = Duration::from_millis(WAIT_MS_MAX);
        self.left.map_or(longest, |left| left.min(longest))
    }

    /// Takes off a slice that was waited in vain; answers whether nothing is left.
    pub(crate) fn spend(&mut self, slice: Duration) -> bool {
        self.left = self.left.map(|left| left.saturating_sub(slice));
        self.left.is_some_and(|left| left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_is_asked_for_in_slices_and_ends() {
        let longest = Duration::from_millis(WAIT_MS_MAX);
        let mut budget = Budget::of(Some(longest + Duration::from_millis(5)));
        assert_eq!(budget.slice(), longest);
        assert!(!budget.spend(longest));
        assert_eq!(budget.slice(), Duration::from_millis(5));
        assert!(budget.spend(budget.slice()));
        let mut endless = Budget::of(None);
        assert_eq!(endless.slice(), longest);
        assert!(!endless.spend(longest));
    }
}
