//! The table of panes that a server answers with.

use std::fmt;

use ao_core::ids::{LaunchId, Pid};
use ao_core::record::Exit;
use ao_core::session::ProcessIdentity;
use ao_core::time::BootId;

/// The first line: who answers, a letter for each of its sessions, whose it is.
pub(super) const SERVER_FORMAT: &str = "#{pid}:#{S:s}:#{@ao_home}";

/// One line per pane. The session's name comes last: it may hold anything but a colon.
pub(super) const PANE_FORMAT: &str = "#{pane_id}:#{pane_pid}:#{pane_dead}:#{pane_dead_status}:#{pane_dead_signal}:#{@ao_launch}:#{@ao_process}:#{session_id}:#{session_name}";

/// What a server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) pid: Pid,
    pub(super) has_sessions: bool,
    /// The home that it is marked with; empty when with none.
    pub(super) home: String,
}

/// A pane as its server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pane {
    pub(super) id: String,
    pub(super) pid: Pid,
    pub(super) is_dead: bool,
    pub(super) exit: Option<Exit>,
    /// The launch that its session is marked with.
    pub(super) launch: Option<LaunchId>,
    pub(super) mark: Option<Mark>,
    /// The session's id, which is not used again.
    pub(super) session_id: String,
    pub(super) session: String,
}

/// The process of a runtime, written on its session before the agent starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) boot: BootId,
    pub(super) pid: Pid,
    pub(super) start_ticks: u64,
    pub(super) pane: String,
}

impl Mark {
    pub(super) fn of(process: &ProcessIdentity, pane: &str) -> Self {
        let ProcessIdentity { boot, pid, start_ticks, nonce: _ } = process;
        Self { boot: *boot, pid: *pid, start_ticks: *start_ticks, pane: pane.to_owned() }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '/');
        Some(Self {
            boot: BootId::parse(parts.next()?)?,
            pid: Pid(parts.next()?.parse().ok()?),
            start_ticks: parts.next()?.parse().ok()?,
            pane: parts.next()?.to_owned(),
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.boot, self.pid, self.start_ticks, self.pane)
    }
}

impl Pane {
    /// Whether it is the pane that was created for the launch, not one that a human added to the
    /// session.
    pub(super) fn is_runtime(&self) -> bool {
        self.launch.is_some() && self.mark.as_ref().is_none_or(|mark| mark.pane == self.id)
    }

    /// Whether it is the pane of this very process.
    pub(super) fn is_of(&self, process: &ProcessIdentity) -> bool {
        self.pid == process.pid
            && self.mark.as_ref().is_none_or(|mark| *mark == Mark::of(process, &self.id))
    }

    /// Whether its end was noticed and its status was not: tmux may have missed a signal.
    pub(super) fn has_unknown_end(&self) -> bool {
        self.is_dead && self.exit.is_none()
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.splitn(9, ':').collect();
        let [id, pid, dead, status, signal, launch, mark, session_id, session] = fields[..] else {
            return None;
        };
        let exit = status.parse().map(Exit::Status).or_else(|_| signal.parse().map(Exit::Signal));
        Some(Self {
            id: id.to_owned(),
            pid: Pid(pid.parse().ok()?),
            is_dead: dead == "1",
            exit: exit.ok(),
            launch: LaunchId::parse(launch).ok(),
            mark: Mark::parse(mark),
            session_id: session_id.to_owned(),
            session: session.to_owned(),
        })
    }
}

/// Reads an answer: the server's line, then a line per pane. `None` when it is malformed.
pub(super) fn parse_server(line: &str) -> Option<Server> {
    let mut fields = line.splitn(3, ':');
    Some(Server {
        pid: Pid(fields.next()?.parse().ok()?),
        has_sessions: !fields.next()?.is_empty(),
        home: fields.next()?.to_owned(),
    })
}

/// Reads the table. `None` when a line is malformed.
pub(super) fn parse_panes<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<Pane>> {
    lines.map(Pane::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "0d5b2d5a-93a0-4c3f-8a7b-0123456789ab";

    #[test]
    fn a_pane_is_read_with_its_marks() {
        let line = format!("%3:4242:0:::01launch:{BOOT}/4242/99/%3:$2:app-1");
        let pane = Pane::parse(&line).unwrap();
        let process = ProcessIdentity {
            boot: BootId::parse(BOOT).unwrap(),
            pid: Pid(4242),
            start_ticks: 99,
            nonce: None,
        };
        assert_eq!(pane.mark, Some(Mark::of(&process, "%3")));
        assert!(pane.is_runtime() && pane.is_of(&process));
        assert!(!pane.is_of(&ProcessIdentity { start_ticks: 98, ..process }));
    }

    #[test]
    fn a_pane_that_a_human_added_is_not_the_runtime() {
        let line = format!("%4:4300:0:::01launch:{BOOT}/4242/99/%3:$2:app-1");
        assert!(!Pane::parse(&line).unwrap().is_runtime());
        assert!(!Pane::parse("%5:4301:0:::::$3:notes").unwrap().is_runtime());
    }

    #[test]
    fn an_end_may_be_a_status_a_signal_or_unknown() {
        let end = |line: &str| Pane::parse(line).unwrap().exit;
        assert_eq!(end("%1:7:1:0::::$1:a"), Some(Exit::Status(0)));
        assert_eq!(end("%1:7:1::9:::$1:a"), Some(Exit::Signal(9)));
        assert_eq!(end("%1:7:1:::::$1:a"), None);
        assert!(Pane::parse("%1:7:1:::::$1:a").unwrap().has_unknown_end());
    }

    #[test]
    fn half_a_line_is_no_answer() {
        let n_panes = |lines: &[&str]| parse_panes(lines.iter().copied()).map(|panes| panes.len());
        assert_eq!(n_panes(&["%0:6:0:::::$0:a", "%1:7:0:::::$1:b"]), Some(2));
        assert_eq!(n_panes(&["%0:6:0:::::$0:a", "%1:7"]), None);
    }

    #[test]
    fn a_server_without_a_marker_says_so() {
        let server = |line: &str| parse_server(line).map(|server| server.home);
        assert_eq!(server("12:sss:home"), Some("home".to_owned()));
        assert_eq!(server("12::"), Some(String::new()));
        assert_eq!(server("12"), None);
    }
}
