//! One look at sessions: what their server, their panes and their processes show.

use ao_core::fact::{BootProbe, LookFact, LookValues, ProcessProbe, RuntimeProbe, ServerProbe};
use ao_core::ids::{LaunchId, SessionId};
use ao_core::ports::{PaneLook, ServerLook};
use ao_core::record::Exit;
use ao_core::session::{RuntimeHandle, ServerIdentity, Session};
use ao_core::time::Moment;

use crate::ports::EnginePorts;

/// A session whose launch can be looked at.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) session: SessionId,
    pub(super) launch: LaunchId,
    pub(super) handle: RuntimeHandle,
}

impl Target {
    /// The target that a session is, when it runs.
    pub(super) fn of(session: &Session) -> Option<Self> {
        let launch = session.lifecycle.launch.as_ref()?;
        let handle = session.record.handle.clone()?;
        Some(Self { session: session.record.id.clone(), launch: launch.id.clone(), handle })
    }
}

/// A look that was taken.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) target: Target,
    /// When the look began.
    pub(super) began_at: Moment,
    pub(super) fact: LookFact,
}

/// Looks at all targets of one server, with one question to it.
///
/// *Assumptions*: all targets were created on this very server.
pub(super) async fn look_at(
    ports: &EnginePorts,
    server: &ServerIdentity,
    targets: Vec<Target>,
) -> Vec<Taken> {
    let began_at = ports.clock.now();
    let is_rebooted = ports.processes.boot() != server.process.boot;
    let answer = if is_rebooted { ServerLook::Gone } else { ports.runtime.look_all(server).await };
    targets
        .into_iter()
        .map(|target| {
            let (values, exit) =
                if is_rebooted { (REBOOTED, None) } else { values_of(ports, &answer, &target) };
            let fact = LookFact { exit, ..LookFact::new(target.launch.clone(), values) };
            Taken { target, began_at, fact }
        })
        .collect()
}

const REBOOTED: LookValues = LookValues {
    boot: BootProbe::Rebooted,
    server: ServerProbe::Gone,
    runtime: RuntimeProbe::Missing,
    process: ProcessProbe::Dead,
};

fn values_of(
    ports: &EnginePorts,
    answer: &ServerLook,
    target: &Target,
) -> (LookValues, Option<Exit>) {
    let process = ports.processes.probe(&target.handle.process);
    let (server, runtime, exit) = match answer {
        ServerLook::Living { panes } => {
            let (runtime, exit) = match panes.iter().find(|pane| is_pane_of(pane, target)) {
                Some(pane) if pane.is_dead => (RuntimeProbe::Dead, pane.exit),
                Some(_) => (RuntimeProbe::Alive, None),
                None => (RuntimeProbe::Missing, None),
            };
            (ServerProbe::Living, runtime, exit)
        }
        ServerLook::Gone => (ServerProbe::Gone, RuntimeProbe::Missing, None),
        ServerLook::Unreachable { .. } => (ServerProbe::Unreachable, RuntimeProbe::Unknown, None),
    };
    (LookValues { boot: BootProbe::Same, server, runtime, process }, exit)
}

/// A pane is the session's when it has its place and carries its launch.
fn is_pane_of(pane: &PaneLook, target: &Target) -> bool {
    pane.session == target.handle.session
        && pane.pane == target.handle.pane
        && pane.launch.as_ref() == Some(&target.launch)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ao_core::ids::Pid;
    use ao_core::session::{HANDLE_VERSION, ProcessIdentity};
    use ao_core::time::BootId;

    use super::*;

    fn process(pid: i32) -> ProcessIdentity {
        ProcessIdentity { boot: BootId(1), pid: Pid(pid), start_ticks: 1, nonce: None }
    }

    #[test]
    fn a_terminal_is_the_sessions_by_its_place_and_its_launch() {
        let launch = |name: &str| LaunchId::parse(name).unwrap();
        let server = ServerIdentity { socket: PathBuf::from("/s"), process: process(1) };
        let handle = RuntimeHandle {
            version: HANDLE_VERSION,
            server,
            session: "app-1".to_owned(),
            pane: "%1".to_owned(),
            process: process(2),
        };
        let session = SessionId::parse("app-1").unwrap();
        let target = Target { session, launch: launch("new"), handle };
        let check = |session: &str, pane: &str, of: Option<&str>, expect| {
            let pane = PaneLook {
                session: session.to_owned(),
                pane: pane.to_owned(),
                pid: Pid(2),
                launch: of.map(launch),
                is_dead: false,
                exit: None,
            };
            assert_eq!(is_pane_of(&pane, &target), expect, "{pane:?}");
        };
        check("app-1", "%1", Some("new"), true);
        check("app-1", "%1", Some("old"), false);
        check("app-1", "%1", None, false);
        check("app-1", "%2", Some("new"), false);
        check("app-10", "%1", Some("new"), false);
    }
}
