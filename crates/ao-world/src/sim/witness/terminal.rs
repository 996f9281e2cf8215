//! Everything that is typed: a text of a message that is being typed, once, never at a dialog that
//! a look could have shown.

use ao_core::ids::{MessageId, SessionId};
use ao_core::message::MessageState;

use super::Witness;

/// How each text begins that a person sends.
pub(crate) const TEXT_OF_A_PERSON: &str = "please do";

impl Witness {
    /// Sees a look at a terminal that was answered.
    pub(crate) fn looked(&self, session: &SessionId, has_dialog: bool) {
        self.seen().looks.insert(session.clone(), has_dialog);
    }

    /// Sees a text on its way into a terminal.
    pub(crate) fn pasted(&self, session: &SessionId, text: &str) {
        self.check_look(session, "a text");
        let mut seen = self.seen();
        seen.history.push(format!("    {session} pasted {} bytes", text.len()));
        let typing: Vec<MessageId> = (seen.messages.values())
            .filter(|it| it.session == *session && it.state == MessageState::Typing)
            .filter(|it| it.text == text)
            .map(|it| it.id.clone())
            .collect();
        let [id] = typing.as_slice() else {
            seen.violate(format!("{session}: pasted what {} messages say", typing.len()));
            return;
        };
        let n_pastes = seen.n_pastes.entry(id.clone()).or_default();
        *n_pastes += 1;
        if *n_pastes > 1 {
            seen.violate(format!("{session}: message {id} was pasted again"));
        }
    }

    /// Sees a key on its way into a terminal.
    pub(crate) fn pressed(&self, session: &SessionId, key: &str) {
        if key == "Enter" {
            self.check_look(session, "Enter");
        }
        self.tell(format!("    {session} pressed {key}"));
    }

    /// Sees what an agent was given so far, whole texts.
    pub(crate) fn submitted(&self, session: &SessionId, texts: &[String]) {
        let mut seen = self.seen();
        let Some(last) = texts.last() else { return };
        let n_same = texts.iter().filter(|text| *text == last).count();
        // What a reaction says twice, it says of two causes; what a person sends has a number.
        if last.starts_with(TEXT_OF_A_PERSON) && n_same > 1 {
            seen.violate(format!("{session}: its agent was given {last:?} {n_same} times"));
        }
    }

    fn check_look(&self, session: &SessionId, what: &str) {
        let mut seen = self.seen();
        match seen.looks.remove(session) {
            Some(false) => {}
            Some(true) => {
                seen.violate(format!(
                    "{session}: {what} was typed although the look showed a dialog"
                ));
            }
            None => seen.violate(format!("{session}: {what} was typed without a fresh look")),
        }
    }
}
