//! The trash of removed worktrees: what lies in it for some days is unlinked.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ao_core::ports::{SessionFilter, StoreError, TrashSweep};

use crate::app::App;
use crate::stop::Urgency;

/// How long files of a removed worktree are kept that nobody called disposable: over a week's
/// holiday somebody may miss them.
const KEEP_FOR: Duration = Duration::from_hours(7 * 24);

/// Pause between two sweeps: what is due has waited for days.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// Sweeps now and every hour, until the daemon ends.
pub(crate) async fn run(app: Arc<App>) {
    loop {
        match due(&app).await {
            Ok(request) => match app.ports.workspace.sweep(&request).await {
                Ok(0) => {}
                Ok(n_entries) => tracing::info!(n_entries, "Unlinked what was in the trash."),
                Err(error) => tracing::warn!(%error, "The trash was not swept."),
            },
            Err(error) => tracing::warn!(%error, "The trash was not swept."),
        }
        tokio::select! {
            biased;
            () = app.stop.reached(Urgency::Graceful) => return,
            () = app.ports.clock.sleep(SWEEP_EVERY) => {}
        }
    }
}

/// Every place that may have a trash.
async fn due(app: &App) -> Result<TrashSweep, StoreError> {
    let projects = app.ports.projects.projects().await?;
    let filter = SessionFilter { project: None, with_terminal: true };
    let sessions = app.ports.sessions.list(&filter).await?;
    let beside: BTreeSet<PathBuf> = sessions
        .iter()
        .filter_map(|session| Some(session.record.workspace.path.parent()?.to_owned()))
        .collect();
    Ok(TrashSweep {
        repos: projects.into_iter().map(|project| project.path).collect(),
        directories: beside.into_iter().collect(),
        now: app.ports.clock.now().wall,
        keep_for: KEEP_FOR,
    })
}
