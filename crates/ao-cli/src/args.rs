//! The command line as it is parsed: the commands, in the order in which help shows them.

use std::ffi::OsString;
use std::path::PathBuf;

use ao_api::{ErrorBody, ErrorKind};
use clap::{Args, Parser, Subcommand};

use crate::commands::{
    attach, cleanup, config, diff, doctor, events, explain, hook, inbox, interrupt, kill, logs, ls,
    messages, next, open, path, project, recover, rename, replay, report, restore, rm, send, show,
    spawn, stop, wait,
};

/// Supervises a fleet of coding agents, each in its own worktree and terminal.
#[derive(Debug, Parser)]
#[command(name = "ao", version, max_term_width = 100)]
pub struct Invocation {
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Who runs a command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// This crate.
    #[command(flatten)]
    Client(ClientCommand),
    /// Run the daemon in the foreground.
    Daemon(DaemonArgs),
    /// Become an agent, as its launch file says.
    #[command(hide = true)]
    LaunchAgent(LaunchAgentArgs),
}

/// Runs the daemon in the foreground.
#[derive(Debug, Args)]
pub struct DaemonArgs {
    /// Leave the terminal's session.
    #[arg(long, hide = true)]
    pub detached: bool,
    /// The settings stand on standard input.
    #[arg(long, hide = true)]
    pub settings_on_stdin: bool,
}

/// Becomes an agent.
#[derive(Debug, Args)]
pub struct LaunchAgentArgs {
    /// Where its launch files are.
    pub dir: PathBuf,
}

/// The commands that ask the daemon.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Start the daemon.
    Start,
    /// Stop the daemon; the agents keep running.
    Stop(stop::StopArgs),
    /// Show the daemon.
    Status,
    /// Add, list and remove repositories.
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Start a session: a worktree, a branch, an agent.
    Spawn(Box<spawn::SpawnArgs>),
    /// List the sessions.
    Ls(ls::LsArgs),
    /// Show one session.
    Show(show::ShowArgs),
    /// Say why a session has its status.
    Explain(explain::ExplainArgs),
    /// Say where today's rules, or another policy, would have decided otherwise.
    Replay(replay::ReplayArgs),
    /// Tell an agent something.
    Send(send::SendArgs),
    /// Press the agent's interrupt key; never kills.
    Interrupt(interrupt::InterruptArgs),
    /// Enter a session's terminal.
    Attach(attach::AttachArgs),
    /// Show what a session printed.
    Logs(logs::LogsArgs),
    /// Show what a session changed.
    Diff(diff::DiffArgs),
    /// Print a session's worktree.
    Path(path::PathArgs),
    /// Open a session's worktree in an editor.
    Open(open::OpenArgs),
    /// Give a session another name.
    Rename(rename::RenameArgs),
    /// Print the session that needs a human the most.
    Next(next::NextArgs),
    /// Wait until a session has a status.
    Wait(wait::WaitArgs),
    /// End sessions; work that is not committed stays.
    Kill(kill::KillArgs),
    /// Bring ended sessions back, in their conversation.
    Restore(restore::RestoreArgs),
    /// Free what ended sessions hold whose work is merged.
    Cleanup(cleanup::CleanupArgs),
    /// Get back what a removal set aside.
    Recover(recover::RecoverArgs),
    /// Forget ended sessions.
    Rm(rm::RmArgs),
    /// Show what needs a human.
    Inbox(inbox::InboxArgs),
    /// Show the messages of a session, with their receipts.
    Messages(messages::MessagesArgs),
    /// Show every change.
    Events(events::EventsArgs),
    /// List the agents: what is installed, and whether this version was tested.
    Agents,
    /// Show and check the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check that everything is as it should be.
    Doctor(doctor::DoctorArgs),
    /// For programs in a session: report a state.
    Report(report::ReportArgs),
    /// For agents: hand over an event; its payload is on standard input.
    Hook(hook::HookArgs),
}

impl ClientCommand {
    /// Whether programs inside a session call it, whose work no failure of ours may stop.
    pub(crate) const fn is_for_programs(&self) -> bool {
        matches!(self, Self::Hook(_) | Self::Report(_))
    }
}

/// Names of the commands for which [`ClientCommand::is_for_programs`] holds.
const FOR_PROGRAMS: [&str; 2] = ["hook", "report"];

/// Whether a command line that could not be parsed was one for programs.
pub(crate) fn is_for_programs(args: &[OsString]) -> bool {
    let mut words = args.iter().skip(1).filter_map(|arg| arg.to_str());
    words.find(|word| !word.starts_with('-')).is_some_and(|word| FOR_PROGRAMS.contains(&word))
}

/// Whether a command line that could not be parsed asked for JSON.
pub(crate) fn asks_for_json(args: &[OsString]) -> bool {
    args.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| arg == "--json")
}

/// A command line that makes no sense, in the one shape that all failures have.
pub(crate) fn usage_error(error: &clap::Error) -> ErrorBody {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("the command line makes no sense");
    let tip = lines.clone().find_map(|line| line.strip_prefix("tip: "));
    let is_end =
        |line: &&str| ["Usage:", "tip:", "For more"].iter().any(|end| line.starts_with(end));
    let listed: Vec<&str> = lines.take_while(|line| !is_end(line)).collect();
    let message = first.strip_prefix("error: ").unwrap_or(first);
    let message = std::iter::once(message).chain(listed).collect::<Vec<_>>().join(" ");
    ErrorBody {
        code: "USAGE".to_owned(),
        kind: ErrorKind::User,
        message,
        hint: Some(tip.map_or_else(|| "`ao help` shows the commands".to_owned(), str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_parser_is_consistent() {
        Invocation::command().debug_assert();
    }

    #[track_caller]
    fn usage_of(line: &str) -> ErrorBody {
        usage_error(&Invocation::try_parse_from(line.split(' ')).unwrap_err())
    }

    #[test]
    fn a_command_line_that_makes_no_sense_is_told_in_one_sentence() {
        insta::assert_snapshot!(usage_of("ao kil").message, @"unrecognized subcommand 'kil'");
        insta::assert_snapshot!(usage_of("ao kil").hint.unwrap(), @"a similar subcommand exists: 'kill'");
        insta::assert_snapshot!(usage_of("ao explain -- a b").message, @"unexpected argument 'b' found");
        insta::assert_snapshot!(usage_of("ao wait app-1").message, @"the following required arguments were not provided: --for <STATUS>...");
        insta::assert_snapshot!(usage_of("ao wait app-1 --for idle --timeout 5").message, @"invalid value '5' for '--timeout <D>': `5` is not a duration; write `500ms`, `2s`, `5m`, `1h30m` or `2d`");
        insta::assert_snapshot!(usage_of("ao kill --all").message, @"the following required arguments were not provided: --project <ID>");
        insta::assert_snapshot!(usage_of("ao show -x").hint.unwrap(), @"to pass '-x' as a value, use '-- -x'");
    }

    #[test]
    fn programs_and_json_are_recognised_in_what_cannot_be_parsed() {
        let args = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(is_for_programs(&args("ao hook")));
        assert!(is_for_programs(&args("ao --json report nonsense")));
        assert!(!is_for_programs(&args("ao kill hook")));
        assert!(asks_for_json(&args("ao kil --json")));
        assert!(!asks_for_json(&args("ao spawn -- tool --json")));
    }
}
