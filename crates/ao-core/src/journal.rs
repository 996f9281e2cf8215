//! The journal: every change, with the fact and the rule that made it.

use crate::fact::Fact;
use crate::ids::{Revision, SessionId};
use crate::step::Because;
use crate::time::Moment;

/// What is written beside a change. The store adds its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// When the change was decided.
    pub at: Moment,
    /// The fact that made it.
    pub fact: Fact,
    /// Which rule, on which values.
    pub because: Because,
}

/// An entry as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRecord {
    /// Position in the journal of all sessions.
    pub seq: u64,
    /// The session.
    pub session: SessionId,
    /// The revision that it led to.
    pub revision: Revision,
    /// What was written.
    pub entry: JournalEntry,
}
