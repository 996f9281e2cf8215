//! Last screens: what a terminal showed when its session ended.

use super::BoxFuture;
use crate::ids::SessionId;

/// Why a screen could not be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the last screen of `{session}` cannot be kept or read: {message}")]
pub struct ScreensError {
    /// Whose screen.
    pub session: SessionId,
    /// What went wrong.
    pub message: String,
}

/// Keeps the last screen of each ended session, readable by the owner only.
pub trait Screens: Send + Sync {
    /// Keeps a screen, replacing an earlier one.
    fn save_screen<'a>(
        &'a self,
        session: &'a SessionId,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), ScreensError>>;

    /// Reads it back; `None` when none was kept.
    fn last_screen<'a>(
        &'a self,
        session: &'a SessionId,
    ) -> BoxFuture<'a, Result<Option<String>, ScreensError>>;
}
