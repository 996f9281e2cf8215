//! Last screens in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ao_core::ids::SessionId;
use ao_core::ports::{BoxFuture, Screens, ScreensError};

/// Keeps screens in memory.
#[derive(Debug, Default)]
pub struct FakeScreens {
    screens: Mutex<BTreeMap<SessionId, String>>,
}

impl Screens for FakeScreens {
    fn save_screen<'a>(
        &'a self,
        session: &'a SessionId,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), ScreensError>> {
        let mut screens = self.screens.lock().unwrap_or_else(PoisonError::into_inner);
        screens.insert(session.clone(), text.to_owned());
        Box::pin(async { Ok(()) })
    }

    fn last_screen<'a>(
        &'a self,
        session: &'a SessionId,
    ) -> BoxFuture<'a, Result<Option<String>, ScreensError>> {
        let screens = self.screens.lock().unwrap_or_else(PoisonError::into_inner);
        let screen = screens.get(session).cloned();
        Box::pin(async move { Ok(screen) })
    }
}
