//! The lock of a home, taken from a living daemon never and from a dying one as soon as possible.
//!
//! The kernel frees the lock when its last descriptor is closed. After a `kill -9` that takes some
//! milliseconds: the process has yet to be torn down, and a child that it had forked and that has
//! not reached its `exec` shares the descriptor.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use ao_api::home::Layout;
use ao_store::{DataLock, LockError};

/// How long a holder that does not answer may take to be gone, or to begin answering. A loaded
/// machine tears a large process down in less.
const DYING_FOR_MAX: Duration = Duration::from_secs(2);

/// Between two tries: below what a person notices.
const TRY_EVERY: Duration = Duration::from_millis(10);

/// How long a daemon may take for the first byte of an answer.
const ANSWER_FOR_MAX: Duration = Duration::from_millis(250);

/// Takes the lock of a home. One whose holder answers is refused at once.
#[expect(clippy::disallowed_methods, reason = "nothing runs yet that could be blocked by it")]
pub(crate) fn acquire(layout: &Layout) -> Result<DataLock, LockError> {
    let socket = layout.socket();
    let began = Instant::now();
    loop {
        match DataLock::acquire(&layout.data_dir) {
            Err(LockError::Held { .. })
                if began.elapsed() < DYING_FOR_MAX && !is_answered(&socket) =>
            {
                std::thread::sleep(TRY_EVERY);
            }
            taken_or_refused => return taken_or_refused,
        }
    }
}

/// Whether anybody answers at a socket. To be able to connect proves nothing: the kernel takes
/// connections for a listener whose process is about to be gone.
fn is_answered(socket: &Path) -> bool {
    let asked = UnixStream::connect(socket).and_then(|mut stream| {
        stream.set_read_timeout(Some(ANSWER_FOR_MAX))?;
        stream.set_write_timeout(Some(ANSWER_FOR_MAX))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        stream.read(&mut [0])
    });
    asked.is_ok_and(|n_bytes| n_bytes > 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    fn layout(home: &Path) -> Layout {
        Layout {
            ao_home: Some(home.to_owned()),
            config_file: PathBuf::new(),
            data_dir: home.to_owned(),
            state_dir: home.to_owned(),
            sockets_dir: home.to_owned(),
        }
    }

    #[test]
    fn the_lock_of_a_daemon_that_is_just_gone_is_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let layout = layout(home.path());
        let held = DataLock::acquire(home.path()).unwrap();
        // Takes connections and answers none, as the listener of a killed process does.
        let dying = UnixListener::bind(layout.socket()).unwrap();
        let waiting = std::thread::spawn(move || acquire(&layout));
        drop(dying.accept().unwrap());
        drop((dying, held));
        let taken = waiting.join().unwrap();
        assert!(taken.is_ok(), "{taken:?}");
    }

    #[test]
    fn a_daemon_that_answers_is_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let layout = layout(home.path());
        let _held = DataLock::acquire(home.path()).unwrap();
        let running = UnixListener::bind(layout.socket()).unwrap();
        let waiting = std::thread::spawn(move || acquire(&layout));
        let mut asked = running.accept().unwrap().0;
        // What was not read when a connection is closed resets it.
        let n_bytes = asked.read(&mut [0; 64]).unwrap();
        assert!(n_bytes > 0);
        asked.write_all(b"HTTP/1.0 404 Not Found\r\n\r\n").unwrap();
        let refused = waiting.join().unwrap();
        assert!(matches!(refused, Err(LockError::Held { .. })), "{refused:?}");
        // Nobody asked a second time: the first answer was enough.
        running.set_nonblocking(true).unwrap();
        assert!(running.accept().is_err());
    }

    #[test]
    fn a_holder_that_never_answers_keeps_its_lock() {
        let home = tempfile::tempdir().unwrap();
        let _held = DataLock::acquire(home.path()).unwrap();
        assert!(matches!(acquire(&layout(home.path())), Err(LockError::Held { .. })));
    }
}
