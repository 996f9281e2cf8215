//! Hearing of changes at a server: its hooks count them, and a listener tells of each new count.
//!
//! *Flow*: hooks of the server add one to an option and signal a channel. The listener asks for
//! the count; while it is the one that it has told already, the server lets it wait at the channel
//! first. A server executes the whole question without a hook in between, so that no change falls
//! between the comparison and the wait.
//!
//! *Guarantees*: the count, and not the signal, says that something changed: tmux 3.3a forgets a
//! signal that nobody waits for as soon as a second one comes. Listeners of several daemons do not
//! take changes from each other. A listener ends with the daemon, however that ends, with the
//! server, and when it is dropped.
//!
//! *Not here*: a client in control mode, which tmux would tell all of this. In 3.3a and later a
//! notification that meets the greeting of such a client makes the server write through a null
//! pointer, and every agent in it dies.

use std::path::Path;

use super::TmuxRuntime;
use super::ask::Line;
use crate::cmd::{Cmd, CmdError, Conversation};

/// What is worth a look: sessions and windows that come and go, panes that come, end and go.
const HOOKS: &[&str] = &[
    "session-created",
    "session-closed",
    "session-renamed",
    "window-linked",
    "window-unlinked",
    "after-split-window",
    "after-kill-pane",
    "pane-died",
    "pane-exited",
];

/// Our place in each hook: commands of the user stand in others.
const INDEX: u8 = 70;

/// The option that counts.
const COUNT: &str = "@ao_changes";

/// The count with this change.
const COUNT_AND_ONE: &str = "#{e|+:#{@ao_changes},1}";

/// The channel.
const CHANNEL: &str = "ao-changed";

/// Prints a line for each count that it has not seen, the first at once.
///
/// Its standard input is the life of who listens: when that closes, the whole process group ends,
/// a client that waits at the channel included. Group 0 is its own, by no number.
const SCRIPT: &str = r##"exec 3<&0 </dev/null
(read -r _ <&3; kill -s KILL 0) >/dev/null &
exec 3<&-
told=
while count=$("$1" -u -f /dev/null -S "$2" \
    if-shell -F "#{==:#{@ao_changes},$told}" 'wait-for ao-changed' ';' \
    display-message -p '#{@ao_changes}')
do
    [ "$count" = "$told" ] && continue
    told=$count
    echo changed || break
done
kill -s KILL 0"##;

/// What a server is told before it is listened to. The change that is counted here wakes the
/// listener that a killed daemon may have left, so that it finds that it has nobody to tell.
pub(super) fn hooks() -> Line {
    let count = Line::new("set-option").args(["-sF", COUNT, COUNT_AND_ONE]);
    let signal = Line::new("wait-for").args(["-S", CHANNEL]);
    let command = format!("set-option -sF {COUNT} '{COUNT_AND_ONE}' ; wait-for -S {CHANNEL}");
    let set =
        |hook: &&str| Line::new("set-hook").args(["-g", &format!("{hook}[{INDEX}]"), &command]);
    // A server that ends when it is empty would end between two sessions.
    let stay = Line::new("set-option").args(["-s", "exit-empty", "off"]);
    HOOKS.iter().map(set).fold(stay, Line::then).then(count).then(signal)
}

impl TmuxRuntime {
    /// Starts a listener. Each of its lines says that something changed.
    pub(super) fn listener(&self, socket: &Path) -> Result<Conversation, CmdError> {
        Cmd::new("sh")
            .args(["-c", SCRIPT, "ao-listen", &self.config.program])
            .arg(socket)
            .dir(&self.config.stable_dir)
            .env_remove("TMUX")
            .env_remove("TMUX_PANE")
            .converse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_asks_for_what_the_hooks_count() {
        assert!(SCRIPT.contains(&format!("#{{==:#{{{COUNT}}},$told}}")), "{SCRIPT}");
        assert!(SCRIPT.contains(&format!("'wait-for {CHANNEL}'")), "{SCRIPT}");
        assert!(SCRIPT.contains(&format!("-p '#{{{COUNT}}}'")), "{SCRIPT}");
        assert!(COUNT_AND_ONE.contains(&format!("#{{{COUNT}}}")), "{COUNT_AND_ONE}");
    }
}
