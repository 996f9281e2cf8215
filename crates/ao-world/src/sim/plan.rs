//! What happens in one history: steps made from a seed.
//!
//! A step names its session by a number that is taken modulo those there are when its turn comes,
//! and brings its own number for whatever it leaves to chance. So a plan stays a plan when steps
//! are taken out of it, which is how a failing one is made short.

use std::time::Duration;

use ao_core::fact::SignalDetail;
use ao_core::record::ActivityState;
use ao_testkit::machine::Op;
use ao_testkit::workspace::WorkspaceOp;

use super::dice::Dice;
use super::news;
use super::points::{SagaPoint, first_points};
use super::terms::Terms;

/// How a hook of an agent arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// At once.
    Prompt,
    /// So many seconds later; others overtake it.
    Late(u64),
    /// Twice.
    Doubled,
    /// Never.
    Lost,
    /// With the launch of an earlier life of its session.
    OldLaunch,
}

/// What happens to one call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFault {
    /// It does nothing and fails.
    Refuse,
    /// It does what it was asked, and fails nevertheless.
    LoseAnswer,
    /// It takes so many seconds.
    Slow(u64),
    /// It takes so many seconds, does nothing and fails.
    TimeOut(u64),
}

/// What an agent says that is not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// That it took a text in: one that was never given to it, or not yet.
    TookIn,
    /// That it is done, and it goes on.
    Done,
    /// That it ends, and it stays.
    Goodbye,
    /// That it is at rest, while it works.
    AtRest,
}

/// Calls of the provisioner that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetupOp {
    /// Links and copies are made.
    Place,
    /// Commands are run.
    Run,
}

/// Calls of the store that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreOp {
    /// A session is read.
    Read,
    /// Sessions are listed.
    List,
    /// Something is committed.
    Commit,
    /// The effects that are ready are asked for, or one is finished.
    Outbox,
    /// Messages are read.
    Messages,
    /// Deadlines are read.
    Deadlines,
    /// Sagas are listed.
    Sagas,
    /// Incidents are read or opened.
    Incidents,
}

/// How a call of the store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// It does not answer, and nothing was written.
    Unavailable,
    /// Somebody else wrote the session meanwhile.
    Conflict,
}

/// What a forge says about a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what the forge calls it")]
pub enum Forge {
    Opened,
    Pushed(u64),
    Pending,
    Failed(u64),
    Refused,
    Passed,
    HumanReview(u64),
    BotReview(u64),
    Approved,
    Conflicting,
    Clean,
    Draft,
    Ready,
    Merged,
    Closed,
    /// It answers nothing that is known: a rate limit, an outage.
    Unknown,
}

