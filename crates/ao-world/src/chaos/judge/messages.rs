//! No message was typed twice, none was forgotten, and what is said to have arrived was heard.

use crate::chaos::account::Account;
use crate::tool::Failure;

use super::Case;

pub(super) fn check(account: &Account, case: &mut Case) -> Result<(), Failure> {
    for (text, n) in case.journals.heard.iter().filter(|(_, n)| **n > 1) {
        case.violations.push(format!("message `{text}` was heard {n} times"));
    }
    let mut query = case.db.prepare("SELECT text, state, session, launch FROM messages")?;
    let rows: Vec<(String, String, String, Option<String>)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    drop(query);
    for (text, session) in &account.facts().sent {
        let of = rows.iter().filter(|(known, ..)| known == text).count();
        if of > 1 {
            case.violations.push(format!("message `{text}` to {session} is there {of} times"));
        }
    }
    for (text, state, session, launch) in &rows {
        let was_heard = case.journals.heard.contains_key(text);
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
