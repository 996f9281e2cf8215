//! Names of things, parsed once and trusted afterwards.
//!
//! An id is safe as a file name, a git ref component, a tmux session name and a command-line
//! argument: nothing with a separator, a leading dash or a dot component can be one.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a valid {kind}: {because}", shown(text))]
pub struct InvalidId {
    /// What it was meant to be.
    pub kind: &'static str,
    /// The rejected text.
    pub text: String,
    /// The rule that it breaks.
    pub because: &'static str,
}

/// Longest part of a rejected text that is shown: enough to recognise a typing error.
const SHOWN_CHARS_MAX: usize = 60;

/// A rejected text on one line: it may hold anything, and be of any length.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect()
}

/// Longest id in bytes: a session id has to fit, twice, into a file name of 255 bytes.
pub const ID_LEN_MAX: usize = 100;

fn check_id(kind: &'static str, text: &str) -> Result<(), InvalidId> {
    let because = if text.is_empty() {
        "it is empty"
    } else if text.len() > ID_LEN_MAX {
        "it is longer than 100 bytes"
    } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        "only letters, digits, `-` and `_` may stand in it"
    } else if text.starts_with('-') {
        "it starts with a dash"
    } else {
        return Ok(());
    };
    Err(InvalidId { kind, text: text.to_owned(), because })
}

macro_rules! id_type {
    ($(#[$meta:meta])* $name:ident, $kind:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Parses an id.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check_id($kind, &text)?;
                Ok(Self(text))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }
    };
}

id_type!(
    /// A registered repository.
    ProjectId, "project id"
);
id_type!(
    /// A session: `PROJECT-N`, never used again.
    SessionId, "session id"
);
id_type!(
    /// One start of an agent in a session; every restore has its own. Facts are fenced by it.
    LaunchId, "launch id"
);
id_type!(
    /// Secret of one launch, in the environment of each of its processes.
    Nonce, "nonce"
);
id_type!(
    /// A message to an agent.
    MessageId, "message id"
);
id_type!(
    /// One observation; the same id is never taken in twice.
    FactId, "fact id"
);
id_type!(
    /// The machine that owns a session.
    NodeId, "node id"
);
id_type!(
    /// A configured way to reach a human.
    NotifierId, "notifier id"
);
id_type!(
    /// An agent adapter: `claude-code`, `codex`, `command`, ….
    AgentName, "agent name"
);
id_type!(
    /// The marker of one home: only tmux servers and files that carry it are ours.
    HomeId, "home id"
);

/// A name that was drawn, not chosen: 26 letters and digits, so it fits into every id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(String);

impl Token {
    /// Writes 128 bits in Crockford's base 32, lower case. Greater numbers sort later.
    pub fn from_bits(bits: u128) -> Self {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let digit = |i: u32| {
            let shifted = bits.checked_shr(i.saturating_mul(5)).unwrap_or(0);
            let index = usize::try_from(shifted & 31).unwrap_or(0);
            DIGITS.get(index).copied().map_or('0', char::from)
        };
        Self((0..26).rev().map(digit).collect())
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! minted_ids {
    ($($name:ident),+) => {
        $(impl From<Token> for $name {
            fn from(token: Token) -> Self {
                Self(token.0)
            }
        })+
    };
}

minted_ids!(LaunchId, Nonce, MessageId, FactId, NodeId, HomeId);

impl SessionId {
    /// The `n`-th session of a project.
    pub fn of(project: &ProjectId, n: u64) -> Self {
        Self(format!("{project}-{n}"))
    }

    /// Its number among the sessions of a project; `None` when it is none of them.
    pub fn number_in(&self, project: &ProjectId) -> Option<u64> {
        let number = self.0.strip_prefix(project.as_str())?.strip_prefix('-')?;
        // Written in one way only: `app-01` is another name than `app-1`.
        let n: u64 = number.parse().ok()?;
        (n.to_string() == number).then_some(n)
    }
}

/// Names that came from outside and are only ever compared and shown, never used as a path.
macro_rules! opaque_type {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

opaque_type!(
    /// The agent's own name for its conversation, needed to resume it.
    AgentSessionId
);
opaque_type!(
    /// A full git object name.
    Sha
);
opaque_type!(
    /// A branch, without `refs/heads/`; checked by `git check-ref-format` in the adapter.
    BranchName
);
opaque_type!(
    /// Anything git resolves to a commit.
    RefName
);
opaque_type!(
    /// Stable name of one planned effect: the same plan always yields the same name.
    EffectId
);
opaque_type!(
    /// What the caller says about a request so that a repetition is recognised.
    IdempotencyKey
);
opaque_type!(
    /// The issue that a session works on, as the user wrote it.
    IssueRef
);
opaque_type!(
    /// What made an incident newsworthy: a failing check at a head, a review comment, ….
    CauseKey
);
opaque_type!(
    /// One durable infrastructure incident.
    InfraIncidentId
);

/// The optimistic-concurrency token of a session: a write counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A process number. Never enough to name a process: see [`crate::session::ProcessIdentity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub i32);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A pull request's number in its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrNumber(pub u64);

impl fmt::Display for PrNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let got = match SessionId::parse(text) {
            Ok(id) => format!("ok {id}"),
            Err(error) => error.because.to_owned(),
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn a_token_is_an_id_and_sorts_as_its_number_does() {
        let (small, large) = (Token::from_bits(1), Token::from_bits(u128::MAX));
        assert_eq!(small.as_str(), "00000000000000000000000001");
        assert_eq!(large.as_str(), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert!(small < large);
        assert_eq!(
            format!("{small:>28}|{large}"),
            format!("  {}|{}", small.as_str(), large.as_str())
        );
        assert_eq!(LaunchId::parse(large.as_str()).unwrap(), LaunchId::from(large));
    }

    #[test]
    fn a_rejected_text_is_told_on_one_short_line() {
        let error = SessionId::parse("a\n".repeat(1_000)).unwrap_err().to_string();
        assert!(!error.contains('\n') && error.chars().count() < 200, "{error}");
        assert!(error.starts_with(r"`a\na\na\n"), "{error}");
    }

    #[test]
    fn an_id_can_never_be_read_as_a_path_an_option_or_a_tmux_target() {
        check("app-1", "ok app-1");
        check("", "it is empty");
        check("-rf", "it starts with a dash");
        for text in ["a/b", "..", ".", "a.b", "a:b", "=a", "a b", "a\nb", "ä"] {
            check(text, "only letters, digits, `-` and `_` may stand in it");
        }
        check(&"a".repeat(101), "it is longer than 100 bytes");
        check("a_1", "ok a_1");
        let longest = "a".repeat(ID_LEN_MAX);
        check(&longest, &format!("ok {longest}"));
    }

    #[test]
    fn a_session_is_numbered_among_those_of_its_own_project() {
        let (app, other) = (ProjectId::parse("app").unwrap(), ProjectId::parse("app-web").unwrap());
        let number = |text: &str, of| SessionId::parse(text).unwrap().number_in(of);
        assert_eq!(number("app-12", &app), Some(12));
        assert_eq!(number("app-web-3", &other), Some(3));
        for text in ["app-web-3", "app", "app-01", "app-x", "web-1", "app-99999999999999999999"] {
            assert_eq!(number(text, &app), None, "{text}");
        }
    }

    #[test]
    fn what_counts_is_shown_as_its_number() {
        assert_eq!(Revision(7).next().to_string(), "8");
        assert_eq!(Pid(4_711).to_string(), "4711");
        assert_eq!(PrNumber(7).to_string(), "7");
    }
}
