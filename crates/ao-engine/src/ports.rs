//! Everything that the engine reaches the outside through.

use std::collections::BTreeMap;
use std::sync::Arc;

use ao_core::ids::{AgentName, NotifierId};
use ao_core::ports::{
    Agent, AgentFiles, ChangeFeed, Clock, Deadlines, IdGen, Incidents, Launches, Messages,
    Notifier, Outbox, Processes, Projects, Provisioner, Runtime, Sagas, Screens, SessionStore,
    Tasks, Terminal, Workspace,
};

/// The ports of one engine, as the composition root made them.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is its port, documented there")]
pub struct EnginePorts {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGen>,
    pub tasks: Arc<dyn Tasks>,
    pub sessions: Arc<dyn SessionStore>,
    pub sagas: Arc<dyn Sagas>,
    pub outbox: Arc<dyn Outbox>,
    pub messages: Arc<dyn Messages>,
    pub deadlines: Arc<dyn Deadlines>,
    pub projects: Arc<dyn Projects>,
    pub incidents: Arc<dyn Incidents>,
    pub feed: Arc<dyn ChangeFeed>,
    pub runtime: Arc<dyn Runtime>,
    pub terminal: Arc<dyn Terminal>,
    pub screens: Arc<dyn Screens>,
    pub processes: Arc<dyn Processes>,
    pub launches: Arc<dyn Launches>,
    pub workspace: Arc<dyn Workspace>,
    pub provisioner: Arc<dyn Provisioner>,
    pub files: Arc<dyn AgentFiles>,
    pub agents: BTreeMap<AgentName, Arc<dyn Agent>>,
    pub notifiers: BTreeMap<NotifierId, Arc<dyn Notifier>>,
}
