//! Performs what somebody does who keeps the house: cleanups, recoveries, merges, places.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "it takes the acts that are its own and hands the others on"
)]

use ao_core::ids::SessionId;
use ao_engine::{CleanupRequest, PlacesReport};

use super::acts::name_at;
use super::dice::Dice;
use super::names::{self, PROJECTS};
use super::plan::Act;
use super::terms::{Room, Terms};
use super::world::{Trouble, World};

impl World {
    /// Performs an act if it is one of these.
    pub(crate) fn act_of_keeper(&mut self, act: Act, dice: &mut Dice) -> Result<bool, Trouble> {
        match act {
            Act::CleanUp { project, discard, is_dry } => {
                let project = project.map(|n| names::project(name_at(&PROJECTS, n)));
                let caller = None;
                self.clean_up(CleanupRequest { project, is_dry_run: is_dry, discard, caller });
                if dice.chance(40) {
                    self.run_some(dice.below(60));
                    self.visit(dice);
                }
            }
            Act::Recover { who } => self.recover(who),
            Act::Land { who, is_squashed } => self.land(who, is_squashed),
            Act::Places => self.look_at_places(),
            Act::KillWaiting { who, discard } => {
                let waiting = self.witness.seen().places.queue().to_vec();
                if let Some(id) = Self::one_of(&waiting, who) {
                    self.kill(&id, discard);
                }
            }
            Act::Recap { max } => self.recap(max, dice)?,
            Act::Setup { op, fault } => self.setup.schedule(op, fault),
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn clean_up(&self, request: CleanupRequest) {
        let Some(engine) = self.engine() else { return };
        let witness = self.witness.clone();
        self.task(async move {
            let CleanupRequest { is_dry_run, discard, .. } = request;
            let _asked = (!is_dry_run).then(|| witness.cleaning(discard));
            match engine.sessions.cleanup(&request).await {
                Ok(cleaned) => {
                    let n_freed = cleaned.iter().filter(|it| it.is_removed).count();
                    let what = match (is_dry_run, discard) {
                        (true, _) => "dry run",
                        (false, true) => "discards",
                        (false, false) => "frees",
                    };
                    if n_freed > 0 {
                        witness.count(format!("cleanup:{what}"));
                    }
                    if n_freed < cleaned.len() {
                        witness.count("cleanup:leaves".to_owned());
                    }
                    witness.tell(format!("  cleanup, {what}: {n_freed} of {}", cleaned.len()));
                }
                Err(error) => witness.tell(format!("  cleanup: {error}")),
            }
        });
    }

    /// Somebody works in the worktree of a session that has ended, and commits it or does not.
    fn visit(&mut self, dice: &mut Dice) {
        let ended: Vec<SessionId> = (self.witness.ids(true).into_iter())
            .filter(|id| {
                let record = self.witness.session(id).map(|session| session.record);
                record.is_some_and(|it| self.git.fake.head(&it.workspace.path).is_some())
            })
            .collect();
        let Some(id) = dice.pick(&ended.iter().collect::<Vec<_>>()) else { return };
        self.n_texts += 1;
        let (name, text) = ("visited".to_owned(), format!("visit {}\n", self.n_texts));
        let git = std::sync::Arc::clone(&self.git);
        let Some(work) = self.work_of(id) else { return };
        if !git.fake.write(&work.worktree, &name, &text) {
            return;
        }
        work.files.insert(name, text);
        if dice.chance(60) {
            work.commit(&git.fake);
        }
        self.witness.count("cleanup:meets a visitor".to_owned());
    }

    /// Asks for what was set aside of a session, now and then of one whose record is gone.
    fn recover(&self, who: u8) {
        let Some(engine) = self.engine() else { return };
        let removed: Vec<SessionId> = self.witness.seen().removed.iter().cloned().collect();
        let id = if who.is_multiple_of(4) { Self::one_of(&removed, who / 4) } else { None };
        let Some(id) = id.or_else(|| self.ended(who)) else { return };
        let witness = self.witness.clone();
        witness.seen().recovered.insert(id.clone());
        self.task(async move {
            match engine.sessions.recover(&id).await {
                Ok(recovery) => {
                    let is_forgotten = witness.seen().removed.contains(&id);
                    let what = match (&recovery.worktree, is_forgotten) {
                        (Some(_), false) => "brought back",
                        (Some(_), true) => "brought back without a record",
                        (None, _) => "brought back beside its worktree",
                    };
                    witness.count(format!("cleanup:{what}"));
                    witness.tell(format!("  recover {id}: {what}"));
                }
                Err(error) => witness.tell(format!("  recover {id}: {error}")),
            }
        });
    }

    /// The work of a session gets into `main`: its agent may have ended long ago.
    fn land(&self, who: u8, is_squashed: bool) {
        let with_commits: Vec<&super::world::Work> =
            self.work.values().filter(|work| !work.commits.is_empty()).collect();
        let n = usize::from(who).checked_rem(with_commits.len()).unwrap_or(0);
        let Some(work) = with_commits.get(n) else { return };
        let git = &self.git.fake;
        let (has_landed, what) = if is_squashed {
            (git.squash_into_main(&work.repo, &work.branch), "agent:squashes")
        } else {
            (git.fast_forward_main(&work.repo, &work.branch), "agent:merges")
        };
        if has_landed {
            self.witness.count(what.to_owned());
        }
    }

    /// What is told of the places is what was committed, as long as nothing is committed meanwhile.
    fn look_at_places(&self) {
        let Some(engine) = self.engine() else { return };
        let witness = self.witness.clone();
        self.task(async move {
            let n_commits = witness.seen().n_commits;
            let Ok(PlacesReport { queue, .. }) = engine.sessions.places().await else { return };
            let mut seen = witness.seen();
            if seen.n_commits != n_commits {
                return;
            }
            let told: Vec<SessionId> = queue.into_iter().map(|it| it.claim.session).collect();
            if told != seen.places.queue() {
                let known = seen.places.queue().to_vec();
                seen.violate(format!("{told:?} wait as is told, and {known:?} in truth"));
            }
        });
    }

    /// Somebody changes how many places there are, and starts the daemon again.
    fn recap(&mut self, max: Option<u32>, dice: &mut Dice) -> Result<(), Trouble> {
        let Some(room) = self.terms.room else { return Ok(()) };
        if dice.chance(50) {
            self.stop()?;
        } else {
            self.die()?;
        }
        let terms = Terms { room: max.map(|max| Room { max, ..room }), ..self.terms };
        self.settings.caps = terms.caps();
        self.witness.recap(&self.settings.caps);
        Ok(())
    }
}
