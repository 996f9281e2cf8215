//! `ao ls`: the sessions, once or as they change.

use std::time::Duration;

use ao_api::client::EventStream;
use ao_api::session::{Session, SessionsQuery};
use ao_api::status::Capacity;
use clap::Args;
use jiff::Timestamp;

use crate::context::Context;
use crate::env;
use crate::error::CliError;
use crate::ui::table::Column;
use crate::ui::{Ui, text};

/// Columns of the list. Status and activity stand side by side: `ci_failed` hides whether anyone
/// works on it.
const COLUMNS: [Column; 9] = [
    Column::new("ID").shrinks_to(12),
    Column::new("NAME").shrinks_to(8),
    Column::new("STATUS"),
    Column::new("ACTIVITY").shrinks_to(6),
    Column::new("AGENT").shrinks_to(6),
    Column::new("+/-"),
    Column::new("PR"),
    Column::new("AGE").right(),
    Column::new("COST").right(),
];

/// Changes that come within this time are drawn together.
const SETTLE_FOR: Duration = Duration::from_millis(100);

/// Without a change the ages are drawn again after this long.
const REDRAW_AFTER: Duration = Duration::from_secs(10);

/// Arguments of `ao ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Only the sessions of this project.
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// Ended sessions too.
    #[arg(long, short)]
    pub all: bool,
    /// Go on, and show every change.
    #[arg(long, short)]
    pub watch: bool,
}

pub(crate) async fn run(args: LsArgs, context: &Context<'_>, ui: &mut Ui) -> Result<(), CliError> {
    let query = SessionsQuery { project: args.project, all: args.all };
    if !args.watch {
        let sessions = context.client.sessions(&query).await?;
        if ui.is_json() {
            return ui.json(&sessions);
        }
        draw(&sessions, &query, ui)?;
        note_lost(&sessions, ui);
        note_queue(&sessions, context, ui).await?;
        return Ok(());
    }
    watch(&query, context, ui).await
}

/// Draws, and draws again after a change. The stream is opened before the snapshot, so that no
/// change falls between the two; where it ends it is opened again, as long as the daemon is there.
async fn watch(query: &SessionsQuery, context: &Context<'_>, ui: &mut Ui) -> Result<(), CliError> {
    let mut shown: Option<Vec<Session>> = None;
    loop {
        let mut events = context.client.follow_events(None).await?;
        let mut is_open = true;
        while is_open {
            let sessions = context.client.sessions(query).await?;
            let is_news = shown.as_ref() != Some(&sessions);
            if ui.is_json() && is_news {
                ui.json_line(&sessions)?;
            } else if !ui.is_json() && (is_news || ui.is_out_terminal) {
                if shown.is_some() || ui.is_out_terminal {
                    ui.redraw()?;
                }
                draw(&sessions, query, ui)?;
            }
            shown = Some(sessions);
            is_open = match tokio::time::timeout(REDRAW_AFTER, events.next()).await {
                Err(_elapsed) => true,
                Ok(item) => item?.is_some() && swallow_burst(&mut events).await?,
            };
        }
    }
}

/// Takes what comes right behind; answers whether the stream goes on.
async fn swallow_burst(events: &mut EventStream) -> Result<bool, CliError> {
    let burst = async {
        while events.next().await?.is_some() {}
        Ok(false)
    };
    tokio::time::timeout(SETTLE_FOR, burst).await.unwrap_or(Ok(true))
}

fn draw(sessions: &[Session], query: &SessionsQuery, ui: &mut Ui) -> Result<(), CliError> {
    if sessions.is_empty() {
        let hint = if query.all { "" } else { " `ao ls --all` shows ended ones;" };
        ui.note(format!("No session.{hint} `ao spawn` starts one."));
        return Ok(());
    }
    let now = env::now();
    let rows: Vec<Vec<String>> = sessions.iter().map(|session| row(session, now)).collect();
    ui.table(&COLUMNS, &rows)
}

/// Ended sessions that nobody ended come back with one command.
fn note_lost(sessions: &[Session], ui: &mut Ui) {
    let is_lost = |it: &&Session| it.restore.as_ref().is_some_and(|restore| restore.lost);
    let n_lost = sessions.iter().filter(is_lost).count();
    if n_lost > 0 {
        let ended = text::count(n_lost, "session", "sessions");
        ui.note(format!(
            "{ended} ended though nobody asked for it; `ao restore --all` brings back all of them."
        ));
    }
}

