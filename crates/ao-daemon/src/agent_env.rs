//! The environment that an agent gets: the caller's, then `env_file`, `env`, `--env`.
//!
//! What names the session (`AO_SESSION_ID`, …) comes on top of it, later, from the engine.

use std::collections::BTreeMap;

/// What belongs to the terminal or the shell that the caller sits in, not to the agent.
const OF_THE_TERMINAL: &[&str] = &[
    "_",
    "COLUMNS",
    "LINES",
    "OLDPWD",
    "PWD",
    "SHLVL",
    "STY",
    "TERM",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "WINDOWID",
];

/// Why an environment cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvError {
    /// No such variable can exist.
    #[error("`{name}` is not the name of a variable")]
    Name {
        /// The name.
        name: String,
    },
    /// No variable can hold it.
    #[error("variable `{name}` holds a zero byte")]
    Value {
        /// The name.
        name: String,
    },
    /// A line of the environment file is not `NAME=VALUE`.
    #[error("line {line} of the environment file is not `NAME=VALUE`")]
    Line {
        /// Its number, counted from one.
        line: usize,
    },
}

/// Where the variables of an agent come from, weakest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct EnvSources<'a> {
    /// The whole environment of the caller.
    pub caller: BTreeMap<String, String>,
    /// The text of the project's environment file.
    pub file: Option<&'a str>,
    /// The project's `env`.
    pub project: BTreeMap<String, String>,
    /// `--env`.
    pub request: BTreeMap<String, String>,
}

/// Puts the sources over each other.
pub(crate) fn merged(sources: EnvSources<'_>) -> Result<BTreeMap<String, String>, EnvError> {
    let mut env = sources.caller;
    env.retain(|name, _| !is_of_the_caller_only(name));
    if let Some(text) = sources.file {
        env.extend(read_file(text)?);
    }
    env.extend(sources.project);
    env.extend(sources.request);
    for (name, value) in &env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(EnvError::Name { name: name.clone() });
        }
        if value.contains('\0') {
            return Err(EnvError::Value { name: name.clone() });
        }
    }
    Ok(env)
}

fn is_of_the_caller_only(name: &str) -> bool {
    name.starts_with("AO_") || name.starts_with("TMUX") || OF_THE_TERMINAL.contains(&name)
}

/// Reads `NAME=VALUE` lines; `#` begins a comment line, `export` and one pair of quotes go.
fn read_file(text: &str) -> Result<BTreeMap<String, String>, EnvError> {
    let mut env = BTreeMap::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line
            .split_once('=')
            .map(|(name, value)| (name.trim(), value.trim()))
            .filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace))
            .ok_or_else(|| EnvError::Line { line: n.saturating_add(1) })?;
        env.insert(name.to_owned(), unquoted(value).to_owned());
    }
    Ok(env)
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[track_caller]
    fn check(sources: EnvSources<'_>, expect: &str) {
        let got = match merged(sources) {
            Ok(env) => {
                let pairs: Vec<_> = env.iter().map(|(n, v)| format!("{n}={v}")).collect();
                pairs.join(" ")
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn the_nearer_source_wins() {
        check(
            EnvSources {
                caller: vars("A=caller B=caller C=caller D=caller"),
                file: Some("B=file\nC=file\nD=file"),
                project: vars("C=project D=project"),
                request: vars("D=request"),
            },
            "A=caller B=file C=project D=request",
        );
    }

    #[test]
    fn what_belongs_to_the_caller_alone_stays_with_the_caller() {
        let caller = vars(
            "PATH=/bin AO_SESSION_ID=x-1 AO_NONCE=s TMUX=/t TMUX_PANE=%1 TERM=xterm PWD=/ LANG=C",
        );
        check(EnvSources { caller, ..EnvSources::default() }, "LANG=C PATH=/bin");
    }

    #[test]
    fn an_environment_file_reads_as_people_write_it() {
        let file = "# a comment\n\nexport A=1\nB = \"two words\"\nC='it=is'\nD=\n";
        check(
            EnvSources { file: Some(file), ..EnvSources::default() },
            "A=1 B=two words C=it=is D=",
        );
    }

    #[test]
    fn what_can_be_no_variable_is_refused() {
        let file = |text| EnvSources { file: Some(text), ..EnvSources::default() };
        check(file("A=1\nnonsense\n"), "line 2 of the environment file is not `NAME=VALUE`");
        check(file("two words=1\n"), "line 1 of the environment file is not `NAME=VALUE`");
        let request = BTreeMap::from([(String::new(), "x".to_owned())]);
        check(EnvSources { request, ..EnvSources::default() }, "`` is not the name of a variable");
        let request = BTreeMap::from([("A".to_owned(), "\0".to_owned())]);
        check(EnvSources { request, ..EnvSources::default() }, "variable `A` holds a zero byte");
    }
}
