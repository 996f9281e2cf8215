//! The scripted agent keeps the promises of the port.

use std::collections::BTreeMap;

use ao_core::ids::{AgentName, LaunchId, SessionId};
use ao_core::ports::{Agent as _, AgentError, LaunchRequest};
use ao_testkit::contract::agent::agent_contract;
use ao_testkit::scripted_agent::{PromptWay, ScriptedAgent};

fn request() -> LaunchRequest {
    LaunchRequest {
        session: SessionId::parse("app-1").unwrap(),
        launch: LaunchId::parse("launch1").unwrap(),
        directory: "/worktree".into(),
        files_dir: "/launches/launch1".into(),
        prompt: Some("do it".to_owned()),
        argv: Vec::new(),
        model: None,
        permission_mode: None,
        agent_session_id: None,
        env: BTreeMap::new(),
    }
}

fn scripted() -> ScriptedAgent {
    ScriptedAgent::new(AgentName::parse("scripted").unwrap())
}

#[test]
fn the_scripted_agent_keeps_the_agent_contract() {
    agent_contract(&scripted(), &request());
    agent_contract(&scripted().with_prompt_way(PromptWay::Typed), &request());
    agent_contract(&scripted().without_resume(), &request());
}

#[test]
fn a_scheduled_fault_is_met_once() {
    let agent = scripted();
    let error = AgentError::Missing { program: "scripted".to_owned() };
    agent.fail_next(error.clone());
    assert_eq!(agent.launch(&request()), Err(error));
    assert!(agent.launch(&request()).is_ok());
}
