//! The fake terminals.

use ao_core::ports::{AttachMode, BoxFuture, Cursor, RuntimeError, Terminal, TerminalLook};
use ao_core::session::RuntimeHandle;

use super::composer::FakeComposer;
use super::runtime::ServerFinding;
use super::state::{Pane, Typed};
use super::{FakeMachine, Fault, Op};

/// Lines of the visible screen.
const SCREEN_LINES: usize = 50;

fn lost() -> RuntimeError {
    RuntimeError::Unavailable { message: "the answer was lost".to_owned() }
}

impl FakeMachine {
    /// Finds the pane of a handle and does something with it.
    fn at_pane<T>(
        &self,
        handle: &RuntimeHandle,
        act: impl FnOnce(&mut Pane) -> Result<T, RuntimeError>,
    ) -> Result<T, RuntimeError> {
        let gone = || RuntimeError::Gone { name: handle.session.clone() };
        let mut state = self.lock();
        match state.find_server(&self.home, &handle.server) {
            ServerFinding::Gone => Err(gone()),
            ServerFinding::Unreachable(because) => {
                Err(RuntimeError::Unavailable { message: because.to_owned() })
            }
            ServerFinding::Living => act(state.pane_mut(handle).ok_or_else(gone)?),
        }
    }

    async fn type_in(
        &self,
        op: Op,
        handle: &RuntimeHandle,
        typed: Typed,
    ) -> Result<(), RuntimeError> {
        let fault = self.enter(op).await;
        if fault == Some(Fault::Refuse) {
            return Err(lost());
        }
        if fault == Some(Fault::Deny) {
            return Err(RuntimeError::Refused { message: "the pane takes no input".to_owned() });
        }
        self.at_pane(handle, |pane| {
            if pane.end.is_some() {
                return Err(RuntimeError::Gone { name: handle.session.clone() });
            }
            match &typed {
                Typed::Paste(text) => pane.output.push_str(text),
                Typed::Key(key) if key == "Enter" => pane.output.push('\n'),
                Typed::Key(_) => {}
            }
            if let Some(composer) = &mut pane.composer {
                composer.take(&typed);
            }
            pane.typed.push(typed);
            Ok(())
        })?;
        if fault == Some(Fault::LoseAnswer) { Err(lost()) } else { Ok(()) }
    }
}

fn last_lines(text: &str, n_lines: usize) -> String {
    // What was ended by Enter has the line of the cursor below it.
    let lines: Vec<&str> = text.split('\n').collect();
    let skipped = lines.len().saturating_sub(n_lines);
    lines.get(skipped..).unwrap_or_default().join("\n")
}

/// A fake program leaves its cursor behind the last character that it showed.
fn cursor_behind(screen: &str) -> Option<Cursor> {
    let line = screen.rsplit('\n').next().unwrap_or(screen);
    let (column, row) = (line.chars().count(), screen.matches('\n').count());
    Some(Cursor { column: u16::try_from(column).ok()?, row: u16::try_from(row).ok()? })
}

impl Terminal for FakeMachine {
    fn get_output<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        n_lines: usize,
    ) -> BoxFuture<'a, Result<String, RuntimeError>> {
        Box::pin(async move {
            if self.enter(Op::GetOutput).await.is_some() {
                return Err(lost());
            }
            self.at_pane(handle, |pane| Ok(last_lines(&pane.output, n_lines)))
        })
    }

    fn look<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
    ) -> BoxFuture<'a, Result<TerminalLook, RuntimeError>> {
        Box::pin(async move {
            if self.enter(Op::Look).await.is_some() {
                return Err(lost());
            }
            self.at_pane(handle, |pane| {
                let shown = pane.screen.clone();
                let drawn = pane.composer.as_ref().map(FakeComposer::screen);
                let printed = || last_lines(&pane.output, SCREEN_LINES);
                let screen = shown.or(drawn).unwrap_or_else(printed);
                Ok(TerminalLook {
                    styled: screen.clone(),
                    cursor: cursor_behind(&screen),
                    screen,
                    title: pane.title.clone(),
                    is_in_mode: pane.is_in_mode,
                    is_human_typing: pane.is_human_typing,
                })
            })
        })
    }

    fn paste<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
                let message = "the text holds a control character".to_owned();
                return Err(RuntimeError::Refused { message });
            }
            self.type_in(Op::Paste, handle, Typed::Paste(text.to_owned())).await
        })
    }

    fn press<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        key: &'a str,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(self.type_in(Op::Press, handle, Typed::Key(key.to_owned())))
    }

    fn attach_command(&self, handle: &RuntimeHandle, mode: AttachMode) -> Vec<String> {
        let mode = match mode {
            AttachMode::Interactive => "interactive",
            AttachMode::ReadOnly => "read-only",
        };
        ["fake-tmux", "attach", mode, &handle.session].map(str::to_owned).to_vec()
    }
}