/// One act of somebody, one fault, or one pass of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it; `who`, `project` and `agent` are numbers")]
pub enum Act {
    Spawn {
        project: u8,
        agent: u8,
    },
    Send {
        who: u8,
    },
    Kill {
        who: u8,
        discard: bool,
    },
    Restore {
        who: u8,
    },
    /// Everything that was lost is brought back, as `ao restore --all` does.
    RestoreAll,
    /// Sessions are restored or begun until as many live as a team has.
    Staff,
    Remove {
        who: u8,
    },
    /// What ended sessions hold is freed, as `ao cleanup` does.
    CleanUp {
        project: Option<u8>,
        discard: bool,
        is_dry: bool,
    },
    /// What was set aside is asked for again, as `ao recover` does.
    Recover {
        who: u8,
    },
    /// The work of a session, which may have ended, gets into `main`.
    Land {
        who: u8,
        is_squashed: bool,
    },
    /// Somebody looks who holds the places and who waits.
    Places,
    /// One that waits for a place is killed.
    KillWaiting {
        who: u8,
        discard: bool,
    },
    /// The daemon is started again with so many places; with any number when there is none.
    Recap {
        max: Option<u32>,
    },
    /// The next preparation of a worktree comes to this.
    Setup {
        op: SetupOp,
        fault: CallFault,
    },
    Interrupt {
        who: u8,
    },
    Rename {
        who: u8,
    },
    Signal {
        who: u8,
        state: ActivityState,
        detail: Option<SignalDetail>,
        way: Way,
    },
    TakeIn {
        who: u8,
        way: Way,
    },
    Lie {
        who: u8,
        lie: Lie,
    },
    /// It does and tells nothing, until this is taken back.
    Stall {
        who: u8,
        is_on: bool,
    },
    /// It does nothing any more and ignores whoever asks it to end.
    Hang {
        who: u8,
    },
    Work {
        who: u8,
    },
    CommitWork {
        who: u8,
    },
    MergeWork {
        who: u8,
    },
    Exit {
        who: u8,
        is_clean: bool,
    },
    Crash {
        who: u8,
    },
    /// It crashes, and a hook of it that runs on tells that it works.
    Ghost {
        who: u8,
    },
    /// So many of its hooks were dropped because too many waited.
    LoseHooks {
        who: u8,
        n: u64,
    },
    /// All agents crash at once, but so many.
    Plague {
        n_spared: u8,
        is_exit_hidden: bool,
    },
    Dialog {
        who: u8,
        is_open: bool,
    },
    DialogOnPaste {
        who: u8,
    },
    Compose {
        who: u8,
    },
    CopyMode {
        who: u8,
        is_on: bool,
    },
    HumanTyping {
        who: u8,
        is_on: bool,
    },
    DeafEnters {
        who: u8,
    },
    Child {
        who: u8,
    },
    IgnoreSignals {
        who: u8,
    },
    Hide {
        who: u8,
        is_on: bool,
    },
    HideExit,
    Port {
        op: Op,
        fault: CallFault,
    },
    KillPane {
        who: u8,
    },
    /// The server dies; somebody may start another one at once.
    KillServer {
        project: u8,
        is_restarted: bool,
    },
    Unreachable {
        project: u8,
        is_on: bool,
    },
    Watches {
        work: bool,
    },
    HoldExec {
        is_on: bool,
    },
    NoProgram {
        agent: u8,
        is_on: bool,
    },
    Git {
        op: WorkspaceOp,
        fault: CallFault,
    },
    Store {
        op: StoreOp,
        fault: StoreFault,
        n: u8,
    },
    NotifierDown {
        is_on: bool,
    },
    Notify {
        fault: CallFault,
    },
    Die {
        down_for: u64,
    },
    DieAtWrite {
        n: u8,
        is_after: bool,
    },
    DieAtSaga {
        point: SagaPoint,
        is_after: bool,
    },
    Stop {
        down_for: u64,
    },
    Suspend {
        minutes: u64,
    },
    WallJump {
        minutes: i64,
    },
    Reboot {
        minutes: u64,
    },
    Forge {
        who: u8,
        number: u8,
        says: Forge,
    },
    /// The checks of a pull request fail and pass in turn.
    Flap {
        who: u8,
        number: u8,
    },
    /// The forge answers nothing that is known: a rate limit, an outage.
    ForgeDown {
        is_on: bool,
    },
    Pass {
        millis: u64,
    },
    Quiet,
}

/// An act with the number that decides what it leaves open, and how far the tasks get before the
/// next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What happens.
    pub act: Act,
    /// Decides what the act leaves open.
    pub salt: u64,
    /// Polls of tasks after it.
    pub n_polls: u64,
}

/// A history to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it was made from; also the order in which tasks run.
    pub seed: u64,
    /// How its daemon is configured.
    pub terms: Terms,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// The calls of the machine that can be made to fail.
pub(crate) const fn port_ops() -> &'static [Op] {
    &OPS
}

