//! Places on the wire: who holds them, who waits, and for what.

use ao_api::session::Queue;
use ao_api::status::{Capacity, Holder, Waiting as WireWaiting};
use ao_core::capacity::{Claim, Turn};
use ao_core::ids::SessionId;
use ao_engine::{PlacesReport, Waiting};

/// Sessions that a sentence names; `ao status` lists all of them.
const NAMED_MAX: usize = 4;

/// The places of a daemon.
pub(crate) fn capacity(report: &PlacesReport) -> Capacity {
    let holder = |claim: &Claim| Holder {
        session: claim.session.to_string(),
        places: u64::from(claim.weight),
    };
    let waiting = |it: &Waiting| WireWaiting {
        session: it.claim.session.to_string(),
        places: u64::from(it.claim.weight),
        reason: reason(report, it),
    };
    Capacity {
        max: report.caps.max.map(u64::from),
        per_project: report.caps.per_project.map(u64::from),
        taken: u64::from(report.n_taken()),
        live: count(report.holders.len()),
        queued: count(report.queue.len()),
        holders: report.holders.iter().map(holder).collect(),
        queue: report.queue.iter().map(waiting).collect(),
    }
}

/// Where a session stands in the queue; `None` when it does not wait.
pub(crate) fn queue(report: &PlacesReport, session: &SessionId) -> Option<Queue> {
    let (n_before, waiting) = find(report, session)?;
    Some(Queue {
        position: count(n_before.saturating_add(1)),
        of: count(report.queue.len()),
        places: u64::from(waiting.claim.weight),
        reason: reason(report, waiting),
    })
}

/// The same as a part of a sentence.
pub(crate) fn queue_words(report: &PlacesReport, session: &SessionId) -> Option<String> {
    let (n_before, waiting) = find(report, session)?;
    let (position, of) = (n_before.saturating_add(1), report.queue.len());
    Some(format!("number {position} of {of}; {}", reason(report, waiting)))
}

fn find<'a>(report: &'a PlacesReport, session: &SessionId) -> Option<(usize, &'a Waiting)> {
    report.queue.iter().enumerate().find(|(_, it)| it.claim.session == *session)
}

/// What one that waits waits for.
fn reason(report: &PlacesReport, waiting: &Waiting) -> String {
    let project = &waiting.claim.project;
    match waiting.turn {
        Turn::Starts => "a place is free, and it is about to start".to_owned(),
        Turn::Full => {
            let holders = named(report.holders.iter());
            let n = report.caps.max.unwrap_or(u32::MAX);
            let taken = report.n_taken();
            if taken >= n {
                format!("all {n} places are taken, by {holders}")
            } else {
                format!(
                    "{taken} of {n} places are taken, by {holders}, and others wait for the rest"
                )
            }
        }
        Turn::ProjectFull => {
            let holders = named(report.holders_of(project));
            let n = report.caps.per_project.unwrap_or(u32::MAX);
            format!("project `{project}` has {n} places, held by {holders}")
        }
        Turn::TooBig => {
            let weight = waiting.claim.weight;
            let n = report.caps.exceeded_by(weight).unwrap_or(0);
            format!("it takes {weight} places, and there are {n}; `[capacity]` says how many")
        }
    }
}

fn named<'a>(holders: impl Iterator<Item = &'a Claim>) -> String {
    let all: Vec<String> = holders.map(|claim| format!("`{}`", claim.session)).collect();
    let shown = all.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED_MAX) {
        0 if all.is_empty() => "nobody".to_owned(),
        0 => shown,
        n => format!("{shown} and {n} more"),
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ao_core::capacity::{Caps, turns};
    use ao_core::ids::ProjectId;

    use super::*;

    /// `app-1:1 lib-2:3` as claims.
    fn claims(text: &str) -> Vec<Claim> {
        let claim = |word: &str| {
            let (session, weight) = word.split_once(':').unwrap();
            let (project, _) = session.split_once('-').unwrap();
            Claim {
                session: SessionId::parse(session).unwrap(),
                project: ProjectId::parse(project).unwrap(),
                weight: weight.parse().unwrap(),
            }
        };
        text.split_whitespace().map(claim).collect()
    }

    #[track_caller]
    fn check(caps: (u32, Option<u32>), holders: &str, queue: &str, expect: &[&str]) {
        let caps = Caps { max: Some(caps.0), per_project: caps.1, weights: BTreeMap::new() };
        let (holders, queue) = (claims(holders), claims(queue));
        let turns = turns(&caps, &holders, &queue);
        let queue = queue.into_iter().zip(turns).map(|(claim, turn)| Waiting { claim, turn });
        let report = PlacesReport { caps, holders, queue: queue.collect() };
        let words = report.queue.iter().map(|it| queue_words(&report, &it.claim.session).unwrap());
        assert_eq!(words.collect::<Vec<_>>(), expect);
        for (n, shown) in capacity(&report).queue.iter().enumerate() {
            let id = SessionId::parse(shown.session.as_str()).unwrap();
            let one = super::queue(&report, &id).unwrap();
            assert_eq!((one.position, &one.reason), (count(n + 1), &shown.reason));
        }
    }

    #[test]
    fn one_that_waits_is_told_its_number_and_for_whom_it_waits() {
        let all = "number 1 of 2; all 2 places are taken, by `app-1`, `app-2`";
        let rest = "number 2 of 2; all 2 places are taken, by `app-1`, `app-2`";
        check((2, None), "app-1:1 app-2:1", "app-3:1 app-4:1", &[all, rest]);
        let crowd =
            "number 1 of 1; all 6 places are taken, by `a-1`, `a-2`, `a-3`, `a-4` and 2 more";
        check((6, None), "a-1:1 a-2:1 a-3:1 a-4:1 a-5:1 a-6:1", "a-7:1", &[crowd]);
        let kept = "2 of 3 places are taken, by `a-1`, and others wait for the rest";
        let kept = [format!("number 1 of 2; {kept}"), format!("number 2 of 2; {kept}")];
        check((3, None), "a-1:2", "a-2:2 b-1:1", &[&kept[0], &kept[1]]);
        let own = "number 1 of 2; project `a` has 1 places, held by `a-1`";
        let free = "number 2 of 2; a place is free, and it is about to start";
        check((3, Some(1)), "a-1:1", "a-2:1 b-1:1", &[own, free]);
        let big = "number 1 of 1; it takes 9 places, and there are 3; `[capacity]` says how many";
        check((3, None), "", "a-1:9", &[big]);
    }
}
