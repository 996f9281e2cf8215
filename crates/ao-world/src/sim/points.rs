//! Every write of every saga: where the daemon can die between what was done and what is known.

use ao_core::saga::{SagaDirection, SagaKind, SagaStep};

/// What a write has to do with the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queueing {
    /// Nothing.
    None,
    /// It lets a session wait for one.
    Waits,
    /// It gives one to a session that waited.
    Starts,
}

/// A write of a saga at which the daemon can die: the one that puts it before this step, or with
/// no step the one that ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SagaPoint {
    /// The verb.
    pub kind: SagaKind,
    /// Which way the saga goes.
    pub direction: SagaDirection,
    /// The step that comes next.
    pub step: Option<SagaStep>,
    /// Whether it is about a place.
    pub queueing: Queueing,
}

impl std::fmt::Display for SagaPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let step = match self.queueing {
            Queueing::None => self.step.map_or("end", SagaStep::as_str),
            Queueing::Waits => "waits",
            Queueing::Starts => "starts",
        };
        write!(f, "{}:{}:{step}", self.kind, self.direction)
    }
}

use SagaStep::{
    AgentFiles, DestroyRuntime, ExecProof, Finish, Processes, Provision, RemoveFiles,
    RemoveWorktree, Runtime, Worktree,
};

const TEARDOWN: [SagaStep; 5] = [Processes, DestroyRuntime, RemoveWorktree, RemoveFiles, Finish];

const LAUNCH: [SagaStep; 3] = [AgentFiles, Runtime, ExecProof];

type Saga<'a> = (SagaKind, SagaDirection, &'a [&'a [SagaStep]]);

fn points_of(sagas: &[Saga<'_>]) -> Vec<SagaPoint> {
    let points_of = |&(kind, direction, parts): &Saga<'_>| {
        let steps = parts.iter().flat_map(|part| part.iter().copied()).map(Some);
        let steps: Vec<Option<SagaStep>> = steps.chain([None]).collect();
        let point = move |step| SagaPoint { kind, direction, step, queueing: Queueing::None };
        steps.into_iter().map(point)
    };
    sagas.iter().flat_map(points_of).collect()
}

/// Those of worlds without cleanups, places and preparations. Their order is part of every plan.
pub(crate) fn first_points() -> Vec<SagaPoint> {
    points_of(&[
        (SagaKind::Spawn, SagaDirection::Forward, &[&[Worktree], &LAUNCH]),
        (SagaKind::Spawn, SagaDirection::Unwinding, &[&TEARDOWN]),
        (SagaKind::Kill, SagaDirection::Forward, &[&TEARDOWN]),
        (SagaKind::Restore, SagaDirection::Forward, &[&[Processes, Worktree], &LAUNCH]),
        (SagaKind::Restore, SagaDirection::Unwinding, &[&TEARDOWN]),
    ])
}

/// Those of a cleanup.
pub(crate) fn cleanup_points() -> Vec<SagaPoint> {
    points_of(&[(SagaKind::Cleanup, SagaDirection::Forward, &[&TEARDOWN])])
}

/// Those of worlds in which sessions wait for a place.
pub(crate) fn place_points() -> Vec<SagaPoint> {
    let point = |kind, step, queueing| SagaPoint {
        kind,
        direction: SagaDirection::Forward,
        step: Some(step),
        queueing,
    };
    vec![
        point(SagaKind::Spawn, Worktree, Queueing::Waits),
        point(SagaKind::Spawn, Worktree, Queueing::Starts),
        point(SagaKind::Restore, Processes, Queueing::Waits),
        point(SagaKind::Restore, Processes, Queueing::Starts),
    ]
}

/// Those of worlds whose worktrees are prepared.
pub(crate) fn setup_points() -> Vec<SagaPoint> {
    let point = |kind| SagaPoint {
        kind,
        direction: SagaDirection::Forward,
        step: Some(Provision),
        queueing: Queueing::None,
    };
    vec![point(SagaKind::Spawn), point(SagaKind::Restore)]
}

/// All of them.
pub(crate) fn saga_points() -> Vec<SagaPoint> {
    [first_points(), cleanup_points(), place_points(), setup_points()].concat()
}
