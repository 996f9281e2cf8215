//! The real binary on real tmux, git and SQLite, each test in a home of its own.
//!
//! Agents are shell scripts: what is shown here holds for any program in a terminal.

mod adoption;
mod bad_input;
mod capacity;
mod cleanup;
mod clocks;
mod crash;
mod damage;
mod death;
mod escalation;
mod events;
mod explain;
mod flow;
mod kill;
mod messages;
mod outside;
mod provision;
mod reboot;
mod replay;
mod restore;
mod spool;
mod world;
