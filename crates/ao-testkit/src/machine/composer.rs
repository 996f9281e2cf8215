//! The composer of a fake agent: where pasted text stands until Enter submits it, and the dialogs
//! that take the keys in its place.

use super::state::Typed;

/// What a fake agent's composer does with what is typed.
#[derive(Debug, Default)]
pub(super) struct FakeComposer {
    /// What stands in it.
    pub(super) text: String,
    /// A dialog over it.
    pub(super) dialog: Option<String>,
    /// Opens when something is pasted.
    pub(super) dialog_on_paste: Option<String>,
    /// How many more presses of Enter do nothing, as an agent that is still taking a paste in.
    pub(super) n_deaf_enters: u32,
    /// What was submitted.
    pub(super) submitted: Vec<String>,
    /// What was typed while a dialog was open.
    pub(super) at_dialogs: Vec<String>,
}

impl FakeComposer {
    pub(super) fn take(&mut self, typed: &Typed) {
        let (is_enter, what) = match typed {
            Typed::Paste(text) => (false, text),
            Typed::Key(key) => (key == "Enter", key),
        };
        if self.dialog.is_some() {
            self.at_dialogs.push(what.clone());
            return;
        }
        match typed {
            Typed::Paste(text) => {
                self.text.push_str(text);
                self.dialog = self.dialog_on_paste.take();
            }
            Typed::Key(_) if is_enter && self.n_deaf_enters > 0 => self.n_deaf_enters -= 1,
            Typed::Key(_) if is_enter && !self.text.is_empty() => {
                self.submitted.push(std::mem::take(&mut self.text));
            }
            Typed::Key(_) => {}
        }
    }

    /// The screen, as [`crate::scripted_agent::ScriptedAgent`] reads it.
    pub(super) fn screen(&self) -> String {
        match &self.dialog {
            Some(kind) => format!("dialog: {kind}"),
            None => format!("composer: {}", self.text),
        }
    }
}
