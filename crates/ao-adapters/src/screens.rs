//! Last screens as files, readable by the owner only.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ao_core::ids::SessionId;
use ao_core::ports::{BoxFuture, Screens, ScreensError};
use tokio::io::AsyncWriteExt as _;

/// One file per session in a directory of the home.
#[derive(Debug, Clone)]
pub struct FileScreens {
    dir: PathBuf,
}

impl FileScreens {
    /// Keeps screens below `dir`, which is made when it is first needed.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn path(&self, session: &SessionId) -> PathBuf {
        self.dir.join(format!("{session}.txt"))
    }
}

async fn write_private(dir: &Path, path: &Path, text: &str) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temporary = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = tokio::fs::OpenOptions::from(options).open(&temporary).await?;
    file.write_all(text.as_bytes()).await?;
    file.flush().await?;
    tokio::fs::rename(&temporary, path).await
}

impl Screens for FileScreens {
    fn save_screen<'a>(
        &'a self,
        session: &'a SessionId,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), ScreensError>> {
        Box::pin(async move {
            write_private(&self.dir, &self.path(session), text).await.map_err(|error| {
                ScreensError { session: session.clone(), message: error.to_string() }
            })
        })
    }

    fn last_screen<'a>(
        &'a self,
        session: &'a SessionId,
    ) -> BoxFuture<'a, Result<Option<String>, ScreensError>> {
        Box::pin(async move {
            match tokio::fs::read_to_string(self.path(session)).await {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => {
                    Err(ScreensError { session: session.clone(), message: error.to_string() })
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_screen_is_read_back_as_kept_and_only_its_owner_can_read_it() {
        let home = tempfile::tempdir().unwrap();
        let screens = FileScreens::new(home.path().join("screens"));
        let session = SessionId::parse("app-1").unwrap();
        assert_eq!(screens.last_screen(&session).await, Ok(None));
        screens.save_screen(&session, "one").await.unwrap();
        screens.save_screen(&session, "two\nlines").await.unwrap();
        assert_eq!(screens.last_screen(&session).await, Ok(Some("two\nlines".to_owned())));
        let mode = screens.path(&session).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
