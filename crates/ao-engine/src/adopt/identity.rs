//! Whose a runtime is that no record knows: decided from everything that is written about it, which
//! has to agree, and from nothing less.
//!
//! *Assumptions*: the server that shows the runtime carries the marker of this home; one that does
//! not is never looked at.

use ao_core::fact::ProcessProbe;
use ao_core::ids::{LaunchId, Nonce, SessionId};
use ao_core::ports::{LaunchFile, LaunchOrigin, LaunchProof, PaneFound};
use ao_core::session::{HANDLE_VERSION, ProcessIdentity, RuntimeHandle, ServerIdentity};

use crate::ports::EnginePorts;
use crate::settings::EngineSettings;
use crate::spawn::NONCE_VARIABLE;

/// Names the home of a launch, where it has a name.
const HOME_VARIABLE: &str = "AO_HOME";

/// A runtime that was proven to be a launch of this home.
#[derive(Debug, Clone)]
pub(super) struct Proven {
    pub(super) session: SessionId,
    pub(super) launch: LaunchId,
    pub(super) nonce: Nonce,
    pub(super) directory: std::path::PathBuf,
    pub(super) origin: LaunchOrigin,
    pub(super) handle: RuntimeHandle,
}

/// Asks everything that is known of the launch in a living pane. The error is a clause that says
/// what does not hold.
pub(super) async fn prove(
    ports: &EnginePorts,
    settings: &EngineSettings,
    server: &ServerIdentity,
    pane: &PaneFound,
    launch: &LaunchId,
) -> Result<Proven, String> {
    let file = match ports.launches.read(launch).await {
        Ok(Some(file)) => file,
        Ok(None) => return Err("it has no launch file".to_owned()),
        Err(error) => return Err(format!("its launch file cannot be read: {}", error.message)),
    };
    let nonce = check_file(settings, &file, pane, launch)?;
    let Some(origin) = file.origin else {
        return Err("its launch file does not say what the session is".to_owned());
    };
    if file.session.number_in(&origin.project).is_none() {
        return Err(format!("`{}` is no session of project `{}`", file.session, origin.project));
    }
    let process = check_process(ports, pane, &nonce)?;
    match ports.launches.proof(launch).await {
        LaunchProof::Execed { pid } if pid == process.pid => {}
        LaunchProof::Execed { pid } => {
            return Err(format!("process {pid} became its agent, and another one is shown"));
        }
        LaunchProof::NotStarted | LaunchProof::Starting | LaunchProof::Failed { .. } => {
            return Err("nothing proves that its agent was executed".to_owned());
        }
    }
    let handle = RuntimeHandle {
        version: HANDLE_VERSION,
        server: server.clone(),
        session: pane.look.session.clone(),
        pane: pane.look.pane.clone(),
        process: ProcessIdentity { nonce: Some(nonce.clone()), ..process },
    };
    Ok(Proven {
        session: file.session,
        launch: launch.clone(),
        nonce,
        directory: file.directory,
        origin,
        handle,
    })
}

/// The secret of a launch whose file is about this very terminal.
fn check_file(
    settings: &EngineSettings,
    file: &LaunchFile,
    pane: &PaneFound,
    launch: &LaunchId,
) -> Result<Nonce, String> {
    if file.launch != *launch {
        return Err(format!("its launch file is that of launch `{}`", file.launch));
    }
    if file.session.as_str() != pane.look.session {
        return Err(format!("its launch file is that of session `{}`", file.session));
    }
    // A copy of a home has all of its files, its marker included, and another name.
    if file.env.get(HOME_VARIABLE) != settings.agent_env.get(HOME_VARIABLE) {
        return Err("its launch file is that of another home".to_owned());
    }
    let says = |name: &str| file.env.get(name).map(String::as_str);
    let names_itself = says("AO_LAUNCH_ID") == Some(launch.as_str())
        && says("AO_SESSION_ID") == Some(file.session.as_str());
    let nonce = nonce_of(file).filter(|_| names_itself);
    nonce.ok_or_else(|| "its launch file contradicts itself".to_owned())
}

/// The secret that a launch file gives to its processes.
pub(super) fn nonce_of(file: &LaunchFile) -> Option<Nonce> {
    Nonce::parse(file.env.get(NONCE_VARIABLE)?.as_str()).ok()
}

/// The very process that was written on the terminal, when it runs and carries the secret.
fn check_process(
    ports: &EnginePorts,
    pane: &PaneFound,
    nonce: &Nonce,
) -> Result<ProcessIdentity, String> {
    let Some(process) = &pane.process else {
        return Err("its terminal does not say which process is its agent".to_owned());
    };
    let pid = process.pid;
    if pane.look.pid != pid {
        return Err(format!("process {pid} is its agent, and another one is in its terminal"));
    }
    match ports.processes.probe(process) {
        ProcessProbe::Alive => {}
        ProcessProbe::Dead => return Err(format!("process {pid}, its agent, is dead")),
        ProcessProbe::Unknown => return Err(format!("process {pid} cannot be looked at")),
    }
    match ports.processes.nonce_of(pid) {
        Some(found) if found == *nonce => Ok(process.clone()),
        Some(_) => Err(format!("process {pid} carries the secret of another launch")),
        None => Err(format!("process {pid} shows no secret of a launch")),
    }
}
