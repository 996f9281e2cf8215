//! Plants every fault of `ao_world::faults` in a copy of the tree, one at a time, and demands that
//! its test notices: see `make faults`.
//!
//! The copy and what was built of it stay below `target/faults`, so that the next run builds little.
//! A fault that an interrupted run left there is gone with the next copy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ao_adapters::cmd::{Cmd, CmdError, Output};
use ao_world::faults::{self, Binary, Fault, FaultId, INTEGRATION, Promise, Test};
use ao_world::tool::{self, Failure};
use serde_json::Value;

/// What it is called.
const TOOL: &str = "ao-faults";

/// How long a build may take: a cold one of everything, on a loaded machine.
const BUILD_FOR_MAX: Duration = Duration::from_mins(30);

/// How long a test may take. The slowest takes ten seconds on a machine of its own, and minutes on
/// one that is shared. A test that takes longer was not ended by an assertion: a fault that makes it
/// hang counts as missed.
const TEST_FOR_MAX: Duration = Duration::from_mins(10);

/// The exit status of a test binary with a test that failed.
const STATUS_FAILED: i32 = 101;

/// Where the results are written down on request.
const REPORT: &str = "docs/faults-report.md";

/// What is said of a fault that its test did not notice.
const NOT_CAUGHT: &str = "NOT CAUGHT";

/// Characters of a panic that are shown.
const PANIC_SHOWN: usize = 160;

fn main() -> ExitCode {
    tool::run(TOOL, run())
}

/// What was asked for.
#[derive(Default)]
struct Args {
    /// Beginnings of names; none means all.
    only: Vec<String>,
    is_reported: bool,
}

impl Args {
    fn read() -> Result<Self, Failure> {
        let mut args = Self::default();
        for (name, value) in tool::words()? {
            match name.as_str() {
                "ONLY" => args.only = value.split([',', ' ']).map(str::to_owned).collect(),
                "REPORT" => args.is_reported = true,
                _ => return Err(tool::unknown(&name, "ONLY, REPORT")),
            }
        }
        Ok(args)
    }

    fn picks(&self, fault: &Fault) -> bool {
        let id = fault.id.to_string();
        let is_named = |name: &String| id == *name || id.starts_with(&format!("{name}."));
        self.only.is_empty() || self.only.iter().any(is_named)
    }
}

/// How a fault ended.
enum Verdict {
    /// Its test failed, saying this.
    Caught(String),
    /// It did not, or not by an assertion.
    Missed(String),
}

async fn run() -> Result<bool, Failure> {
    let args = Args::read()?;
    let began_at = now();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("no workspace")?;
    let promises = faults::read(root)?;
    let mut planted: Vec<&Fault> =
        promises.iter().flat_map(|it| &it.faults).filter(|it| args.picks(it)).collect();
    if planted.is_empty() {
        return Err("no fault has such a name".into());
    }
    // Neighbours in one crate have what the others build.
    planted.sort_by_key(|fault| (fault.file.clone(), fault.test.clone()));
    let tree = Tree::mirror(root).await?;
    let unsound = tree.unsound(&planted).await?;
    for (test, why) in &unsound {
        say(&format!("without any fault, {} {} does not pass: {why}", test.binary, test.name))?;
    }
    say(&format!("the sound tree was tested after {}", seconds(began_at.elapsed())))?;

    let mut n_missed = 0_usize;
    let mut ended = BTreeMap::new();
    for fault in &planted {
        let started_at = now();
        let verdict = if unsound.contains_key(&fault.test) {
            Verdict::Missed("its test fails without it, too".to_owned())
        } else {
            tree.try_fault(fault).await?
        };
        let took = started_at.elapsed();
        let test = format!("{} {}", fault.test.binary, fault.test.name);
        let (word, line, said) = match &verdict {
            Verdict::Caught(said) => ("caught", format!("caught by {test}"), said.clone()),
            Verdict::Missed(why) => {
                n_missed = n_missed.saturating_add(1);
                (NOT_CAUGHT, NOT_CAUGHT.to_owned(), format!("{test}: {why}"))
            }
        };
        let FaultId(promise, _) = fault.id;
        say(&format!("promise {promise}: {line}"))?;
        say(&format!("  {}, {}: {}", fault.id, seconds(took), fault.title))?;
        say(&format!("  {said}"))?;
        ended.insert(fault.id, (word, took));
        if args.is_reported {
            let path = root.join(REPORT);
            let known = std::fs::read_to_string(&path).unwrap_or_default();
            std::fs::write(&path, report(&promises, &ended, &known)?)?;
        }
    }
    let n_planted = planted.len();
    let n_caught = n_planted.saturating_sub(n_missed);
    let last = format!("faults: {n_planted} planted, {n_caught} caught, {n_missed} missed");
    say(&format!("in {}", seconds(began_at.elapsed())))?;
    say(&last)?;
    Ok(n_missed == 0)
}

