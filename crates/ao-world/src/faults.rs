//! Planted faults: one-line changes that a careless maintainer might make, each with the test that
//! has to notice.
//!
//! They stand in `crates/ao-world/faults`, one file for each promise. A file begins with
//! `# NUMBER. PROMISE`; a fault begins with `## WHAT THE USER WOULD SEE`, and what follows is
//!
//! ```text
//! file: crates/ao-core/src/time.rs
//!     a line that stands right above it, where the next line alone is not unique
//! -   the line as it stands
//! +   the line that replaces it; nothing, to drop it
//! test: ao-core time::tests::a_claim
//! says: what the failure has to say, where the test holds more than one promise
//! ```
//!
//! Indentation is not compared. `ao-core` is the unit tests of the crate, `ao-core::main` its
//! integration tests. `make faults` plants each in a copy of the tree and runs its test; here they
//! are only read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Faults that each promise has at least in [`INNER`].
pub const PER_PROMISE_MIN: usize = 3;

/// Where what decides and what carries out stand. An adapter or the store has faults beyond those.
const INNER: [&str; 2] = ["crates/ao-core/", "crates/ao-engine/"];

/// The integration tests of every crate are one binary of this name.
pub const INTEGRATION: &str = "main";

/// Why the faults cannot be read or planted.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// A file of them cannot be read.
    #[error("`{path}`: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file of them is not written as it has to be.
    #[error("{file}:{line}: {message}")]
    Malformed {
        /// Its name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        message: &'static str,
    },
    /// The line is not there, or not there once.
    #[error("{id}: the line stands {n} times in {file}: {from}")]
    NotOnce {
        /// Which fault.
        id: FaultId,
        /// How often the line was found.
        n: usize,
        /// Where it was looked for.
        file: String,
        /// The line.
        from: String,
    },
}

/// The number of a promise, and the place of a fault among those of it, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(pub usize, pub usize);

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}.{}", self.0, self.1)
    }
}

/// The binary that a test stands in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binary {
    /// The crate.
    pub package: String,
    /// Whether it is the integration tests of the crate, and not its unit tests.
    pub is_integration: bool,
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package, is_integration } = self;
        if *is_integration { write!(f, "{package}::{INTEGRATION}") } else { f.write_str(package) }
    }
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Test {
    /// Where it stands.
    pub binary: Binary,
    /// Its name there, with its modules.
    pub name: String,
}

/// One planted fault.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Its name.
    pub id: FaultId,
    /// What a user would see.
    pub title: String,
    /// The file that it is planted in, from the root of the repository.
    pub file: String,
    /// The lines right above it.
    above: Vec<String>,
    /// The line as it stands.
    from: String,
    /// The line in its place.
    to: String,
    /// The test that notices.
    pub test: Test,
    /// What its failure says.
    pub says: Option<String>,
}

impl Fault {
    /// Whether it is planted in the core or in the engine.
    pub fn is_inner(&self) -> bool {
        INNER.iter().any(|directory| self.file.starts_with(directory))
    }

    /// The text of [`Fault::file`] with the fault in it.
    pub fn plant(&self, text: &str) -> Result<String, FaultError> {
        let lines: Vec<&str> = text.lines().collect();
        let wanted: Vec<&str> =
            self.above.iter().chain([&self.from]).map(|line| line.trim()).collect();
        let places: Vec<usize> = lines
            .windows(wanted.len())
            .enumerate()
            .filter(|(_, window)| window.iter().map(|line| line.trim()).eq(wanted.iter().copied()))
            .map(|(place, window)| place.saturating_add(window.len()))
            .collect();
        let [end] = places.as_slice() else {
            return Err(FaultError::NotOnce {
                id: self.id,
                n: places.len(),
                file: self.file.clone(),
                from: self.from.clone(),
            });
        };
        let at = end.saturating_sub(1);
        let planted = lines.iter().enumerate().map(|(n, line)| {
            if n != at {
                return format!("{line}\n");
            }
            let indent = line.len().saturating_sub(line.trim_start().len());
            format!("{}{}\n", " ".repeat(indent), self.to)
        });
        Ok(planted.collect())
    }
}

/// A promise with the faults that break it.
#[derive(Debug, Clone)]
pub struct Promise {
    /// Its number in the design.
    pub number: usize,
    /// The promise, in short.
    pub title: String,
    /// The faults.
    pub faults: Vec<Fault>,
}

/// Every promise, by its number.
pub fn read(root: &Path) -> Result<Vec<Promise>, FaultError> {
    let directory = root.join("crates/ao-world/faults");
    let failed = |path: &Path, source| FaultError::Unreadable { path: path.to_owned(), source };
    let entries = std::fs::read_dir(&directory).map_err(|source| failed(&directory, source))?;
    let mut promises = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|source| failed(&directory, source))?.path();
        let text = std::fs::read_to_string(&path).map_err(|source| failed(&path, source))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let promise = parse(&name, &text)?;
        promises.insert((promise.number, name.into_owned()), promise);
    }
    Ok(promises.into_values().collect())
}

/// A fault of which not everything was read yet.
#[derive(Default)]
struct Draft {
    title: String,
    file: Option<String>,
    above: Vec<String>,
    from: Option<String>,
    to: Option<String>,
    test: Option<Test>,
    says: Option<String>,
}

