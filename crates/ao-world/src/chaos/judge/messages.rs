//! No message was typed twice, none was forgotten, and what is said to have arrived was heard.

use std::collections::BTreeMap;

use crate::chaos::account::Account;
use crate::tool::Failure;

use super::Case;

/// A message, as the database has it.
struct Message {
    text: String,
    state: String,
    session: String,
    launch: Option<String>,
}

pub(super) fn check(account: &Account, case: &mut Case) -> Result<(), Failure> {
    let messages = read(case)?;
    let heard = heard(&case.journals.heard, &messages);
    for (text, n) in heard.iter().filter(|(_, n)| **n > 1) {
        case.violations.push(format!("message `{text}` was heard {n} times"));
    }
    for (text, session) in &account.facts().sent {
        let of = messages.iter().filter(|it| it.text == *text).count();
        if of > 1 {
            case.violations.push(format!("message `{text}` to {session} is there {of} times"));
        }
    }
    for Message { text, state, session, launch } in &messages {
        let was_heard = heard.contains_key(&**text);
        let is_untouched = matches!(&**state, "queued" | "expired" | "superseded" | "cancelled");
        if is_untouched && was_heard {
            let what = format!("message `{text}` to {session} was heard and is `{state}`");
            case.violations.push(what);
        }
        // An agent that ended may have had it in its terminal, unread.
        let of = case.sessions.get(session);
        let lives_on = of.is_some_and(|it| !it.has_ended && it.launch == *launch);
        if state == "typed" && lives_on && !was_heard {
            case.violations.push(format!("message `{text}` to {session} was typed and not heard"));
        }
    }
    Ok(())
}

fn read(case: &Case) -> Result<Vec<Message>, Failure> {
    let mut query = case.db.prepare("SELECT text, state, session, launch FROM messages")?;
    let rows = query.query_map([], |row| {
        let (text, state) = (row.get(0)?, row.get(1)?);
        Ok(Message { text, state, session: row.get(2)?, launch: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How often each message was heard.
///
/// A daemon that dies between the paste and Enter leaves the text in a terminal whose composer
/// nobody can see, and the next message ends the line that the one in doubt began.
fn heard<'a>(
    lines: &'a BTreeMap<String, usize>,
    messages: &'a [Message],
) -> BTreeMap<&'a str, usize> {
    let mut heard: BTreeMap<&str, usize> = BTreeMap::new();
    for (line, n) in lines {
        let mut rest = line.as_str();
        let begins =
            |it: &&Message, rest: &str| it.state == "in_doubt" && rest.starts_with(&*it.text);
        while !messages.iter().any(|it| it.text == rest) {
            // The longest: one text may be the beginning of another.
            let doubted = messages.iter().filter(|it| begins(it, rest));
            let Some(doubted) = doubted.max_by_key(|it| it.text.len()) else { break };
            *heard.entry(&doubted.text).or_default() += n;
            rest = rest.get(doubted.text.len()..).unwrap_or_default();
        }
        *heard.entry(rest).or_default() += n;
    }
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, state: &str) -> Message {
        let [text, state, session] = [text, state, "app-1"].map(str::to_owned);
        Message { text, state, session, launch: None }
    }

    #[test]
    fn a_line_that_one_in_doubt_began_is_both() {
        let messages =
            [message("word-1", "in_doubt"), message("word-12", "in_doubt"), message("b", "typed")];
        let check = |line: &str, expect: &[(&str, usize)]| {
            let lines = BTreeMap::from([(line.to_owned(), 1)]);
            assert_eq!(heard(&lines, &messages), expect.iter().copied().collect(), "{line}");
        };
        check("b", &[("b", 1)]);
        check("word-12b", &[("word-12", 1), ("b", 1)]);
        check("word-1b", &[("word-1", 1), ("b", 1)]);
        check("word-1word-1b", &[("word-1", 2), ("b", 1)]);
        check("bb", &[("bb", 1)]);
        check("bword-1", &[("bword-1", 1)]);
    }
}
