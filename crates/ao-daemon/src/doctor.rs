//! Is everything as it should be: what is looked at, and what each finding means.
//!
//! Looking and judging are apart: the judging is pure.

use std::path::{Path, PathBuf};

use ao_adapters::cmd::Cmd;
use ao_adapters::processes::groups_possible;
use ao_api::doctor::{CheckState, DoctorCheck, DoctorReport};
use ao_api::home::Layout;

use ao_engine::Leftover;

use crate::agents::{self, Place, Seen};
use crate::config::{Config, ConfigError};
use crate::home::{self, HomeFault};
use crate::{outside, socket};

/// The oldest tmux that was measured to do all that is needed.
const TMUX_MIN: (u32, u32) = (3, 2);

/// The oldest git with everything that is asked of it (`worktree list -z`).
const GIT_MIN: (u32, u32) = (2, 36);

/// Below this a worktree or two fill the disk.
const DISK_WARNING_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// Below this the database cannot be trusted to grow.
const DISK_FAILED_BYTES: u64 = 256 * 1024 * 1024;

/// What was seen.
struct Findings {
    tmux: Result<String, String>,
    git: Result<String, String>,
    home: Result<PathBuf, HomeFault>,
    socket: Result<PathBuf, String>,
    config: Result<Option<PathBuf>, ConfigError>,
    /// The agents that have a program of their own.
    agents: Vec<Seen>,
    disk_free_bytes: Option<u64>,
    /// Where launches get their control groups, or why they get none.
    groups: Result<PathBuf, String>,
    /// What no record accounts for, or why that could not be looked for; nothing where no daemon
    /// holds the records.
    leftovers: Option<Result<Vec<Leftover>, String>>,
}

/// Looks and judges.
pub(crate) async fn examine(
    layout: &Layout,
    config: &Result<Config, ConfigError>,
    place: &Place,
    leftovers: Option<Result<Vec<Leftover>, String>>,
) -> DoctorReport {
    let (tmux, git) = (version("tmux", "-V").await, version("git", "--version").await);
    let socket_path = layout.socket();
    judge(&Findings {
        tmux,
        git,
        home: home::check(layout).map(|()| layout.home().to_owned()),
        socket: match socket::check_path(&socket_path) {
            Ok(()) => Ok(socket_path),
            Err(error) => Err(error.to_string()),
        },
        config: config.as_ref().map(|config| config.path.clone()).map_err(Clone::clone),
        agents: match config {
            Ok(config) => agents_of(config, place).await,
            Err(_refused) => Vec::new(),
        },
        disk_free_bytes: disk_free(layout.home()),
        groups: groups_possible().map_err(|because| because.to_string()),
        leftovers,
    })
}

/// Makes what is missing and takes away what others may do.
pub(crate) fn mend(layout: &Layout) -> Result<(), HomeFault> {
    home::prepare(layout)
}

async fn version(program: &str, flag: &str) -> Result<String, String> {
    let output = Cmd::new(program).arg(flag).run().await.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(output.stdout_text().trim().to_owned())
    } else {
        Err(format!("`{program} {flag}` failed: {}", output.stderr_text()))
    }
}

async fn agents_of(config: &Config, place: &Place) -> Vec<Seen> {
    // The configuration was checked, so that its names are names.
    let agents = outside::agents(config).unwrap_or_default();
    let mut seen = agents::look(&agents, config, place).await;
    seen.retain(|agent| agent.program.is_some());
    seen
}

