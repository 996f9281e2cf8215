//! What every request may use.

use std::path::PathBuf;
use std::sync::Arc;

use ao_api::home::Layout;
use ao_core::ids::ProjectId;
use ao_core::ports::{BoxFuture, Inbox};
use ao_core::project::Project;
use ao_core::time::Timestamp;
use ao_engine::{Engine, EnginePorts};
use tokio::sync::{oneshot, watch};

use crate::config::Config;
use crate::diffs::Diffs;
use crate::fault::Fault;
use crate::stop::Stop;

/// What every request may use.
pub(crate) struct App {
    /// Where everything is.
    pub(crate) layout: Layout,
    /// The configuration in force.
    pub(crate) config: Config,
    /// Where a configuration file is looked for.
    pub(crate) config_files: Vec<PathBuf>,
    /// The engine.
    pub(crate) engine: Arc<Engine>,
    /// What the engine reaches the outside through; requests that only read use it too.
    pub(crate) ports: EnginePorts,
    /// The durable inbox.
    pub(crate) inbox: Arc<dyn Inbox>,
    /// What sessions changed, as last looked at.
    pub(crate) diffs: Diffs,
    /// Asks for the end, and hears of it.
    pub(crate) stop: Stop,
    /// Whether what happened meanwhile was taken in.
    pub(crate) ready: watch::Receiver<bool>,
    /// Since when the daemon runs.
    pub(crate) started_at: Timestamp,
}

impl App {
    /// Whether requests are answered.
    pub(crate) fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Finishes a piece of work even if the client that asked for it goes away.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let (sender, receiver) = oneshot::channel();
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            let ended = work.await;
            if sender.send(ended).is_err() {
                tracing::debug!(work = name, "Finished for a client that went away.");
            }
        });
        self.ports.tasks.spawn(name, task);
        receiver.await.unwrap_or_else(|_dropped| {
            Err(Fault::bug(format!("`{name}` ended without an answer; the log says why")))
        })
    }

    /// A registered project.
    pub(crate) async fn project(&self, id: &ProjectId) -> Result<Project, Fault> {
        let projects = self.ports.projects.projects().await?;
        projects
            .into_iter()
            .find(|project| project.id == *id)
            .ok_or_else(|| Fault::project_unknown(id.as_str()))
    }
}
