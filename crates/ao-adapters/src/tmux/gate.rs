//! The gate: a pane's process waits until its runtime is marked, then becomes the command.
//!
//! *Flow*: the pane starts as a shell that waits for a tmux channel. The creator reads who that
//! process is, writes it on the session, and opens the channel, in one sequence. The shell then
//! executes the command, which keeps process number and start time.
//!
//! *Guarantees*: no command runs before its runtime says whose it is, so a crash in between leaves
//! nothing that a later creation of the same launch would not find and finish. A command that ends
//! at once has an identity, and an exit status. A gate whose server died starts nothing.

use std::path::Path;

use ao_core::ids::LaunchId;
use ao_core::ports::CreateRuntime;

/// Waits, then becomes the rest of its arguments.
const SCRIPT: &str = r#""$1" -S "$2" wait-for "$3" && shift 3 && exec "$@""#;

/// The channel of a launch.
pub(super) fn channel(launch: &LaunchId) -> String {
    format!("ao-{launch}")
}

/// The command line of a pane that waits at the gate.
pub(super) fn command(tmux: &str, socket: &Path, request: &CreateRuntime) -> Vec<String> {
    let socket = socket.to_string_lossy();
    let channel = channel(&request.launch);
    let gate = ["sh", "-c", SCRIPT, "ao-gate", tmux, &socket, &channel];
    gate.into_iter().map(str::to_owned).chain(request.argv.iter().cloned()).collect()
}
