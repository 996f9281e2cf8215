//! The forge: what it knows of each pull request, and how it answers.

use std::collections::BTreeSet;

use ao_core::fact::{Fact, FactKind};
use ao_core::ids::{BranchName, CauseKey, PrNumber, SessionId, Sha};
use ao_core::ports::Clock as _;
use ao_core::pr::{Checks, Draftness, Known, Mergeability, Pr, PrLife, PrObservation, Review};
use ao_core::time::Moment;

use super::plan::Forge;
use super::world::World;

impl World {
    /// Lets the forge say something about a pull request, and the daemon hear it: one answer after
    /// the other.
    pub(crate) fn ask_forge(&mut self, (who, number): (u8, u8), all_says: &[Forge]) {
        let all: Vec<SessionId> = self.witness.seen().sessions.keys().cloned().collect();
        let Some(id) = Self::one_of(&all, who) else { return };
        let number = PrNumber(u64::from(number));
        let now = self.clock.now();
        let pr = self.prs.entry((id.clone(), number)).or_insert_with(|| opened(number, &now));
        let mut answers = Vec::new();
        for &says in all_says {
            change(pr, says, &now);
            let is_unknown = self.is_forge_down || says == Forge::Unknown;
            if is_unknown {
                self.witness.count("forge:unknown".to_owned());
            }
            answers.push(if is_unknown { unknown(pr) } else { pr.clone() });
        }
        self.tell_of_prs(id, answers);
    }

    fn tell_of_prs(&self, id: SessionId, answers: Vec<Pr>) {
        let at = self.clock.now();
        let Some(engine) = self.engine() else { return };
        self.task(async move {
            for pr in answers {
                let kind = FactKind::PullRequests(vec![PrObservation { pr }]);
                drop(engine.lifecycle.observe(&id, Fact { at, kind }).await);
            }
        });
    }

    /// Lets the daemon hear of every pull request, as one does that asks the forge now and then.
    pub(crate) fn poll_forge(&self) {
        for ((id, _), pr) in &self.prs {
            self.tell_of_prs(id.clone(), vec![pr.clone()]);
        }
    }
}

/// A pull request of which only the number is known.
fn unknown(pr: &Pr) -> Pr {
    Pr {
        head: Known::Unknown,
        life: Known::Unknown,
        draft: Known::Unknown,
        checks: Known::Unknown,
        review: Known::Unknown,
        mergeability: Known::Unknown,
        ..pr.clone()
    }
}

fn opened(number: PrNumber, now: &Moment) -> Pr {
    Pr {
        number,
        url: format!("https://forge.example/{number}"),
        base: BranchName::new("main"),
        head: Known::Known { value: Sha::new("0".repeat(40)), at: *now },
        life: Known::Known { value: PrLife::Open, at: *now },
        draft: Known::Known { value: Draftness::Ready, at: *now },
        checks: Known::Unknown,
        review: Known::Unknown,
        mergeability: Known::Unknown,
    }
}

/// Changes what the forge knows; what it shows is known since now.
fn change(pr: &mut Pr, says: Forge, now: &Moment) {
    let at = *now;
    let causes = |n: u64, what: &str| BTreeSet::from([CauseKey::new(format!("{what}-{n}"))]);
    match says {
        Forge::Opened => *pr = opened(pr.number, now),
        Forge::Pushed(n) => {
            pr.head = Known::Known { value: Sha::new(format!("{:040x}", n + 1)), at };
        }
        Forge::Pending => pr.checks = Known::Known { value: Checks::Pending, at },
        Forge::Failed(n) => {
            pr.checks = Known::Known { value: Checks::Failed { causes: causes(n, "check") }, at };
        }
        Forge::Refused => pr.checks = Known::Known { value: Checks::Refused, at },
        Forge::Passed => pr.checks = Known::Known { value: Checks::Passed, at },
        Forge::HumanReview(n) => {
            let value =
                Review::ChangesRequested { human: causes(n, "thread"), bot: BTreeSet::new() };
            pr.review = Known::Known { value, at };
        }
        Forge::BotReview(n) => {
            let value = Review::ChangesRequested { human: BTreeSet::new(), bot: causes(n, "bot") };
            pr.review = Known::Known { value, at };
        }
        Forge::Approved => pr.review = Known::Known { value: Review::Approved, at },
        Forge::Conflicting => {
            pr.mergeability = Known::Known { value: Mergeability::Conflicting, at };
        }
        Forge::Clean => pr.mergeability = Known::Known { value: Mergeability::Clean, at },
        Forge::Draft => pr.draft = Known::Known { value: Draftness::Draft, at },
        Forge::Ready => pr.draft = Known::Known { value: Draftness::Ready, at },
        Forge::Merged => pr.life = Known::Known { value: PrLife::Merged, at },
        Forge::Closed => pr.life = Known::Known { value: PrLife::Closed, at },
        Forge::Unknown => {}
    }
}