const OPS: [Op; 20] = [
    Op::Create,
    Op::Find,
    Op::Destroy,
    Op::LookAll,
    Op::WatchServer,
    Op::GetOutput,
    Op::Look,
    Op::Paste,
    Op::Press,
    Op::WatchProcess,
    Op::Scan,
    Op::Signal,
    Op::WriteLaunch,
    Op::ReadLaunch,
    Op::Proof,
    Op::RemoveLaunch,
    Op::FileLength,
    Op::ReadFile,
    Op::EndIdleServers,
    Op::ListLaunches,
];

const GIT_OPS: [WorkspaceOp; 6] = [
    WorkspaceOp::Preflight,
    WorkspaceOp::Create,
    WorkspaceOp::Restore,
    WorkspaceOp::Destroy,
    WorkspaceOp::UndoCreate,
    WorkspaceOp::Look,
];

const STORE_OPS: [StoreOp; 8] = [
    StoreOp::Read,
    StoreOp::List,
    StoreOp::Commit,
    StoreOp::Outbox,
    StoreOp::Messages,
    StoreOp::Deadlines,
    StoreOp::Sagas,
    StoreOp::Incidents,
];

const DETAILS: [Option<SignalDetail>; 9] = [
    None,
    None,
    Some(SignalDetail::Permission),
    Some(SignalDetail::Question),
    Some(SignalDetail::PlanApproval),
    Some(SignalDetail::AuthFailed),
    Some(SignalDetail::UsageLimited),
    Some(SignalDetail::ApiError),
    Some(SignalDetail::Background),
];

/// Sessions that a history begins with.
const FIRST: usize = 8;

/// Steps between two times at which everything heals and comes to rest.
const QUIET_EVERY: usize = 250;

/// Of a hundred histories, so many have a notifier that is down for long enough that what it was to
/// be told is given up: an effect is tried for more than an hour.
const OUTAGES: u64 = 12;
const OUTAGE: Duration = Duration::from_mins(150);

impl Plan {
    /// The history of a seed: eight sessions to begin with, then further steps up to `n_steps`.
    pub fn of(seed: u64, n_steps: usize) -> Self {
        let mut dice = Dice::new(seed ^ news::STREAM);
        let terms = Terms::of(&mut dice);
        let mut plan = Self { terms, ..Self::plain(seed, n_steps) };
        for step in plan.steps.iter_mut().skip(FIRST).filter(|step| step.act != Act::Quiet) {
            if let Some(act) = news::act(&mut dice, terms) {
                step.act = act;
            }
        }
        plan
    }

    /// The history of a seed as it was made before there were cleanups, places and preparations:
    /// seeds that found something then go on to mean what they meant.
    pub fn plain(seed: u64, n_steps: usize) -> Self {
        let mut dice = Dice::new(seed);
        let mut steps = Vec::with_capacity(n_steps);
        for n in 0..u8::try_from(FIRST).unwrap_or(0) {
            steps.push(step(&mut dice, Act::Spawn { project: n % 2, agent: n % 5 }));
        }
        let outage_at = if dice.chance(OUTAGES) { QUIET_EVERY + 20 } else { usize::MAX };
        while steps.len() < n_steps {
            if steps.len() == outage_at {
                let millis = OUTAGE.as_millis();
                for act in [
                    Act::NotifierDown { is_on: true },
                    Act::Pass { millis: u64::try_from(millis).unwrap_or(u64::MAX) },
                    Act::NotifierDown { is_on: false },
                ] {
                    steps.push(step(&mut dice, act));
                }
            }
            let act = if steps.len() % QUIET_EVERY == QUIET_EVERY - 1 {
                Act::Quiet
            } else {
                act(&mut dice)
            };
            steps.push(step(&mut dice, act));
        }
        Self { seed, terms: Terms::default(), steps }
    }
}

const fn step(dice: &mut Dice, act: Act) -> Step {
    let salt = dice.next();
    // Mostly far enough that something is begun and not ended; sometimes not at all.
    let n_polls = match dice.below(4) {
        0 => 0,
        1 => dice.below(8),
        2 => dice.below(40),
        _ => dice.below(200),
    };
    Step { act, salt, n_polls }
}

