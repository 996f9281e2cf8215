//! The launch file as text.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ao_core::ids::{
    AgentName, AgentSessionId, BranchName, IssueRef, LaunchId, ProjectId, RefName, SessionId, Sha,
};
use ao_core::ports::{LaunchFile, LaunchOrigin};
use ao_core::session::{Base, SessionKind};
use ao_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Shape of the text; raised when its meaning changes.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Text {
    version: u32,
    launch: String,
    session: String,
    directory: PathBuf,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    /// The control group that the agent starts in; files of older versions name none.
    #[serde(default)]
    group: Option<PathBuf>,
    /// Read on its own: an agent is started whatever stands here.
    #[serde(default)]
    origin: Option<Value>,
}

#[derive(Deserialize)]
struct OriginText {
    project: String,
    kind: String,
    agent: String,
    issue: Option<String>,
    model: Option<String>,
    permission_mode: Option<String>,
    branch: String,
    base: Option<String>,
    base_sha: Option<String>,
    prompt: Option<String>,
    argv: Vec<String>,
    agent_session_id: Option<String>,
    created_at: i64,
}

/// The control group that a launch file names, if it names one.
pub(super) fn read_group(bytes: &[u8]) -> Option<PathBuf> {
    serde_json::from_slice::<Text>(bytes).ok()?.group
}

pub(super) fn write(file: &LaunchFile, group: Option<&Path>) -> String {
    let json = serde_json::json!({
        "version": VERSION,
        "launch": file.launch.as_str(),
        "session": file.session.as_str(),
        "directory": file.directory.to_string_lossy(),
        "argv": file.argv,
        "env": file.env,
        "group": group.map(Path::to_string_lossy),
        "origin": file.origin.as_ref().map(origin_value),
    });
    format!("{json:#}\n")
}

fn origin_value(origin: &LaunchOrigin) -> Value {
    serde_json::json!({
        "project": origin.project.as_str(),
        "kind": origin.kind.as_str(),
        "agent": origin.agent.as_str(),
        "issue": origin.issue.as_ref().map(IssueRef::as_str),
        "model": origin.model,
        "permission_mode": origin.permission_mode,
        "branch": origin.branch.as_str(),
        "base": origin.base.name.as_ref().map(RefName::as_str),
        "base_sha": origin.base.sha.as_ref().map(Sha::as_str),
        "prompt": origin.prompt,
        "argv": origin.argv,
        "agent_session_id": origin.agent_session_id.as_ref().map(AgentSessionId::as_str),
        "created_at": origin.created_at.as_millis(),
    })
}

pub(super) fn read(bytes: &[u8]) -> io::Result<LaunchFile> {
    let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    let text: Text = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
    if text.version != VERSION {
        return Err(invalid(format!("version {} is not known to this `ao`", text.version)));
    }
    Ok(LaunchFile {
        launch: LaunchId::parse(text.launch).map_err(|error| invalid(error.to_string()))?,
        session: SessionId::parse(text.session).map_err(|error| invalid(error.to_string()))?,
        directory: text.directory,
        argv: text.argv,
        env: text.env,
        origin: text.origin.and_then(read_origin),
    })
}

/// What the session is; `None` where that is not what this version writes.
fn read_origin(value: Value) -> Option<LaunchOrigin> {
    let text: OriginText = serde_json::from_value(value).ok()?;
    Some(LaunchOrigin {
        project: ProjectId::parse(text.project).ok()?,
        kind: SessionKind::ALL.iter().copied().find(|kind| kind.as_str() == text.kind)?,
        agent: AgentName::parse(text.agent).ok()?,
        issue: text.issue.map(IssueRef::new),
        model: text.model,
        permission_mode: text.permission_mode,
        branch: BranchName::new(text.branch),
        base: Base { name: text.base.map(RefName::new), sha: text.base_sha.map(Sha::new) },
        prompt: text.prompt,
        argv: text.argv,
        agent_session_id: text.agent_session_id.map(AgentSessionId::new),
        created_at: Timestamp::from_millis(text.created_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str =
        r#""version":1,"launch":"l","session":"app-1","directory":"/w","argv":["a"],"env":{}"#;

    fn origin_of(rest: &str) -> Option<LaunchOrigin> {
        let file = read(format!("{{{OLD}{rest}}}").as_bytes()).unwrap();
        assert_eq!(file.argv, ["a"], "an agent is started whatever is told beside it");
        file.origin
    }

    #[test]
    fn a_file_of_an_older_version_tells_no_origin_and_so_does_a_damaged_one() {
        let whole = r#""kind":"worker","agent":"command","branch":"b","argv":[],"created_at":1"#;
        assert!(origin_of(&format!(r#","origin":{{"project":"app",{whole}}}"#)).is_some());
        assert_eq!(origin_of(""), None);
        for damaged in [
            r#","origin":null"#.to_owned(),
            r#","origin":7"#.to_owned(),
            r#","origin":{}"#.to_owned(),
            format!(r#","origin":{{"project":"../app",{whole}}}"#),
            format!(r#","origin":{{"project":7,{whole}}}"#),
        ] {
            assert_eq!(origin_of(&damaged), None, "{damaged}");
        }
    }

    #[test]
    fn half_a_file_is_refused() {
        for bytes in [b"".as_slice(), b"{", b"\xff\xfe", b"[]", b"{\"version\":1}"] {
            assert!(read(bytes).is_err());
        }
        assert!(read(format!("{{{}}}", OLD.replace("1,\"l", "2,\"l")).as_bytes()).is_err());
    }
}
