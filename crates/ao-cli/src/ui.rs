//! The one way out: results go to standard output, everything else to standard error.
//!
//! With `--json` standard output holds JSON and nothing else, and standard error at most one error
//! envelope. A command never writes past this type.

pub(crate) mod table;
pub(crate) mod text;

use std::io::{self, IsTerminal as _, Write};

use ao_api::{ErrorBody, ErrorEnvelope};
use serde::Serialize;

use crate::error::CliError;

/// Who reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A person.
    Text,
    /// A program: `--json` was given.
    Json,
}

impl Format {
    /// From `--json`.
    pub(crate) const fn of(is_json: bool) -> Self {
        if is_json { Self::Json } else { Self::Text }
    }
}

/// Where a command's output goes.
pub(crate) struct Ui {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    format: Format,
    /// Whether a person sees standard output.
    pub(crate) is_out_terminal: bool,
    /// Whether a person sees standard error.
    pub(crate) is_err_terminal: bool,
    /// Columns of the terminal; absent when there is none, and lines may be as long as they are.
    width: Option<usize>,
}

impl Ui {
    /// Standard output and standard error. `columns` is what the environment says about the width.
    pub(crate) fn real(format: Format, columns: Option<&str>) -> Self {
        let stdout = io::stdout();
        let is_out_terminal = stdout.is_terminal();
        let named = columns.and_then(|columns| columns.parse().ok()).filter(|&width| width > 0);
        let width = named.or_else(|| is_out_terminal.then(|| window_width(&stdout)).flatten());
        Self {
            out: Box::new(stdout.lock()),
            err: Box::new(io::stderr()),
            format,
            is_out_terminal,
            is_err_terminal: io::stderr().is_terminal(),
            width,
        }
    }

    /// Whether a program reads standard output.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// One line; its newline is added. Written at once, so that the lines of several processes do
    /// not run into each other.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) -> Result<(), CliError> {
        self.write(format!("{}\n", line.as_ref()).as_bytes())
    }

    /// Bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.out.write_all(bytes).and_then(|()| self.out.flush()).map_err(CliError::Output)
    }

    /// A value, on one line unless a person reads it.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = if self.is_out_terminal {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.line(text.map_err(|error| CliError::Output(error.into()))?)
    }

    /// A value, always on one line: one of a series.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        self.line(serde_json::to_string(value).map_err(|error| CliError::Output(error.into()))?)
    }

    /// A table that fits the terminal.
    pub(crate) fn table(
        &mut self,
        columns: &[table::Column],
        rows: &[Vec<String>],
    ) -> Result<(), CliError> {
        let text = table::render(columns, rows, self.width);
        self.write(text.as_bytes())
    }

    /// Begins a view anew: on an empty terminal, or after a blank line where there is none.
    pub(crate) fn redraw(&mut self) -> Result<(), CliError> {
        self.write(if self.is_out_terminal { b"\x1b[H\x1b[2J\x1b[3J" } else { b"\n" })
    }

    /// Something that a person should know besides the result.
    pub(crate) fn note(&mut self, note: impl AsRef<str>) {
        if !self.is_json() {
            self.err_line(note.as_ref());
        }
    }

    /// What goes on right now, for a person who waits for it.
    pub(crate) fn progress(&mut self, what: impl AsRef<str>) {
        if self.is_err_terminal {
            self.note(what);
        }
    }

    /// A question that starts the answer's line.
    pub(crate) fn ask(&mut self, question: &str) {
        self.err_write(question);
    }

    /// What the parser says about a command line: it brings its own words and line ends.
    pub(crate) fn refuse(&mut self, text: &str) {
        match text.strip_prefix("error:") {
            Some(rest) => self.err_write(&format!("Error:{rest}")),
            // A command that is only the beginning of one is answered by its help.
            None => self.err_write(text),
        }
    }

    /// A failure.
    pub(crate) fn failure(&mut self, error: &ErrorBody) {
        let text = failure_text(error, self.format);
        self.err_write(&text);
    }

    fn err_line(&mut self, line: &str) {
        self.err_write(&format!("{line}\n"));
    }

    /// What cannot even be complained about is dropped: there is nowhere left to say it.
    fn err_write(&mut self, text: &str) {
        self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()).unwrap_or_default();
    }
}

/// A failure as it is printed.
fn failure_text(error: &ErrorBody, format: Format) -> String {
    if format == Format::Json {
        let envelope = ErrorEnvelope { error: error.clone() };
        // The envelope is strings: it always serialises.
        return serde_json::to_string(&envelope).map(|text| text + "\n").unwrap_or_default();
    }
    let message = text::clean(&error.message);
    match &error.hint {
        Some(hint) => format!("Error: {message}\nHint: {}\n", text::clean(hint)),
        None => format!("Error: {message}\n"),
    }
}

fn window_width(stdout: &io::Stdout) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stdout).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

#[cfg(test)]
pub(crate) mod capture {
    //! A `Ui` whose output a test can read.

    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    pub(crate) struct Captured(Rc<RefCell<Vec<u8>>>);

    impl Captured {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Ui {
        /// Writes into memory: output, then errors.
        pub(crate) fn captured(format: Format, width: Option<usize>) -> (Self, Captured, Captured) {
            let (out, err) = (Captured::default(), Captured::default());
            let ui = Self {
                out: Box::new(out.clone()),
                err: Box::new(err.clone()),
                format,
                is_out_terminal: false,
                is_err_terminal: false,
                width,
            };
            (ui, out, err)
        }
    }
}

#[cfg(test)]
mod tests {
    use ao_api::ErrorKind;

    use super::*;

    fn error(hint: Option<&str>) -> ErrorBody {
        ErrorBody {
            code: "SESSION_UNKNOWN".to_owned(),
            kind: ErrorKind::NotFound,
            message: "no session is called `fix-\u{1b}[31mlogin`".to_owned(),
            hint: hint.map(str::to_owned),
        }
    }

    #[test]
    fn a_failure_is_one_sentence_and_a_hint() {
        insta::assert_snapshot!(failure_text(&error(Some("`ao ls --all` shows all")), Format::Text), @r"
        Error: no session is called `fix-�[31mlogin`
        Hint: `ao ls --all` shows all
        ");
        insta::assert_snapshot!(failure_text(&error(None), Format::Text), @"Error: no session is called `fix-�[31mlogin`");
    }

    #[test]
    fn a_failure_in_json_has_every_key() {
        insta::assert_snapshot!(failure_text(&error(None), Format::Json), @r#"{"error":{"code":"SESSION_UNKNOWN","kind":"not_found","message":"no session is called `fix-\u001b[31mlogin`","hint":null}}"#);
    }

    #[test]
    fn notes_never_disturb_json() {
        let (mut ui, out, err) = Ui::captured(Format::Json, None);
        ui.note("by the way");
        ui.progress("working on it");
        ui.json(&[1, 2]).unwrap();
        assert_eq!((out.text().as_str(), err.text().as_str()), ("[1,2]\n", ""));
    }
}
