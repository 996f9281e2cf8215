//! Where everything is: one pure rule, the same for the daemon and its clients.
//!
//! With `AO_HOME` everything is in that directory; without it in the XDG directories. Nothing here
//! touches the file system.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// Longest path of a socket in bytes: the kernel takes 107, tmux appends to some of its own.
pub const SOCKET_PATH_BYTES_MAX: usize = 100;

/// The daemon's socket in [`Layout::sockets_dir`].
const DAEMON_SOCKET: &str = "daemon.sock";

/// Room that a directory of sockets needs below it: a slash and `t-` with a hash of 16 digits,
/// longer than [`DAEMON_SOCKET`].
const SOCKET_NAME_BYTES_MAX: usize = 19;

/// What the rule looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HomeEnv {
    /// `AO_HOME`.
    pub ao_home: Option<OsString>,
    /// `HOME`.
    pub home: Option<OsString>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<OsString>,
    /// `XDG_DATA_HOME`.
    pub xdg_data_home: Option<OsString>,
    /// `XDG_STATE_HOME`.
    pub xdg_state_home: Option<OsString>,
    /// The working directory: a relative `AO_HOME` starts there.
    pub cwd: PathBuf,
    /// The user.
    pub uid: u32,
}

impl HomeEnv {
    /// Picks the variables that matter; an empty one counts as absent.
    pub fn from_vars(get: impl Fn(&str) -> Option<OsString>, cwd: PathBuf, uid: u32) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        Self {
            ao_home: get("AO_HOME"),
            home: get("HOME"),
            xdg_config_home: get("XDG_CONFIG_HOME"),
            xdg_data_home: get("XDG_DATA_HOME"),
            xdg_state_home: get("XDG_STATE_HOME"),
            cwd,
            uid,
        }
    }
}

/// Why there is no place for anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HomeError {
    /// Neither variable is set.
    #[error("neither `AO_HOME` nor `HOME` is set")]
    NoHome,
    /// A relative `AO_HOME`, and the working directory is gone.
    #[error("`AO_HOME` is relative (`{home}`) and the working directory cannot be read")]
    NoWorkingDirectory {
        /// The value.
        home: String,
    },
    /// The value has bytes that a configuration file, a log or a JSON text cannot hold.
    #[error("the home `{home}` is not valid UTF-8")]
    NotUtf8 {
        /// The value, as far as it can be shown.
        home: String,
    },
    /// Neither the home nor the fallback can hold a socket.
    #[error("the path of the socket `{socket}` is longer than {SOCKET_PATH_BYTES_MAX} bytes")]
    SocketPathTooLong {
        /// The shortest one that was tried.
        socket: String,
    },
}

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// `AO_HOME` as it is handed on to the daemon and to agents; absent in the XDG layout.
    pub ao_home: Option<PathBuf>,
    /// The configuration file.
    pub config_file: PathBuf,
    /// Database, lock, launch files, worktrees.
    pub data_dir: PathBuf,
    /// Logs.
    pub state_dir: PathBuf,
    /// Every socket of this home. Private to the user; whoever makes it checks that.
    pub sockets_dir: PathBuf,
}

impl Layout {
    /// Applies the rule. The outcome depends on nothing but the argument, so that every process of
    /// a user who names the same home finds the same socket.
    pub fn resolve(env: &HomeEnv) -> Result<Self, HomeError> {
        Self::resolve_with_fallback(env, &PathBuf::from(format!("/tmp/ao-{}", env.uid)))
    }

    fn resolve_with_fallback(env: &HomeEnv, fallback: &Path) -> Result<Self, HomeError> {
        let (ao_home, config_dir, data_dir, state_dir) = match &env.ao_home {
            Some(home) => {
                let home = absolute(home, &env.cwd)?;
                (Some(home.clone()), home.clone(), home.clone(), home)
            }
            None => (
                None,
                xdg(env.xdg_config_home.as_ref(), env.home.as_ref(), ".config")?,
                xdg(env.xdg_data_home.as_ref(), env.home.as_ref(), ".local/share")?,
                xdg(env.xdg_state_home.as_ref(), env.home.as_ref(), ".local/state")?,
            ),
        };
        for dir in [&config_dir, &data_dir, &state_dir] {
            if dir.to_str().is_none() {
                return Err(HomeError::NotUtf8 { home: dir.display().to_string() });
            }
        }
        let sockets_dir = sockets_dir(&data_dir, fallback)?;
        Ok(Self {
            ao_home,
            config_file: config_dir.join("config.toml"),
            data_dir,
            state_dir,
            sockets_dir,
        })
    }

    /// Where the daemon listens.
    pub fn socket(&self) -> PathBuf {
        self.sockets_dir.join(DAEMON_SOCKET)
    }

    /// The socket of a project's tmux server; a hash stands in for an id that does not fit.
    pub fn tmux_socket(&self, project: &str) -> PathBuf {
        let named = self.sockets_dir.join(format!("t-{project}"));
        if fits(&named) {
            named
        } else {
            self.sockets_dir.join(format!("t-{:016x}", fnv1a(project.as_bytes())))
        }
    }

    /// What the daemon says that nobody asked for, its startup error included.
    pub fn log_file(&self) -> PathBuf {
        self.state_dir.join("daemon.log")
    }

    /// Where signals wait while no daemon takes them.
    pub fn spool_dir(&self) -> PathBuf {
        self.data_dir.join("spool")
    }

    /// The directory to show when asked for the home.
    pub fn home(&self) -> &Path {
        &self.data_dir
    }
}

