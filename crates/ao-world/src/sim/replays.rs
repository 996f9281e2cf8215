//! What the journal says, decided again by the same rules, is what was decided; and it leads to the
//! session as it is.

use ao_core::ids::SessionId;
use ao_core::ports::SessionStore as _;
use ao_core::replay::replay;
use futures_util::FutureExt as _;

use super::world::World;

/// Journal entries that are decided again: more than the store keeps of one session.
const JOURNAL_MAX: usize = 2_048;

impl World {
    /// Holds the kept journal of every session against the session.
    pub(crate) fn check_replays(&self) {
        let Some(gate) = self.gate() else { return };
        let ids: Vec<SessionId> = self.witness.seen().sessions.keys().cloned().collect();
        for id in &ids {
            let Some(session) = self.witness.session(id) else { continue };
            let journal = gate.journal(id, JOURNAL_MAX).now_or_never();
            let base = gate.journal_base(id).now_or_never();
            let (Some(Ok(journal)), Some(Ok(base))) = (journal, base) else {
                self.witness.violate(format!("{id}: its journal cannot be read"));
                continue;
            };
            // Before the first entry there is nothing to decide again.
            let Some((_, base)) = base else { continue };
            let policy = &self.settings.policy;
            let told = replay(&base, &journal, Some(&session), policy, None);
            if let Some(entry) = told.entries.iter().find(|entry| entry.is_different()) {
                self.witness.violate(format!("{id}: it is decided otherwise: {entry:?}"));
            }
            if !told.end_differences.is_empty() {
                let ends = &told.end_differences;
                self.witness.violate(format!("{id}: its journal leads elsewhere: {ends:?}"));
            }
        }
    }
}
