//! The engine: it observes, has the core decide, writes what was decided, and performs it.
//!
//! It knows ports and nothing behind them: no tmux, no git, no SQL, no HTTP. Time, names and tasks
//! come in through ports too, so that a whole run can be repeated from a seed.
//!
//! One rule holds everywhere: nothing is kept in memory that the next start would miss. What is in
//! memory (wake-ups, who is running which saga) is an optimisation, and losing it costs one pass.

mod adopt;
mod codes;
mod deliver;
mod dispatcher;
mod engine;
mod lifecycle;
mod messenger;
mod observer;
mod outlook;
mod places;
mod ports;
mod reaper;
mod receipts;
mod restore;
mod saga;
mod sessions;
mod settings;
mod spawn;
mod text;
mod wake;
mod worktree;

pub use adopt::AdoptReport;
pub use adopt::leftovers::Leftover;
pub use engine::{BootError, BootReport, Engine};
pub use lifecycle::{LifecycleManager, ObserveError, Observed};
pub use messenger::{Messenger, SendError, SendRequest};
pub use places::{PlaceError, PlacesReport, Waiting};
pub use ports::EnginePorts;
pub use reaper::{PassReport, Reaper};
pub use restore::{RestoreError, RestoreReport, RestoreRequest};
pub use sessions::cleanup::{Cleaned, CleanupRequest, NOTHING_LEFT};
pub use sessions::{KillError, KillReport, SessionError, SessionManager};
pub use settings::EngineSettings;
pub use spawn::{SpawnError, SpawnRequest};
pub use text::{Sanitized, sanitize};
