//! What every command works with: the client, the environment, and who is meant.

use ao_api::home::Layout;
use ao_api::session::ResolveQuery;
use ao_api::{Client, ErrorKind, VERSION};

use crate::env::Env;
use crate::error::CliError;
use crate::local::{Local, Settings};
use crate::ui::Ui;

/// What every command works with.
pub(crate) struct Context<'a> {
    /// The process around us.
    pub(crate) env: Env,
    /// Where everything is.
    pub(crate) layout: Layout,
    /// The daemon.
    pub(crate) client: Client,
    /// What needs no daemon.
    pub(crate) local: &'a dyn Local,
}

impl<'a> Context<'a> {
    pub(crate) fn new(env: Env, layout: Layout, local: &'a dyn Local) -> Self {
        let client = Client::new(layout.socket());
        Self { env, layout, client, local }
    }

    /// The session that is meant: by id, name or unique prefix, or by the working directory.
    pub(crate) async fn session_id(&self, named: Option<&str>) -> Result<String, CliError> {
        let cwd = self.env.cwd().map(|cwd| cwd.display().to_string());
        if named.is_none() && cwd.is_none() {
            let error = CliError::usage("no session is named, and the working directory is gone");
            return Err(error.hint("`ao ls` shows the sessions"));
        }
        let query = ResolveQuery { q: named.map(str::to_owned), cwd };
        Ok(self.client.resolve(&query).await?.session)
    }

    /// Asks what needs no daemon, on a thread that may block and start a runtime of its own.
    pub(crate) fn ask_local<T: Send>(
        &self,
        question: impl FnOnce(&dyn Local, &Layout, &Settings) -> T + Send,
    ) -> Result<T, CliError> {
        let settings = self.env.settings();
        let (local, layout) = (self.local, &self.layout);
        let answer =
            std::thread::scope(|scope| scope.spawn(|| question(local, layout, &settings)).join());
        answer.map_err(|_panic| {
            CliError::new(ErrorKind::Bug, "BUG", "a question about this machine met a bug")
        })
    }

    /// The working directory as the daemon is told.
    pub(crate) fn cwd_text(&self) -> Result<String, CliError> {
        let cwd = self.env.cwd().and_then(|cwd| cwd.to_str()).map(str::to_owned);
        cwd.ok_or_else(|| {
            let message = "the working directory is gone, or its path is not UTF-8";
            CliError::new(ErrorKind::Failed, "CWD_GONE", message)
        })
    }

    /// Says so when the daemon is of another release than this program.
    pub(crate) fn note_other_version(&self, ui: &mut Ui) {
        if let Some(daemon) = self.client.daemon_version()
            && daemon != VERSION
        {
            ui.note(format!(
                "Hint: the daemon is version {daemon}, this is {VERSION}; `ao stop`, then \
                 `ao start` restarts it, the agents keep running"
            ));
        }
    }
}