pub(crate) fn who(dice: &mut Dice) -> u8 {
    u8::try_from(dice.below(64)).unwrap_or(0)
}

fn way(dice: &mut Dice) -> Way {
    match dice.below(12) {
        0 | 1 => Way::Late(dice.below(20)),
        2 => Way::Late(60 + dice.below(300)),
        3 => Way::Doubled,
        4 => Way::Lost,
        5 => Way::OldLaunch,
        _ => Way::Prompt,
    }
}

pub(crate) fn call_fault(dice: &mut Dice) -> CallFault {
    match dice.below(8) {
        0..3 => CallFault::Refuse,
        3..5 => CallFault::LoseAnswer,
        5..7 => CallFault::Slow(1 + dice.below(8)),
        _ => CallFault::TimeOut(1 + dice.below(20)),
    }
}

/// The next step after the first eight. Of a thousand, so many are what they are.
fn act(dice: &mut Dice) -> Act {
    match dice.below(1000) {
        0..340 => pass(dice),
        340..620 => of_agent(dice),
        620..740 => of_person(dice),
        740..810 => of_forge(dice),
        810..945 => fault(dice),
        _ => of_daemon(dice),
    }
}

fn pass(dice: &mut Dice) -> Act {
    let millis = match dice.below(100) {
        0..75 => dice.below(2_500),
        75..94 => 2_500 + dice.below(15_000),
        94..99 => 20_000 + dice.below(100_000),
        _ => 600_000 + dice.below(600_000),
    };
    Act::Pass { millis }
}

fn of_agent(dice: &mut Dice) -> Act {
    let who = who(dice);
    let is_on = dice.chance(50);
    match dice.below(100) {
        0..40 => {
            let states = [
                ActivityState::Active,
                ActivityState::Active,
                ActivityState::Idle,
                ActivityState::Idle,
                ActivityState::Ready,
                ActivityState::WaitingInput,
                ActivityState::Blocked,
                ActivityState::Exited,
            ];
            let state = dice.pick(&states).unwrap_or(ActivityState::Active);
            let told = dice.pick(&DETAILS).flatten();
            let detail = if state == ActivityState::Idle && dice.chance(15) {
                Some(SignalDetail::Done)
            } else {
                told
            };
            Act::Signal { who, state, detail, way: way(dice) }
        }
        40..56 => Act::TakeIn { who, way: way(dice) },
        56..58 => {
            let lies = [Lie::TookIn, Lie::Done, Lie::Goodbye, Lie::AtRest];
            Act::Lie { who, lie: dice.pick(&lies).unwrap_or(Lie::TookIn) }
        }
        58..60 => Act::Stall { who, is_on },
        60..66 => Act::Work { who },
        66..69 => Act::CommitWork { who },
        69..70 => Act::MergeWork { who },
        70..75 => Act::Exit { who, is_clean: is_on },
        75..77 => Act::Crash { who },
        77..78 => Act::Ghost { who },
        78..79 => Act::LoseHooks { who, n: 1 + dice.below(5) },
        79..84 => Act::Dialog { who, is_open: is_on },
        84..86 => Act::DialogOnPaste { who },
        86..88 => Act::Compose { who },
        88..90 => Act::CopyMode { who, is_on },
        90..92 => Act::HumanTyping { who, is_on },
        92..94 => Act::DeafEnters { who },
        94..96 => Act::Child { who },
        96..97 => Act::IgnoreSignals { who },
        97..98 => Act::Hang { who },
        _ => Act::Hide { who, is_on },
    }
}

fn of_person(dice: &mut Dice) -> Act {
    let who = who(dice);
    match dice.below(100) {
        0..15 => {
            let (project, agent) = (who % 2, u8::try_from(dice.below(5)).unwrap_or(0));
            Act::Spawn { project, agent }
        }
        15..44 => Act::Send { who },
        44..51 => Act::Kill { who, discard: dice.chance(30) },
        51..54 => Act::Restore { who },
        54..58 => Act::RestoreAll,
        58..90 => Act::Staff,
        90..94 => Act::Remove { who },
        94..97 => Act::Interrupt { who },
        _ => Act::Rename { who },
    }
}