fn disk_free(home: &Path) -> Option<u64> {
    let there = home.ancestors().find(|dir| dir.exists())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

fn judge(findings: &Findings) -> DoctorReport {
    let mut checks = vec![
        tool("tmux", &findings.tmux, TMUX_MIN),
        tool("git", &findings.git, GIT_MIN),
        of_home(&findings.home),
        match &findings.socket {
            Ok(path) => ok("socket", path.display().to_string()),
            Err(message) => failed("socket", message.clone(), "set `AO_HOME` to a shorter path"),
        },
        of_config(&findings.config),
        of_disk(findings.disk_free_bytes),
        of_groups(&findings.groups),
    ];
    checks.extend(findings.agents.iter().flat_map(of_agent));
    checks.extend(findings.leftovers.iter().flat_map(of_leftovers));
    let is_ok = checks.iter().all(|check| check.state != CheckState::Failed);
    DoctorReport { ok: is_ok, checks }
}

/// What holds of an agent: whether it is there, its version, and each thing that it lacks.
fn of_agent(agent: &Seen) -> Vec<DoctorCheck> {
    let name = format!("agent {}", agent.name);
    let program = agent.program.as_deref().unwrap_or_default();
    let Some(path) = &agent.path else { return vec![of_missing(agent, &name, program)] };
    let path = path.display();
    let newest = agent.tested_versions.last().copied().unwrap_or_default();
    let again = agent.install.unwrap_or("install it again");
    let version = match &agent.version {
        None => ok(&name, format!("`{path}`")),
        Some(Err(because)) => warning(&name, because.clone(), &format!("`{again}` may mend it")),
        Some(Ok(version)) if agent.is_tested == Some(false) => warning(
            &name,
            format!("`{path}` is version {version}, which was not tested with this release"),
            &format!("{newest} was: `{again}`"),
        ),
        Some(Ok(version)) => ok(&name, format!("`{path}`, version {version}")),
    };
    let needs = agent.needs.iter().map(|need| warning(&name, need.message.clone(), &need.hint));
    std::iter::once(version).chain(needs).collect()
}

/// A built-in agent that nobody asks for need not be there.
fn of_missing(agent: &Seen, name: &str, program: &str) -> DoctorCheck {
    let detail = format!("`{program}` is not on the PATH");
    match agent.install {
        Some(install) if !agent.is_asked_for => {
            ok(name, format!("not installed; `{install}` installs it"))
        }
        Some(install) => warning(name, detail, &format!("`{install}` installs it")),
        None => warning(
            name,
            detail,
            "a session finds it if it is on the PATH of the shell that runs `ao spawn`",
        ),
    }
}

/// A line for each thing without a record: it harms nothing, and only a person knows what it is.
fn of_leftovers(found: &Result<Vec<Leftover>, String>) -> Vec<DoctorCheck> {
    const NAME: &str = "leftovers";
    match found {
        Ok(left) if left.is_empty() => {
            vec![ok(NAME, "everything of this home has a record".to_owned())]
        }
        Ok(left) => left
            .iter()
            .map(|it| warning(NAME, format!("{}: {}", it.of, it.detail), &it.hint))
            .collect(),
        Err(message) => {
            vec![warning(NAME, message.clone(), "ask again; the log says more")]
        }
    }
}

fn tool(name: &str, found: &Result<String, String>, min: (u32, u32)) -> DoctorCheck {
    let install = format!("install it, for instance with `apt-get install {name}`");
    match found {
        Err(message) => failed(name, message.clone(), &install),
        Ok(text) => match numbers(text) {
            Some(version) if version < min => warning(
                name,
                text.clone(),
                &format!("version {}.{} or newer is what was tried", min.0, min.1),
            ),
            Some(_) => ok(name, text.clone()),
            None => warning(name, text.clone(), "its version could not be read"),
        },
    }
}

/// Major and minor number in `tmux 3.3a`, `git version 2.39.5`.
fn numbers(text: &str) -> Option<(u32, u32)> {
    let word =
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = word.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

fn of_home(found: &Result<PathBuf, HomeFault>) -> DoctorCheck {
    match found {
        Ok(path) => ok("home", path.display().to_string()),
        Err(fault) => failed(
            "home",
            fault.to_string(),
            "make it writable, or set `AO_HOME` to a directory that is; `ao doctor --fix` makes \
             what is missing",
        ),
    }
}

fn of_config(found: &Result<Option<PathBuf>, ConfigError>) -> DoctorCheck {
    match found {
        Ok(Some(path)) => ok("config", path.display().to_string()),
        Ok(None) => ok("config", "no file: the defaults are in force".to_owned()),
        Err(error) => failed("config", error.to_string(), "`ao config check` lists all of it"),
    }
}

fn of_disk(free_bytes: Option<u64>) -> DoctorCheck {
    let Some(free_bytes) = free_bytes else {
        return warning("disk", "its free space could not be read".to_owned(), "look at `df`");
    };
    let detail = format!("{} MiB free", free_bytes.div_euclid(1024 * 1024));
    let hint = "free some space, or move `AO_HOME`";
    if free_bytes < DISK_FAILED_BYTES {
        failed("disk", detail, hint)
    } else if free_bytes < DISK_WARNING_BYTES {
        warning("disk", detail, hint)
    } else {
        ok("disk", detail)
    }
}

/// Without them everything works; they are exact where the rest is thorough.
fn of_groups(found: &Result<PathBuf, String>) -> DoctorCheck {
    let detail = match found {
        Ok(base) => format!("each launch gets one below `{}`", base.display()),
        Err(because) => format!(
            "none: {because}; what an agent starts is found by its parents, its terminal and its \
             environment"
        ),
    };
    ok("cgroup", detail)
}

fn ok(name: &str, detail: String) -> DoctorCheck {
    DoctorCheck { name: name.to_owned(), state: CheckState::Ok, detail, hint: None }
}

fn warning(name: &str, detail: String, hint: &str) -> DoctorCheck {
    let (name, hint) = (name.to_owned(), Some(hint.to_owned()));
    DoctorCheck { name, state: CheckState::Warning, detail, hint }
}

fn failed(name: &str, detail: String, hint: &str) -> DoctorCheck {
    let (name, hint) = (name.to_owned(), Some(hint.to_owned()));
    DoctorCheck { name, state: CheckState::Failed, detail, hint }
}

#[cfg(test)]
mod tests {
    use std::io;

    use ao_adapters::agents::inventory::Need;
    use ao_api::agents::AgentKind;
    use ao_core::agent::Signals;
    use ao_core::ids::AgentName;

    use super::*;

    fn agent() -> Seen {
        Seen {
            name: AgentName::parse("mine").unwrap(),
            kind: AgentKind::Configured,
            is_asked_for: false,
            program: Some("mine".to_owned()),
            path: Some(PathBuf::from("/bin/mine")),
            version: None,
            is_tested: None,
            tested_versions: &["1.2.3"],
            signals: Signals::None,
            can_resume: false,
            install: None,
            needs: Vec::new(),
        }
    }

    fn healthy() -> Findings {
        Findings {
            tmux: Ok("tmux 3.3a".to_owned()),
            git: Ok("git version 2.39.5".to_owned()),
            home: Ok(PathBuf::from("/h")),
            socket: Ok(PathBuf::from("/h/daemon.sock")),
            config: Ok(None),
            agents: vec![agent()],
            disk_free_bytes: Some(1 << 40),
            groups: Ok(PathBuf::from("/sys/fs/cgroup")),
            leftovers: Some(Ok(Vec::new())),
        }
    }

    #[track_caller]
    fn check(findings: &Findings, name: &str, expect: CheckState) {
        let report = judge(findings);
        let found = report.checks.iter().find(|check| check.name == name).unwrap();
        assert_eq!(found.state, expect, "{found:?}");
        assert_eq!(found.hint.is_some(), expect != CheckState::Ok, "a finding says what to do");
        assert_eq!(report.ok, expect != CheckState::Failed);
    }

    #[test]
    fn a_healthy_machine_has_nothing_to_mend() {
        let report = judge(&healthy());
        assert!(report.checks.iter().all(|check| check.state == CheckState::Ok), "{report:?}");
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let missing = || Err("`x` is not installed or not on the PATH".to_owned());
        check(&Findings { tmux: missing(), ..healthy() }, "tmux", CheckState::Failed);
        check(&Findings { git: missing(), ..healthy() }, "git", CheckState::Failed);
        let socket = Err("too long".to_owned());
        check(&Findings { socket, ..healthy() }, "socket", CheckState::Failed);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let home = Err(HomeFault::new(Path::new("/h"), &denied));
        check(&Findings { home, ..healthy() }, "home", CheckState::Failed);
        let config = Err(ConfigError::one("config.toml", "unknown key"));
        check(&Findings { config, ..healthy() }, "config", CheckState::Failed);
    }

    #[test]
    fn a_machine_without_control_groups_is_told_why_and_nothing_is_wrong_with_it() {
        let groups = Err("no hierarchy is mounted".to_owned());
        let report = judge(&Findings { groups, ..healthy() });
        let found = report.checks.iter().find(|check| check.name == "cgroup").unwrap();
        assert!(report.ok && found.state == CheckState::Ok, "{found:?}");
        assert!(found.detail.starts_with("none: no hierarchy is mounted; "), "{found:?}");
    }

    #[test]
    fn an_agent_is_told_what_it_lacks() {
        let check = |agent: Seen, expect| {
            let findings = Findings { agents: vec![agent], ..healthy() };
            check(&findings, "agent mine", expect);
        };
        check(Seen { path: None, ..agent() }, CheckState::Warning);
        let install = Some("npm install -g mine@1.2.3");
        check(Seen { path: None, install, ..agent() }, CheckState::Ok);
        check(Seen { path: None, install, is_asked_for: true, ..agent() }, CheckState::Warning);
        let version =
            |version: Result<&str, &str>| Some(version.map(str::to_owned).map_err(str::to_owned));
        let tested = Seen { version: version(Ok("1.2.3")), is_tested: Some(true), ..agent() };
        check(tested, CheckState::Ok);
        let newer = Seen { version: version(Ok("1.3.0")), is_tested: Some(false), ..agent() };
        check(newer, CheckState::Warning);
        check(Seen { version: version(Err("it hangs")), ..agent() }, CheckState::Warning);
    }

    #[test]
    fn each_thing_that_an_agent_lacks_is_a_line() {
        let need = |message: &str| Need { message: message.to_owned(), hint: "do it".to_owned() };
        let lacking = Seen { needs: vec![need("no login"), need("no trust")], ..agent() };
        let checks = of_agent(&lacking);
        let states: Vec<_> = checks.iter().map(|check| check.state).collect();
        assert_eq!(states, [CheckState::Ok, CheckState::Warning, CheckState::Warning]);
    }

    #[test]
    fn each_thing_without_a_record_is_warned_about_with_its_way_out() {
        let left = |of: &str| Leftover {
            of: of.to_owned(),
            detail: "it stays".to_owned(),
            hint: "commit it".to_owned(),
            session: None,
            live: None,
        };
        let leftovers = Some(Ok(vec![left("session app-1"), left("session app-2")]));
        let report = judge(&Findings { leftovers, ..healthy() });
        let told: Vec<_> = report.checks.iter().filter(|check| check.name == "leftovers").collect();
        let details: Vec<_> = told.iter().map(|check| check.detail.as_str()).collect();
        assert_eq!(details, ["session app-1: it stays", "session app-2: it stays"]);
        assert!(told.iter().all(|check| check.hint.as_deref() == Some("commit it")));
        assert!(report.ok, "it harms nothing");
        let unknown = Some(Err("no answer".to_owned()));
        check(&Findings { leftovers: unknown, ..healthy() }, "leftovers", CheckState::Warning);
        // Without a daemon nobody has the records.
        let report = judge(&Findings { leftovers: None, ..healthy() });
        assert!(report.checks.iter().all(|check| check.name != "leftovers"));
    }

    #[test]
    fn what_is_old_or_unreadable_is_only_warned_about() {
        for text in ["tmux 2.9a", "tmux 3.1c", "tmux next"] {
            let tmux = Ok(text.to_owned());
            check(&Findings { tmux, ..healthy() }, "tmux", CheckState::Warning);
        }
        for text in ["tmux 3.2", "tmux 3.5a", "tmux 4.0"] {
            check(&Findings { tmux: Ok(text.to_owned()), ..healthy() }, "tmux", CheckState::Ok);
        }
    }

    #[test]
    fn a_full_disk_fails_and_a_filling_one_is_warned_about() {
        let disk = |mib: u64| Findings { disk_free_bytes: Some(mib << 20), ..healthy() };
        check(&disk(100), "disk", CheckState::Failed);
        check(&disk(256), "disk", CheckState::Warning);
        check(&disk(5 * 1024), "disk", CheckState::Ok);
    }
}
