//! Several notifications told as one: turns of a project that ended at about the same time.
//!
//! It is decided when they are told, not when they are planned: a plan is about one session, and what
//! is told together is what waits together.

use std::collections::BTreeSet;

use crate::ids::{EffectId, ProjectId, SessionId};
use crate::inbox::Notification;
use crate::ledger::ReactionKind;
use crate::outbox::{Condition, Effect};

use super::text::{LISTED_MAX, in_line};

/// The project with whose others an effect is told together; none for one that is told alone.
pub fn together_in(effect: &Effect) -> Option<&ProjectId> {
    let Condition::IncidentOpen { incident, .. } = effect.condition else { return None };
    let project = effect.notification.project.as_ref();
    project.filter(|_| incident.reaction == ReactionKind::TurnFinished)
}

/// The one notification for these, in the order in which they were planned; none for none.
///
/// *Guarantees*: the same ones make the same id, others another: whoever recognises a repetition by
/// its id misses nobody.
pub fn together(project: &ProjectId, all: &[&Notification]) -> Option<Notification> {
    let latest = all.iter().max_by_key(|one| one.at)?;
    let n_sessions =
        all.iter().filter_map(|one| one.session.as_ref()).collect::<BTreeSet<_>>().len();
    let listed = all.iter().take(LISTED_MAX).map(|one| format!("- {}\n", one.title));
    let n_more = all.len().saturating_sub(LISTED_MAX);
    let rest = (n_more > 0).then(|| format!("- and {n_more} more\n"));
    let list: String = listed.chain(rest).collect();
    let reaction = ReactionKind::TurnFinished;
    Some(Notification {
        id: EffectId::new(format!("{project}/{reaction}/{:016x}", digest(all))),
        session: None,
        project: Some(project.clone()),
        reaction: reaction.as_str().to_owned(),
        cause: in_line(
            all.iter()
                .filter_map(|one| one.session.as_ref())
                .map(SessionId::as_str)
                .collect::<Vec<_>>()
                .into_iter(),
        ),
        priority: latest.priority,
        title: format!("{n_sessions} sessions of {project} finished their turns"),
        text: format!(
            "{list}They wait for their next message. `ao logs ID` shows what one said, `ao send ID` \
             goes on."
        ),
        at: latest.at,
    })
}

/// FNV-1a over the ids: short, and the same for the same ones in every version.
fn digest(all: &[&Notification]) -> u64 {
    let bytes = all.iter().flat_map(|one| one.id.as_str().bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::Priority;
    use crate::time::Timestamp;

    fn project() -> ProjectId {
        ProjectId::parse("app").unwrap()
    }

    fn turn(n: u64) -> Notification {
        let session = SessionId::of(&project(), n);
        Notification {
            id: EffectId::new(format!("{session}/turn-finished/-/1/1")),
            title: format!("{session} finished its turn"),
            session: Some(session),
            project: Some(project()),
            reaction: "turn-finished".to_owned(),
            cause: "turn".to_owned(),
            priority: Priority::Info,
            text: String::new(),
            at: Timestamp::from_millis(i64::try_from(n).unwrap()),
        }
    }

    fn told(numbers: &[u64]) -> Notification {
        let all: Vec<_> = numbers.iter().map(|&n| turn(n)).collect();
        together(&project(), &all.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn several_are_one_that_names_each() {
        let one = told(&[1, 3]);
        assert_eq!(one.title, "2 sessions of app finished their turns");
        assert_eq!(one.cause, "app-1, app-3");
        assert!(one.text.starts_with("- app-1 finished its turn\n- app-3 finished its turn\n"));
        assert_eq!((one.session, one.at), (None, Timestamp::from_millis(3)));
        assert_eq!(together(&project(), &[]), None);
    }

    #[test]
    fn many_are_counted() {
        let one = told(&(1..=64).collect::<Vec<_>>());
        assert!(one.text.contains("- and 44 more\n"), "{}", one.text);
        assert!(one.cause.ends_with("and 44 more"), "{}", one.cause);
    }

    #[test]
    fn the_same_ones_have_one_id_and_others_another() {
        assert_eq!(told(&[1, 2, 3]).id, told(&[1, 2, 3]).id);
        let ids: BTreeSet<_> =
            [&[1, 2][..], &[1, 2, 3], &[2, 3], &[1, 3], &[12, 3]].map(|it| told(it).id).into();
        assert_eq!(ids.len(), 5);
    }
}