/// Whoever waits wants to know for whom.
async fn note_queue(
    sessions: &[Session],
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    if sessions.iter().any(|session| session.queue.is_some()) {
        let capacity = context.client.status().await?.capacity;
        ui.note(queue_words(&capacity));
    }
    Ok(())
}

fn queue_words(capacity: &Capacity) -> String {
    let n_waiting = usize::try_from(capacity.queued).unwrap_or(usize::MAX);
    let waiting = text::count(n_waiting, "session waits", "sessions wait");
    let of = capacity.max.map(|max| format!(" of {max}")).unwrap_or_default();
    let holders = super::status::holders(capacity);
    format!("{waiting} for a place; {}{of} are taken, by {holders}.", capacity.taken)
}

/// The status, with the place in the queue of one that waits.
fn status(session: &Session) -> String {
    match &session.queue {
        Some(queue) => format!("{} ({})", session.status, queue.position),
        None => session.status.clone(),
    }
}

fn row(session: &Session, now: Timestamp) -> Vec<String> {
    let changes = session.changes.filter(|changes| changes.files > 0);
    let pr = session.lifecycle.pr.number;
    vec![
        session.id.clone(),
        text::or_nothing(session.name.as_deref().or(session.issue.as_deref())),
        status(session),
        text::or_nothing(session.activity.as_deref()),
        session.agent.clone(),
        changes.map_or_else(
            || text::NOTHING.to_owned(),
            |changes| format!("+{} -{}", changes.added, changes.removed),
        ),
        pr.map_or_else(|| text::NOTHING.to_owned(), |number| format!("#{number}")),
        text::age(now, &session.created_at),
        text::cost(session.usage.cost_usd),
    ]
}

#[cfg(test)]
mod tests {
    use ao_api::session::{Changes, Queue};
    use ao_api::status::Holder;

    use super::*;
    use crate::commands::sample;

    #[test]
    fn a_list_shows_status_and_activity_side_by_side() {
        let now = "2026-03-02T12:00:00.000Z".parse().unwrap();
        let mut busy = sample::session("app-1");
        busy.name = Some("fix the login page of the shop".to_owned());
        busy.status = "ci_failed".to_owned();
        busy.activity = Some("active".to_owned());
        busy.changes = Some(Changes { files: 3, added: 120, removed: 7 });
        busy.lifecycle.pr.number = Some(12);
        busy.usage.cost_usd = Some(0.4249);
        let rows = [row(&busy, now), row(&sample::session("app-10"), now)];
        let render = |width| crate::ui::table::render(&COLUMNS, &rows, width);
        insta::assert_snapshot!(render(None), @r"
        ID      NAME                            STATUS     ACTIVITY  AGENT    +/-      PR   AGE   COST
        app-1   fix the login page of the shop  ci_failed  active    command  +120 -7  #12   4m  $0.42
        app-10  -                               working    -         command  -        -     4m      -
        ");
        insta::assert_snapshot!(render(Some(80)), @r"
        ID      NAME              STATUS     ACTIVITY  AGENT    +/-      PR   AGE   COST
        app-1   fix the login p…  ci_failed  active    command  +120 -7  #12   4m  $0.42
        app-10  -                 working    -         command  -        -     4m      -
        ");
    }
    #[test]
    fn one_that_waits_shows_its_number_and_the_list_says_for_whom() {
        let mut waiting = sample::session("app-3");
        waiting.status = "queued".to_owned();
        let reason = "all 2 places are taken".to_owned();
        waiting.queue = Some(Queue { position: 2, of: 3, places: 1, reason });
        assert_eq!(status(&waiting), "queued (2)");
        let holder = |session: &str| Holder { session: session.to_owned(), places: 1 };
        let capacity = Capacity {
            max: Some(2),
            taken: 2,
            queued: 3,
            holders: vec![holder("app-1"), holder("app-2")],
            ..Capacity::default()
        };
        let told = "3 sessions wait for a place; 2 of 2 are taken, by app-1, app-2.";
        assert_eq!(queue_words(&capacity), told);
    }
}