#[expect(clippy::disallowed_methods, reason = "how long real builds take is real time")]
fn now() -> Instant {
    Instant::now()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// The report: this run's results, and the earlier ones of faults that were not run again.
fn report(
    promises: &[Promise],
    ended: &BTreeMap<FaultId, (&str, Duration)>,
    known: &str,
) -> Result<String, std::fmt::Error> {
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d");
    let mut rows = Vec::new();
    for Fault { id, title, test, .. } in promises.iter().flat_map(|it| &it.faults) {
        let head = format!("| {id} | {title} | `{}` `{}` |", test.binary, test.name);
        match ended.get(id) {
            Some((word, took)) => {
                rows.push(format!("{head} {today} | {} | {word} |", seconds(*took)));
            }
            // What was said of another fault is not said of this one.
            None => rows.extend(known.lines().find(|it| it.starts_with(&head)).map(str::to_owned)),
        }
    }
    let n_faults = promises.iter().map(|it| it.faults.len()).sum::<usize>();
    let n_caught = rows.iter().filter(|row| row.ends_with("| caught |")).count();
    let mut text = String::new();
    writeln!(text, "# Planted faults: how each ended when it was last planted\n")?;
    writeln!(
        text,
        "`make faults REPORT=1` writes this page; [testing.md](testing.md) says what it does."
    )?;
    writeln!(
        text,
        "With `ONLY=` it writes the rows of the faults that it planted, and keeps the others."
    )?;
    writeln!(text, "The time is what it took to build the fault and to run its test.\n")?;
    writeln!(
        text,
        "Of {n_faults} faults, {} were planted and **{n_caught} caught**.\n",
        rows.len()
    )?;
    writeln!(
        text,
        "| Fault | What it does | Test | Planted | Took | Result |\n|---|---|---|---|---|---|"
    )?;
    for row in rows {
        writeln!(text, "{row}")?;
    }
    Ok(text)
}

/// A copy of the tree that faults are planted in.
struct Tree {
    root: PathBuf,
    target: PathBuf,
}

impl Tree {
    /// Copies every file that git would commit. What is the same stays, so that it is not built
    /// again; what is not there any more goes.
    async fn mirror(from: &Path) -> Result<Self, Failure> {
        let below = from.join("target/faults");
        let tree = Self { root: below.join("tree"), target: below.join("target") };
        let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = Cmd::new("git").args(listing).dir(from).run().await?;
        if !listed.status.success() {
            return Err(format!("git lists no files: {}", listed.stderr_text()).into());
        }
        let mut wanted = BTreeSet::new();
        for name in listed.stdout_text().split_terminator('\0') {
            // One that was deleted and not committed yet is listed all the same.
            let Ok(bytes) = std::fs::read(from.join(name)) else { continue };
            let to = tree.root.join(name);
            if std::fs::read(&to).ok().as_deref() != Some(&*bytes) {
                std::fs::create_dir_all(to.parent().ok_or("a file without a directory")?)?;
                std::fs::copy(from.join(name), &to)?;
            }
            wanted.insert(to);
        }
        for path in files_below(&tree.root)? {
            if !wanted.contains(&path) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(tree)
    }

    /// The tests that do not pass without a fault, and why: they would notice every one.
    async fn unsound(&self, planted: &[&Fault]) -> Result<BTreeMap<Test, String>, Failure> {
        let mut tests: BTreeMap<&Binary, BTreeSet<&Test>> = BTreeMap::new();
        for fault in planted {
            fault.plant(&std::fs::read_to_string(self.root.join(&fault.file))?)?;
            tests.entry(&fault.test.binary).or_default().insert(&fault.test);
        }
        let mut unsound = BTreeMap::new();
        for (binary, tests) in tests {
            let built = self.build(binary).await?.map_err(|error| format!("{binary}: {error}"))?;
            for test in tests {
                let output = self.run(&built, test).await?;
                if !output.status.success() || !has_run(&output, test, "ok") {
                    let said = format!("{}\n{}", output.stdout_text(), output.stderr_text());
                    unsound.insert(test.clone(), in_one_line(&said));
                }
            }
        }
        Ok(unsound)
    }

    async fn try_fault(&self, fault: &Fault) -> Result<Verdict, Failure> {
        let path = self.root.join(&fault.file);
        let sound = std::fs::read_to_string(&path)?;
        std::fs::write(&path, fault.plant(&sound)?)?;
        let verdict = self.judge(fault).await;
        std::fs::write(&path, sound)?;
        verdict
    }

    async fn judge(&self, fault: &Fault) -> Result<Verdict, Failure> {
        let missed = |why: &str| Ok(Verdict::Missed(why.to_owned()));
        let built = match self.build(&fault.test.binary).await? {
            Ok(built) => built,
            Err(error) => return missed(&format!("it does not compile:\n{error}")),
        };
        let output = match self.run(&built, &fault.test).await {
            Ok(output) => output,
            Err(CmdError::TimedOut { .. }) => return missed("the test did not end"),
            Err(error) => return Err(error.into()),
        };
        if output.status.success() {
            return missed("the test passes");
        }
        let failed = output.status.code() == Some(STATUS_FAILED);
        if !failed || !has_run(&output, &fault.test, "FAILED") {
            return missed(&format!("the test did not fail, it ended with {}", output.status));
        }
        let said = format!("{}\n{}", output.stdout_text(), output.stderr_text());
        let Some((_, panic)) = said.split_once("panicked at ") else {
            return missed("the test failed without an assertion");
        };
        // What waits for real programs and gives up says so; the fault may not be what it met.
        if panic.contains("not within ") {
            return missed("the test gave up waiting");
        }
        let panic = in_one_line(panic);
        Ok(match &fault.says {
            Some(says) if !said.contains(says.as_str()) => {
                Verdict::Missed(format!("it failed without saying `{says}`: {panic}"))
            }
            Some(_) | None => Verdict::Caught(panic),
        })
    }

    /// Builds the binary of some tests; what the compiler says against it is not a failure here.
    async fn build(&self, binary: &Binary) -> Result<Result<Built, String>, Failure> {
        let which: &[&str] =
            if binary.is_integration { &["--test", INTEGRATION] } else { &["--lib"] };
        let output = Cmd::new("cargo")
            .args(["test", "--locked", "--no-run", "--message-format=json-render-diagnostics"])
            .args(["--package", &binary.package])
            .args(which)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_TERM_COLOR", "never")
            .dir(&self.root)
            .timeout(BUILD_FOR_MAX)
            .run()
            .await?;
        if !output.status.success() {
            return Ok(Err(output.stderr_text()));
        }
        let stdout = output.stdout_text();
        let messages = stdout.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        let executable = messages
            .filter(|it| it["profile"]["test"] == true)
            .find_map(|it| it["executable"].as_str().map(PathBuf::from))
            .ok_or_else(|| format!("cargo tells no executable of {binary}"))?;
        let directory = self.root.join("crates").join(&binary.package);
        Ok(Ok(Built { executable, directory }))
    }

    async fn run(&self, built: &Built, test: &Test) -> Result<Output, CmdError> {
        Cmd::new(&built.executable)
            .args(["--exact", &test.name, "--test-threads", "1"])
            .env("CARGO_MANIFEST_DIR", &built.directory)
            .env("RUST_BACKTRACE", "0")
            .env("INSTA_UPDATE", "no")
            .env("INSTA_WORKSPACE_ROOT", &self.root)
            .env_remove("UPDATE")
            .dir(&built.directory)
            .timeout(TEST_FOR_MAX)
            .run()
            .await
    }
}

/// A binary with tests.
struct Built {
    executable: PathBuf,
    directory: PathBuf,
}

fn has_run(output: &Output, test: &Test, how: &str) -> bool {
    let stdout = output.stdout_text();
    let has_one = stdout.lines().any(|line| line == "running 1 test");
    // What a test prints without a newline stands before how it ended.
    let begun = format!("test {} ... ", test.name);
    has_one && stdout.contains(&begun) && stdout.lines().any(|line| line.ends_with(how))
}

fn in_one_line(panic: &str) -> String {
    let words: Vec<&str> = panic.split_whitespace().collect();
    words.join(" ").chars().take(PANIC_SHOWN).collect()
}

fn files_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files_below(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}
