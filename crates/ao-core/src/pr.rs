//! Pull requests: every value is known since some moment, or unknown.

use std::collections::BTreeSet;

use crate::closed::closed_enum;
use crate::ids::{BranchName, CauseKey, PrNumber, Sha};
use crate::time::Moment;

/// A value from outside: known since a moment, or never fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<T> {
    /// It was this when last fetched.
    Known {
        /// The value.
        value: T,
        /// When it was fetched.
        at: Moment,
    },
    /// It was never fetched, or could not be.
    Unknown,
}

impl<T> Known<T> {
    /// The value, if it is known.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Known { value, .. } => Some(value),
            Self::Unknown => None,
        }
    }
}

closed_enum! {
    /// Whether a pull request is still open.
    pub enum PrLife {
        /// Open.
        Open = "open",
        /// Merged.
        Merged = "merged",
        /// Closed without a merge.
        Closed = "closed",
    }
}

closed_enum! {
    /// Whether it is a draft.
    pub enum Draftness {
        /// A draft.
        Draft = "draft",
        /// Ready for review.
        Ready = "ready",
    }
}

/// The required checks of the current head, together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checks {
    /// No checks are required.
    None,
    /// At least one has not concluded and none failed.
    Pending,
    /// Every one concluded and passed.
    Passed,
    /// At least one failed through the fault of the change.
    Failed {
        /// One cause for each failure: head, check and fingerprint.
        causes: BTreeSet<CauseKey>,
    },
    /// Failed through no fault of the change: billing, infrastructure.
    Refused,
}

/// What the reviewers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// No review is required and none was given.
    NotRequired,
    /// One is awaited.
    Pending,
    /// Approved.
    Approved,
    /// Changes are wanted.
    ChangesRequested {
        /// One cause for each thread of a human: thread and last comment.
        human: BTreeSet<CauseKey>,
        /// One cause for each thread of a bot.
        bot: BTreeSet<CauseKey>,
    },
}

closed_enum! {
    /// Whether it can be merged into its base.
    pub enum Mergeability {
        /// The forge says clean.
        Clean = "clean",
        /// It conflicts with its base.
        Conflicting = "conflicting",
        /// It conflicts because the branch it is stacked on does; not its own conflict.
        ConflictingWithParent = "conflicting_with_parent",
        /// Something else stands in the way.
        Blocked = "blocked",
    }
}

/// A pull request as last known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pr {
    /// Its number.
    pub number: PrNumber,
    /// Its page.
    pub url: String,
    /// The branch that it wants to go into.
    pub base: BranchName,
    /// Its head commit.
    pub head: Known<Sha>,
    /// Open, merged or closed.
    pub life: Known<PrLife>,
    /// Draft or ready.
    pub draft: Known<Draftness>,
    /// Its required checks.
    pub checks: Known<Checks>,
    /// Its reviews.
    pub review: Known<Review>,
    /// Whether it can be merged.
    pub mergeability: Known<Mergeability>,
}

/// A pull request as just observed: what is `Unknown` keeps its last known value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrObservation {
    /// What was seen.
    pub pr: Pr,
}
