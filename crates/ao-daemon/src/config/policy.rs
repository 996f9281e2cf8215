//! From tables to the policy of the core.

use std::collections::BTreeMap;

use ao_core::ids::{NotifierId, ProjectId};
use ao_core::inbox::Priority;
use ao_core::ledger::ReactionKind;
use ao_core::policy::{Policy, ReactionPolicy};

use super::file::{ReactionTable, ReactionsTable, RoutingTable};
use super::{Config, INBOX};

impl Config {
    /// What `reduce` is told about the sessions of a project.
    pub fn policy(&self, project: &ProjectId) -> Policy {
        self.policy_with(&self.project(project).reactions)
    }

    /// The same with the reactions of another configuration over its own, field by field.
    pub fn policy_under(&self, project: &ProjectId, changed: &Self) -> Policy {
        let own = self.project(project).reactions;
        self.policy_with(&merged(&own, &changed.project(project).reactions))
    }

    /// The same for projects that the file does not name.
    pub fn default_policy(&self) -> Policy {
        self.policy_with(&self.file.defaults.reactions)
    }

    fn policy_with(&self, table: &ReactionsTable) -> Policy {
        let reactions = ReactionKind::ALL.iter().map(|&kind| {
            let line = ReactionPolicy::default_of(kind);
            match table.0.get(kind.as_str()) {
                Some(own) => (kind, overridden(line, own)),
                None => (kind, line),
            }
        });
        Policy {
            reaper_interval: self.reaper_interval(),
            reactions: reactions.collect(),
            routing: self.routing(),
            ..Policy::default()
        }
    }

    /// Which notifiers hear which priority; the inbox hears what is not routed.
    pub fn routing(&self) -> BTreeMap<Priority, Vec<NotifierId>> {
        let mut routing: BTreeMap<Priority, Vec<NotifierId>> = BTreeMap::new();
        let given: BTreeMap<Priority, &[String]> = routes(&self.file.routing).collect();
        let inbox = [INBOX.to_owned()];
        for &priority in Priority::ALL {
            let ids = given.get(&priority).copied().unwrap_or(&inbox);
            // Names were checked when the file was read.
            let ids = ids.iter().filter_map(|id| NotifierId::parse(id.as_str()).ok()).collect();
            routing.insert(priority, ids);
        }
        routing
    }
}

/// The routes that the file gives.
pub(super) fn routes(table: &RoutingTable) -> impl Iterator<Item = (Priority, &[String])> {
    [
        (Priority::Urgent, table.urgent.as_deref()),
        (Priority::Action, table.action.as_deref()),
        (Priority::Warning, table.warning.as_deref()),
        (Priority::Info, table.info.as_deref()),
    ]
    .into_iter()
    .filter_map(|(priority, ids)| ids.map(|ids| (priority, ids)))
}

/// What a table of reactions asks for and nothing would do: the reaction, the field, and why.
pub(super) fn without_performer(
    table: &ReactionsTable,
) -> Vec<(&'static str, &'static str, String)> {
    let mut refused = Vec::new();
    for kind in ReactionKind::ALL {
        let Some(own) = table.0.get(kind.as_str()) else { continue };
        let name = kind.as_str();
        if own.auto_merge.is_some() && *kind != ReactionKind::ApprovedAndGreen {
            let home = ReactionKind::ApprovedAndGreen;
            refused.push((
                name,
                "auto_merge",
                format!("`{name}` merges nothing; only `{home}` does"),
            ));
        } else if own.auto_merge == Some(true) {
            let why = "this version has no forge to merge with; leave it out, or set it to `false`";
            refused.push((name, "auto_merge", why.to_owned()));
        }
        if *kind == ReactionKind::Infrastructure {
            let given = [
                ("retries", own.retries.is_some()),
                ("escalate_after", own.escalate_after.is_some()),
            ];
            for (field, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
                let why =
                    format!("`{name}` is told once per outage; it takes `enabled` and `message`");
                refused.push((name, field, why));
            }
        }
    }
    refused
}

/// The reactions of a project over those of the defaults.
pub(super) fn merged(defaults: &ReactionsTable, own: &ReactionsTable) -> ReactionsTable {
    let mut all = defaults.0.clone();
    for (name, table) in &own.0 {
        let under = all.entry(name.clone()).or_default();
        *under = ReactionTable {
            enabled: table.enabled.or(under.enabled),
            retries: table.retries.or(under.retries),
            escalate_after: table.escalate_after.or(under.escalate_after),
            message: table.message.clone().or_else(|| under.message.clone()),
            auto_merge: table.auto_merge.or(under.auto_merge),
        };
    }
    ReactionsTable(all)
}

fn overridden(line: ReactionPolicy, own: &ReactionTable) -> ReactionPolicy {
    ReactionPolicy {
        is_enabled: own.enabled.unwrap_or(line.is_enabled),
        retries: own.retries.or(line.retries),
        escalate_after: own.escalate_after.map(|span| span.0).or(line.escalate_after),
        message: own.message.clone().or(line.message),
        action: line.action,
        priority: line.priority,
        after: line.after,
    }
}
