//! The ways to reach a human: the durable inbox, and any command.

mod command;
mod inbox;

pub use command::{CommandNotifier, CommandNotifierConfig};
pub use inbox::InboxNotifier;