impl Draft {
    fn finish(self, id: FaultId) -> Result<Fault, &'static str> {
        Ok(Fault {
            id,
            title: self.title,
            file: self.file.ok_or("a fault without `file:`")?,
            above: self.above,
            from: self.from.ok_or("a fault without its `-` line")?,
            to: self.to.ok_or("a fault without its `+` line")?,
            test: self.test.ok_or("a fault without `test:`")?,
            says: self.says,
        })
    }

    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        if let Some(from) = line.strip_prefix('-') {
            return put(&mut self.from, from.trim().to_owned());
        }
        if let Some(to) = line.strip_prefix('+') {
            return put(&mut self.to, to.trim().to_owned());
        }
        if line.starts_with(' ') {
            self.above.push(line.trim().to_owned());
            return if self.from.is_none() { Ok(()) } else { Err("a line below the changed one") };
        }
        match line.split_once(": ") {
            Some(("file", file)) => put(&mut self.file, file.to_owned()),
            Some(("test", test)) => put(&mut self.test, parse_test(test)?),
            Some(("says", says)) => put(&mut self.says, says.to_owned()),
            Some(_) | None => Err("none of `file:`, ` `, `-`, `+`, `test:`, `says:`"),
        }
    }
}

fn put<T>(place: &mut Option<T>, value: T) -> Result<(), &'static str> {
    if place.replace(value).is_some() { Err("said twice") } else { Ok(()) }
}

fn parse_test(text: &str) -> Result<Test, &'static str> {
    let (binary, name) = text.split_once(' ').ok_or("a test is `CRATE NAME`")?;
    let (package, is_integration) = match binary.split_once("::") {
        None => (binary, false),
        Some((package, INTEGRATION)) => (package, true),
        Some(_) => return Err("a crate has unit tests and those of `main`"),
    };
    let binary = Binary { package: package.to_owned(), is_integration };
    Ok(Test { binary, name: name.to_owned() })
}

fn parse(file: &str, text: &str) -> Result<Promise, FaultError> {
    let malformed = |line, message| FaultError::Malformed { file: file.to_owned(), line, message };
    let head = text.lines().next().and_then(|line| line.strip_prefix("# "));
    let (number, title) = head
        .and_then(|head| head.split_once(". "))
        .ok_or_else(|| malformed(1, "no `# NUMBER. PROMISE`"))?;
    let number = number.parse().map_err(|_error| malformed(1, "the promise has no number"))?;
    let mut promise = Promise { number, title: title.to_owned(), faults: Vec::new() };
    let mut draft: Option<Draft> = None;
    let n_lines = text.lines().count();
    for (n, line) in text.lines().enumerate() {
        let here = n.saturating_add(1);
        if let Some(title) = line.strip_prefix("## ") {
            let next = Draft { title: title.to_owned(), ..Draft::default() };
            promise.take(draft.replace(next)).map_err(|message| malformed(n, message))?;
        } else if let Some(draft) = draft.as_mut().filter(|_| !line.trim().is_empty()) {
            draft.line(line).map_err(|message| malformed(here, message))?;
        }
    }
    promise.take(draft).map_err(|message| malformed(n_lines, message))?;
    Ok(promise)
}

impl Promise {
    fn take(&mut self, draft: Option<Draft>) -> Result<(), &'static str> {
        let id = FaultId(self.number, self.faults.len().saturating_add(1));
        self.faults.extend(draft.map(|draft| draft.finish(id)).transpose()?);
        Ok(())
    }
}

/// The list of them all, in Markdown.
pub fn table(promises: &[Promise]) -> String {
    let mut lines = vec![
        "| Fault | What it does | Where | Caught by |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    for promise in promises {
        lines.push(format!("| **{}** | **{}** | | |", promise.number, promise.title));
        for Fault { id, title, file, test, .. } in &promise.faults {
            let file = file.strip_prefix("crates/").unwrap_or(file);
            let Test { binary, name } = test;
            lines.push(format!("| {id} | {title} | `{file}` | `{binary}` `{name}` |"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# 7. No work is lost\n\nWords.\n\n## It is gone\nfile: a.rs\n    two\n\
        -   three\n+   3\ntest: ao-core::main a::b\nsays: left\n\n## It is back\nfile: b.rs\n- x\n+\n\
        test: ao-core c::d\n";

    #[test]
    fn a_file_is_a_promise_and_its_faults() {
        let promise = parse("07.txt", TEXT).unwrap();
        assert_eq!((promise.number, promise.title.as_str()), (7, "No work is lost"));
        let [one, two] = promise.faults.as_slice() else { panic!("{promise:?}") };
        assert_eq!((one.id.to_string(), two.id.to_string()), ("07.1".into(), "07.2".into()));
        assert_eq!(one.test.binary.to_string(), "ao-core::main");
        assert_eq!(two.test.binary.to_string(), "ao-core");
        assert_eq!((one.says.as_deref(), two.says.as_deref()), (Some("left"), None));
        assert_eq!(two.to, "");
    }

    #[test]
    fn a_fault_replaces_one_line_and_keeps_its_indentation() {
        let promise = parse("07.txt", TEXT).unwrap();
        let fault = &promise.faults[0];
        let planted = fault.plant("three\n  two\n    three\nthree\n").unwrap();
        assert_eq!(planted, "three\n  two\n    3\nthree\n");
        for text in ["three\n", "two\nthree\ntwo\nthree\n", "two\n"] {
            assert!(fault.plant(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_missing_in_a_file_is_named_with_its_line() {
        let check = |text: &str, expect: &str| {
            assert_eq!(parse("x.txt", text).unwrap_err().to_string(), expect);
        };
        check("", "x.txt:1: no `# NUMBER. PROMISE`");
        check("# 1. A\n## b\nfile: c\n- d\n- e\n", "x.txt:5: said twice");
        check("# 1. A\n## b\nfile: c\n- d\n+ e\n", "x.txt:5: a fault without `test:`");
        check(
            "# 1. A\n## b\ntest: c::d e\n",
            "x.txt:3: a crate has unit tests and those of `main`",
        );
    }
}
