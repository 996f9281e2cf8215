//! From the text of a configuration file to its tables, with every mistake named by its line.
//!
//! Unknown keys are found by walking the document along the published schema, so that a key is
//! known exactly when the schema has it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::file::ConfigFile;

/// Mistakes shown at most: the rest is found in the next round.
const PROBLEMS_MAX: usize = 20;

/// How alike a known key must be to be offered: below this the offer confuses.
const LIKENESS_MIN: f64 = 0.7;

/// One mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands: a file, or the environment.
    pub origin: String,
    /// Its line, counted from one.
    pub line: Option<usize>,
    /// What is wrong: a sentence fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Its mistakes, in the order of the file; at least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl ConfigError {
    pub(crate) fn one(origin: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            problems: vec![Problem {
                origin: origin.into(),
                line: None,
                message: message.into(),
                hint: None,
            }],
        }
    }
}

/// A parsed file that still knows where each key stood.
pub(super) struct Source<'a> {
    text: &'a str,
    path: PathBuf,
    root: DeTable<'a>,
}

impl<'a> Source<'a> {
    /// Reads TOML.
    pub(super) fn parse(path: &Path, text: &'a str) -> Result<Self, ConfigError> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { text, path: path.to_owned(), root: root.into_inner() }),
            Err(error) => Err(ConfigError {
                problems: vec![Problem {
                    origin: origin_of(path),
                    line: error.span().map(|span| line_of(text, span.start)),
                    message: error.message().to_owned(),
                    hint: None,
                }],
            }),
        }
    }

    /// The tables, or every unknown key, or the first value of a wrong type.
    pub(super) fn tables(&self) -> Result<ConfigFile, ConfigError> {
        let schema = super::schema();
        let mut walk = Walk { source: self, root: &schema, path: Vec::new(), problems: Vec::new() };
        walk.table(&self.root, &schema);
        let mut problems = walk.problems;
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.line);
            problems.truncate(PROBLEMS_MAX);
            return Err(ConfigError { problems });
        }
        toml::from_str(self.text).map_err(|error| {
            let at = error.span().map(|span| span.start);
            let key = at.and_then(|at| key_at(&self.root, at));
            let wrong = in_words(error.message());
            ConfigError {
                problems: vec![Problem {
                    origin: origin_of(&self.path),
                    line: at.map(|at| line_of(self.text, at)),
                    message: key.map_or_else(|| wrong.clone(), |key| format!("`{key}`: {wrong}")),
                    hint: None,
                }],
            }
        })
    }

    /// A mistake at a key, found by its path; the nearest table above it when it is not there.
    pub(super) fn problem(&self, path: &[&str], message: String, hint: Option<String>) -> Problem {
        let mut table = Some(&self.root);
        let mut at = None;
        for key in path {
            let Some((found, value)) =
                table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == key))
            else {
                break;
            };
            at = Some(found.span().start);
            table = value.get_ref().as_table();
        }
        Problem {
            origin: origin_of(&self.path),
            line: at.map(|start| line_of(self.text, start)),
            message,
            hint,
        }
    }
}

/// A walk over a document along its schema.
struct Walk<'w> {
    source: &'w Source<'w>,
    root: &'w Value,
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, schema: &Value) {
        let schema = resolve(schema, self.root);
        let properties = schema.get("properties").and_then(Value::as_object);
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let known = properties.and_then(|properties| properties.get(name));
            let any = schema.get("additionalProperties").filter(|any| any.is_object());
            let Some(inner) = known.or(any) else {
                let known = properties.into_iter().flat_map(|it| it.keys().map(String::as_str));
                self.problems.push(Problem {
                    origin: origin_of(&self.source.path),
                    line: Some(line_of(self.source.text, key.span().start)),
                    message: unknown_key(name, &self.path),
                    hint: Some(hint_for(name, &known.collect::<Vec<&str>>())),
                });
                continue;
            };
            if let DeValue::Table(table) = value.get_ref() {
                self.path.push(name.to_owned());
                self.table(table, inner);
                self.path.pop();
            }
        }
    }
}

/// The full name of the innermost key whose value stands at an offset.
fn key_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref();
        let inner = match value.get_ref() {
            DeValue::Table(table) => key_at(table, offset),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => None,
        };
        match inner {
            Some(rest) => Some(format!("{name}.{rest}")),
            None => value.span().contains(&offset).then(|| name.to_string()),
        }
    })
}

/// What a value should be, in words of the file instead of the program's.
fn in_words(message: &str) -> String {
    let words = [
        ("expected u32", "expected a whole number, 0 or more"),
        ("expected a boolean", "expected `true` or `false`"),
        ("expected struct ReactionTable", "expected a table of its fields"),
    ];
    words.iter().fold(message.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Follows a reference within a schema.
fn resolve<'v>(schema: &'v Value, root: &'v Value) -> &'v Value {
    let target = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix('#'))
        .and_then(|pointer| root.pointer(pointer));
    target.unwrap_or(schema)
}

fn unknown_key(name: &str, path: &[String]) -> String {
    if path.is_empty() {
        format!("unknown key `{name}` at the top level")
    } else {
        format!("unknown key `{name}` in `[{}]`", path.join("."))
    }
}

/// The nearest known name, or all of them.
pub(super) fn hint_for(name: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(name, known) {
        return format!("did you mean `{near}`?");
    }
    let quoted: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    format!("known are {}", quoted.join(", "))
}

/// The known name that a mistyped one most likely means.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (*candidate, strsim::jaro_winkler(name, candidate)))
        .filter(|(_, likeness)| *likeness >= LIKENESS_MIN)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(candidate, _)| candidate)
}

fn origin_of(path: &Path) -> String {
    format!("`{}`", path.display())
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count().saturating_add(1)
}