fn of_forge(dice: &mut Dice) -> Act {
    let who = who(dice);
    let number = 1 + u8::try_from(dice.below(2)).unwrap_or(0);
    match dice.below(20) {
        0 => return Act::Flap { who, number },
        1 => return Act::ForgeDown { is_on: dice.chance(50) },
        _ => {}
    }
    let says = match dice.below(30) {
        0..2 => Forge::Opened,
        2..4 => Forge::Pushed(dice.below(4)),
        4..6 => Forge::Pending,
        6..11 => Forge::Failed(dice.below(4)),
        11 => Forge::Refused,
        12..15 => Forge::Passed,
        15..17 => Forge::HumanReview(dice.below(3)),
        17..19 => Forge::BotReview(dice.below(3)),
        19..21 => Forge::Approved,
        21 => Forge::Conflicting,
        22..24 => Forge::Clean,
        24 => Forge::Draft,
        25 => Forge::Ready,
        26 => Forge::Merged,
        27 => Forge::Closed,
        _ => Forge::Unknown,
    };
    Act::Forge { who, number, says }
}

fn fault(dice: &mut Dice) -> Act {
    let who = who(dice);
    let (project, is_on) = (who % 2, dice.chance(50));
    match dice.below(100) {
        0..35 => Act::Port { op: dice.pick(&OPS).unwrap_or(Op::Look), fault: call_fault(dice) },
        35..50 => {
            let op = dice.pick(&GIT_OPS).unwrap_or(WorkspaceOp::Create);
            Act::Git { op, fault: call_fault(dice) }
        }
        50..68 => {
            let op = dice.pick(&STORE_OPS).unwrap_or(StoreOp::Commit);
            let is_conflict = op == StoreOp::Commit && dice.chance(50);
            let fault = if is_conflict { StoreFault::Conflict } else { StoreFault::Unavailable };
            Act::Store { op, fault, n: 1 + u8::try_from(dice.below(4)).unwrap_or(0) }
        }
        68..74 => Act::KillPane { who },
        74..76 => Act::KillServer { project, is_restarted: is_on },
        76..82 => Act::Unreachable { project, is_on },
        82..85 => Act::Watches { work: is_on },
        85..88 => Act::HoldExec { is_on },
        88..91 => Act::NoProgram { agent: u8::try_from(dice.below(5)).unwrap_or(0), is_on },
        91..95 => Act::NotifierDown { is_on },
        95..97 => Act::Notify { fault: call_fault(dice) },
        97..98 => {
            let n_spared = u8::try_from(dice.below(3)).unwrap_or(0);
            Act::Plague { n_spared, is_exit_hidden: dice.chance(30) }
        }
        _ => Act::HideExit,
    }
}

fn of_daemon(dice: &mut Dice) -> Act {
    let down_for = match dice.below(8) {
        0 => 3_600,
        1 | 2 => 1 + dice.below(120),
        _ => 0,
    };
    match dice.below(100) {
        0..22 => Act::Die { down_for },
        22..36 => {
            let n = 1 + u8::try_from(dice.below(12)).unwrap_or(0);
            Act::DieAtWrite { n, is_after: dice.chance(50) }
        }
        36..80 => {
            let is_after = dice.chance(50);
            match dice.pick(&first_points()) {
                Some(point) => Act::DieAtSaga { point, is_after },
                None => Act::Die { down_for },
            }
        }
        80..86 => Act::Stop { down_for },
        86..91 => Act::Suspend { minutes: 1 + dice.below(540) },
        91..97 => {
            let minutes = i64::try_from(dice.below(240)).unwrap_or(0) - 120;
            Act::WallJump { minutes }
        }
        _ => Act::Reboot { minutes: 1 + dice.below(60) },
    }
}
