//! Which agents there are, with programs of a test's own on the PATH.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::env::TestEnv;

/// A program that tells its version to nobody who could see a secret of the caller's.
const CLAUDE: &str = "#!/bin/sh\ntest -z \"$SECRET\" && test \"$HOME\" = /dev/null && \
                      echo '9.9.9 (Claude Code)'\n";

fn agent<'a>(agents: &'a Value, name: &str) -> &'a Value {
    let found = agents.as_array().unwrap().iter().find(|agent| agent["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {agents}"))
}

#[test]
fn agents_are_looked_for_on_the_path_of_the_caller() {
    let env = TestEnv::new();
    fs::create_dir_all(env.home().join("tools")).unwrap();
    let program = env.home().join("tools/claude");
    fs::write(&program, CLAUDE).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let config = "[agents.mine]\nlaunch = ['mine-that-is-nowhere']\nresume = ['mine', '-r']\n";
    fs::write(env.home().join("config.toml"), config).unwrap();
    assert_eq!(env.ao(&["start"]).code, 0);

    let tools = format!("{}:/usr/bin:/bin", env.home().join("tools").display());
    let vars = [("PATH", tools.as_str()), ("SECRET", "s")];
    let agents = env.ao_with(&["agents", "--json"], &vars, "").json();
    let claude = agent(&agents, "claude-code");
    assert_eq!(claude["path"], program.display().to_string());
    assert_eq!((&claude["version"], &claude["tested"]), (&"9.9.9".into(), &false.into()));
    assert_eq!((&claude["signals"], &claude["resume"]), (&"full".into(), &true.into()));
    let mine = agent(&agents, "mine");
    assert_eq!((&mine["kind"], &mine["path"]), (&"configured".into(), &Value::Null));
    assert_eq!((&mine["resume"], &mine["version"]), (&true.into(), &Value::Null));
    assert_eq!(agent(&agents, "command")["program"], Value::Null);

    let vars = [("PATH", "/usr/bin:/bin")];
    let agents = env.ao_with(&["agents", "--json"], &vars, "").json();
    let claude = agent(&agents, "claude-code");
    assert_eq!((&claude["path"], &claude["version"]), (&Value::Null, &Value::Null));
    assert!(claude["install"].as_str().unwrap().starts_with("npm install -g"));
}

#[test]
fn the_doctor_says_what_an_agent_lacks_with_and_without_a_daemon() {
    let env = TestEnv::new();
    fs::create_dir_all(env.home().join("tools")).unwrap();
    let program = env.home().join("tools/claude");
    fs::write(&program, CLAUDE).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let tools = format!("{}:/usr/bin:/bin", env.home().join("tools").display());
    let vars = [("PATH", tools.as_str())];
    let told = || {
        let report = env.ao_with(&["doctor", "--json"], &vars, "").json();
        let checks = report["checks"].as_array().unwrap().clone();
        let of_claude = checks.iter().filter(|check| check["name"] == "agent claude-code");
        of_claude.map(|check| check["detail"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let offline = told();
    assert!(offline[0].contains("9.9.9, which was not tested"), "{offline:?}");
    assert!(offline[1].contains("never started by this user"), "{offline:?}");
    assert_eq!(env.ao(&["start"]).code, 0);
    assert_eq!(told(), offline);
    // What was asked was only read.
    assert!(!env.home().join("../.claude.json").exists());
}
