//! One line of JSON per request: the evidence of what was asked.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::args::Args;

/// Where the lines go.
#[derive(Debug)]
pub(crate) struct Log {
    file: Option<Mutex<File>>,
    bodies: Option<Mutex<File>>,
    text_max: usize,
}

/// A request as it came.
#[derive(Debug, Serialize)]
struct Body<'a> {
    n: u64,
    path: &'a str,
    body: Cow<'a, str>,
}

/// What is told of one request.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Line {
    /// Its number, from one on, since this server started.
    pub(crate) n: u64,
    /// Wall time in milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// The path that was asked.
    pub(crate) path: String,
    /// What it was for: `turn`, `side`, `count`, `models`, `hello` or `refused`.
    pub(crate) kind: &'static str,
    /// The model asked for.
    pub(crate) model: String,
    /// The agent's name for the conversation.
    pub(crate) session: Option<String>,
    /// Whether the user said something new: whether `new` has any text.
    pub(crate) begins: bool,
    /// How often the same turn was asked of this server, this time included.
    pub(crate) attempt: u32,
    /// The user's last text, bounded in its middle.
    pub(crate) text: String,
    /// Bytes of that text before it was bounded.
    pub(crate) text_bytes: usize,
    /// The user's texts that no earlier request of this conversation had, each bounded: a text
    /// that was submitted once is in the `new` of one line, however often the agent asks again.
    pub(crate) new: Vec<String>,
    /// The user's texts since the model last spoke, each bounded.
    pub(crate) fresh: Vec<String>,
    /// All the user's texts of the conversation.
    pub(crate) texts: usize,
    /// The step played, counted from zero.
    pub(crate) step: Option<usize>,
    /// What the request gets: `text`, `tools`, `error`, `hang`, `drop` or `refused`.
    pub(crate) outcome: &'static str,
}

impl Log {
    /// A log that appends to these files, as far as there are any.
    pub(crate) fn open(args: &Args) -> io::Result<Self> {
        let open = |path: &PathBuf| OpenOptions::new().create(true).append(true).open(path);
        let file = args.log.as_ref().map(open).transpose()?.map(Mutex::new);
        let bodies = args.bodies.as_ref().map(open).transpose()?.map(Mutex::new);
        Ok(Self { file, bodies, text_max: args.log_text })
    }

    /// Appends a line about a request, and its body where that is wanted.
    pub(crate) fn write(&self, line: &Line, body: &[u8]) -> io::Result<()> {
        if let Some(bodies) = &self.bodies {
            let body = String::from_utf8_lossy(body);
            append(bodies, &Body { n: line.n, path: &line.path, body })?;
        }
        self.file.as_ref().map_or(Ok(()), |file| append(file, line))
    }

    /// The text, without its middle where it is too long.
    pub(crate) fn bounded(&self, text: &str) -> String {
        if text.len() <= self.text_max {
            return text.to_owned();
        }
        let half = self.text_max / 2;
        let head = text.get(..text.floor_char_boundary(half)).unwrap_or_default();
        let tail = text.get(text.ceil_char_boundary(text.len() - half)..).unwrap_or_default();
        format!("{head}[…]{tail}")
    }
}

/// Appends a line, whole and at once.
fn append(file: &Mutex<File>, line: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&bytes)
}
