//! What the server remembers for its log: which texts it has seen, and how often it was asked.
//!
//! No answer needs it, but for a failure that ends after some `times`; a restart forgets it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use super::conversation::{Conversation, Purpose};

/// Entries of each kind; beyond that, the memory begins anew.
const ENTRIES_MAX: usize = 65_536;

/// What was asked so far.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// How often the same turn was asked for.
    attempts: BTreeMap<u64, u32>,
    /// How often a text stood in a conversation, at most.
    seen: BTreeMap<(u64, u64), u32>,
}

fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl Memory {
    /// How often this turn was asked for, this time included.
    pub(crate) fn attempt(&mut self, conversation: &Conversation) -> u32 {
        if self.attempts.len() >= ENTRIES_MAX {
            self.attempts.clear();
        }
        let key = hash((&conversation.session, &conversation.purpose, &conversation.said));
        let count = self.attempts.entry(key).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// The user's texts that no earlier request of this conversation had, in their order.
    ///
    /// The same text twice is two texts. Agents send the whole conversation each time and repeat
    /// themselves after a failure, so that only the number of a text in one request tells how
    /// often it was submitted. Without a name for the conversation, it is the texts since the
    /// model last spoke.
    pub(crate) fn unseen<'c>(&mut self, conversation: &'c Conversation) -> Vec<&'c str> {
        if conversation.purpose != Purpose::Turn {
            return Vec::new();
        }
        let Some(session) = &conversation.session else { return conversation.fresh() };
        if self.seen.len() >= ENTRIES_MAX {
            self.seen.clear();
        }
        let session = hash(session);
        let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
        let mut unseen = Vec::new();
        for text in conversation.texts() {
            // Agents move the space around a text when they put texts together.
            let key = hash(text.trim());
            let count = counts.entry(key).or_default();
            *count = count.saturating_add(1);
            if *count > self.seen.get(&(session, key)).copied().unwrap_or(0) {
                unseen.push(text);
            }
        }
        for (key, count) in counts {
            let most = self.seen.entry((session, key)).or_default();
            *most = (*most).max(count);
        }
        unseen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversation::Said;

    fn conversation(session: Option<&str>, texts: &[&str]) -> Conversation {
        Conversation {
            model: "m".to_owned(),
            is_streamed: false,
            said: texts.iter().map(|text| Said::User((*text).to_owned())).collect(),
            tools: Vec::new(),
            session: session.map(str::to_owned),
            purpose: Purpose::Turn,
        }
    }

    #[test]
    fn a_text_is_new_once_and_its_second_submission_is_new_again() {
        let mut memory = Memory::default();
        let once = conversation(Some("s"), &["a"]);
        let twice = conversation(Some("s"), &["a", "b", " a\n"]);
        assert_eq!(memory.unseen(&once), ["a"]);
        assert_eq!(memory.unseen(&once), Vec::<&str>::new());
        assert_eq!(memory.unseen(&twice), ["b", " a\n"]);
        assert_eq!(memory.unseen(&twice), Vec::<&str>::new());
        assert_eq!(memory.unseen(&conversation(Some("other"), &["a"])), ["a"]);
    }

    #[test]
    fn without_a_name_all_that_the_model_has_not_answered_is_new() {
        let mut memory = Memory::default();
        let nameless = conversation(None, &["a"]);
        assert_eq!(memory.unseen(&nameless), ["a"]);
        assert_eq!(memory.unseen(&nameless), ["a"]);
    }

    #[test]
    fn the_same_turn_asked_again_is_another_attempt() {
        let mut memory = Memory::default();
        let (one, other) = (conversation(Some("s"), &["a"]), conversation(Some("s"), &["b"]));
        assert_eq!([memory.attempt(&one), memory.attempt(&one), memory.attempt(&other)], [1, 2, 1]);
    }
}
