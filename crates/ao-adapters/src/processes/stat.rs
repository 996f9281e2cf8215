//! One line of `/proc/PID/stat`.

use std::io;

use ao_core::ids::Pid;

use super::table::{TMUX_CLIENT, TMUX_SERVER};

/// What is needed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    /// The name of its program, at most 15 bytes.
    pub(crate) name: String,
    /// Whether it ended and only waits to be reaped.
    pub(crate) has_ended: bool,
    pub(crate) parent: Pid,
    /// The leader of its session.
    pub(crate) session: Pid,
    /// Its start, in clock ticks since boot.
    pub(crate) start_ticks: u64,
}

impl Stat {
    pub(crate) fn read(pid: Pid) -> io::Result<Self> {
        let bytes = std::fs::read(format!("/proc/{pid}/stat"))?;
        Self::parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "a line of the process table is malformed")
        })
    }

    /// Whether it is part of tmux: signalling a server ends every session that it holds.
    pub(super) fn is_tmux(&self) -> bool {
        self.name == TMUX_SERVER || self.name == TMUX_CLIENT
    }

    /// The name may hold spaces and parentheses: the fields begin after the last one.
    fn parse(line: &str) -> Option<Self> {
        let (head, tail) = line.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        // Field 3, the state, is the first after the name.
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field.checked_sub(3)?)?.parse::<i64>().ok();
        let pid = |field: usize| number(field).and_then(|n| i32::try_from(n).ok()).map(Pid);
        Some(Self {
            name: name.to_owned(),
            has_ended: matches!(*fields.first()?, "Z" | "X" | "x"),
            parent: pid(4)?,
            session: pid(6)?,
            start_ticks: u64::try_from(number(22)?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "1 4242 77 34816 4242 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 1";

    #[test]
    fn a_program_may_be_called_anything() {
        let stat = Stat::parse(&format!("4242 (a) Z (1) S {REST}")).unwrap();
        let expected = Stat {
            name: "a) Z (1".to_owned(),
            has_ended: false,
            parent: Pid(1),
            session: Pid(77),
            start_ticks: 98_765,
        };
        assert_eq!(stat, expected);
    }

    #[test]
    fn a_process_that_only_waits_to_be_reaped_has_ended() {
        assert!(Stat::parse(&format!("4242 (x) Z {REST}")).unwrap().has_ended);
        assert!(!Stat::parse(&format!("4242 (x) T {REST}")).unwrap().has_ended);
    }

    #[test]
    fn half_a_line_is_no_answer() {
        assert_eq!(Stat::parse("4242 (x) S 1 2 3"), None);
        assert_eq!(Stat::parse(""), None);
    }
}