/// Absolute, without `.` and doubled slashes: two spellings of one home share one socket. A link is
/// not followed, and so neither is `..` resolved.
fn absolute(home: &OsStr, cwd: &Path) -> Result<PathBuf, HomeError> {
    let path = Path::new(home);
    if path.is_relative() && !cwd.is_absolute() {
        return Err(HomeError::NoWorkingDirectory { home: path.display().to_string() });
    }
    Ok(cwd.join(path).components().filter(|part| !matches!(part, Component::CurDir)).collect())
}

/// One XDG directory; as the specification says, a relative one is ignored.
fn xdg(
    value: Option<&OsString>,
    home: Option<&OsString>,
    default: &str,
) -> Result<PathBuf, HomeError> {
    let named = value.map(PathBuf::from).filter(|path| path.is_absolute());
    let dir = match (named, home) {
        (Some(dir), _) => dir,
        (None, Some(home)) => Path::new(home).join(default),
        (None, None) => return Err(HomeError::NoHome),
    };
    Ok(dir.join("ao"))
}

/// In the home when that fits. Else in a directory of the user's own under a hash of the home, at
/// a fixed place: a caller with another `XDG_RUNTIME_DIR` or `TMPDIR` would look elsewhere.
fn sockets_dir(data_dir: &Path, fallback: &Path) -> Result<PathBuf, HomeError> {
    let has_room = |dir: &Path| byte_len(dir) + SOCKET_NAME_BYTES_MAX <= SOCKET_PATH_BYTES_MAX;
    if has_room(data_dir) {
        return Ok(data_dir.to_owned());
    }
    let hashed = fallback.join(format!("{:016x}", fnv1a(data_dir.as_os_str().as_bytes())));
    if has_room(&hashed) {
        Ok(hashed)
    } else {
        let socket = hashed.join(DAEMON_SOCKET).display().to_string();
        Err(HomeError::SocketPathTooLong { socket })
    }
}

fn fits(path: &Path) -> bool {
    byte_len(path) <= SOCKET_PATH_BYTES_MAX
}

fn byte_len(path: &Path) -> usize {
    path.as_os_str().as_bytes().len()
}

/// FNV-1a: the standard library's hash may change with a release, and a socket must not move.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> HomeEnv {
        let get = |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        HomeEnv::from_vars(get, PathBuf::from("/cwd"), 1000)
    }

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expect: [&str; 4]) {
        let layout = Layout::resolve(&env(pairs)).unwrap();
        let got = [&layout.config_file, &layout.data_dir, &layout.log_file(), &layout.socket()]
            .map(|path| path.display().to_string());
        assert_eq!(got.each_ref().map(String::as_str), expect);
    }

    #[test]
    fn ao_home_moves_everything() {
        let expect = ["/h/config.toml", "/h", "/h/daemon.log", "/h/daemon.sock"];
        check(&[("AO_HOME", "/h"), ("HOME", "/home/u"), ("XDG_DATA_HOME", "/data")], expect);
    }

    #[test]
    fn spellings_of_one_home_share_one_socket() {
        let expect = ["/cwd/h/config.toml", "/cwd/h", "/cwd/h/daemon.log", "/cwd/h/daemon.sock"];
        for home in ["h", "./h", "h/", "/cwd//h/.", "/cwd/h"] {
            check(&[("AO_HOME", home)], expect);
        }
    }

    #[test]
    fn without_ao_home_the_xdg_directories_are_used() {
        let home = ("HOME", "/home/u");
        let defaults = [
            "/home/u/.config/ao/config.toml",
            "/home/u/.local/share/ao",
            "/home/u/.local/state/ao/daemon.log",
            "/home/u/.local/share/ao/daemon.sock",
        ];
        check(&[home], defaults);
        check(&[home, ("AO_HOME", ""), ("XDG_DATA_HOME", "relative")], defaults);
        check(
            &[("XDG_CONFIG_HOME", "/c"), ("XDG_DATA_HOME", "/d"), ("XDG_STATE_HOME", "/s")],
            ["/c/ao/config.toml", "/d/ao", "/s/ao/daemon.log", "/d/ao/daemon.sock"],
        );
    }

    #[test]
    fn a_home_too_deep_for_a_socket_gets_one_elsewhere_by_its_hash() {
        let deep = |n: usize| format!("/{}", "x".repeat(n));
        let socket_of = |home: &str| {
            Layout::resolve(&env(&[("AO_HOME", home)])).unwrap().socket().display().to_string()
        };
        assert_eq!(socket_of(&deep(80)), format!("{}/daemon.sock", deep(80)));
        assert_eq!(socket_of(&deep(81)), "/tmp/ao-1000/bcf31c91a793b0b2/daemon.sock");
        assert_ne!(socket_of(&deep(81)), socket_of(&deep(82)));
    }

    #[test]
    fn every_socket_of_a_home_fits() {
        for n in [10, 80, 81, 200] {
            let home = format!("/{}", "x".repeat(n));
            let layout = Layout::resolve(&env(&[("AO_HOME", &home)])).unwrap();
            assert!(fits(&layout.socket()));
            for project in ["app", &"p".repeat(100)] {
                assert!(fits(&layout.tmux_socket(project)), "{project} in {home}");
            }
        }
    }

    #[test]
    fn a_home_without_a_place_for_a_socket_says_so() {
        let env = env(&[("AO_HOME", &format!("/{}", "x".repeat(100)))]);
        let error = Layout::resolve_with_fallback(&env, Path::new(&"/y".repeat(40))).unwrap_err();
        assert!(matches!(error, HomeError::SocketPathTooLong { .. }), "{error}");
        assert_eq!(Layout::resolve(&HomeEnv::default()), Err(HomeError::NoHome));
    }
}
