//! A home that is deleted or replaced under the daemon that holds it.
//!
//! Nobody reaches such a daemon any more, and what it writes is in files that have no name: it ends,
//! as by `ao stop`. Agents and tmux servers run on. A home that is moved and soon moved back is as
//! good as one that stayed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ao_store::DataLock;

use crate::app::App;
use crate::stop::Urgency;

/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a home may be away: longer than a person needs to move a directory and back.
const AWAY_FOR_MAX: Duration = Duration::from_mins(1);

/// What tells a file from another one of its name: device and number.
type Identity = (u64, u64);

/// How it stands with the home.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Here,
    /// Not there, for so many looks.
    Away(u32),
    /// Somebody else's.
    Replaced,
}

impl Standing {
    fn next(&self, ours: Identity, found: Option<Identity>) -> Self {
        match (found, self) {
            (Some(found), _) if found == ours => Self::Here,
            (Some(_), _) | (None, Self::Replaced) => Self::Replaced,
            (None, Self::Here) => Self::Away(1),
            (None, Self::Away(n_looks)) => Self::Away(n_looks.saturating_add(1)),
        }
    }

    fn is_lost(&self) -> bool {
        match self {
            Self::Here => false,
            Self::Away(n_looks) => LOOK_EVERY.saturating_mul(*n_looks) > AWAY_FOR_MAX,
            Self::Replaced => true,
        }
    }
}

/// Looks for the home every few seconds, and ends the daemon without it.
pub(crate) async fn watch(app: Arc<App>) {
    let path = app.layout.data_dir.join(DataLock::FILE_NAME);
    let Some(ours) = identity(&path) else { return };
    let mut standing = Standing::Here;
    loop {
        tokio::select! {
            biased;
            () = app.stop.reached(Urgency::Graceful) => return,
            () = app.ports.clock.sleep(LOOK_EVERY) => {}
        }
        standing = standing.next(ours, identity(&path));
        if standing.is_lost() {
            tracing::error!(home = %app.layout.data_dir.display(), "The home is gone: ending.");
            app.stop.request();
            return;
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|it| (it.dev(), it.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Identity = (1, 7);

    fn after(found: &[Option<Identity>]) -> Standing {
        found.iter().fold(Standing::Here, |standing, found| standing.next(OURS, *found))
    }

    #[test]
    fn a_home_that_stays_or_comes_back_in_time_is_not_lost() {
        assert!(!after(&[Some(OURS); 3]).is_lost());
        assert!(!after(&[None; 12]).is_lost());
        assert_eq!(after(&[None, None, Some(OURS)]), Standing::Here);
    }

    #[test]
    fn a_home_that_stays_away_or_is_another_one_is_lost() {
        assert!(after(&[None; 13]).is_lost());
        assert!(after(&[Some((1, 8))]).is_lost());
        assert!(after(&[Some((2, 7)), None]).is_lost());
    }
}
