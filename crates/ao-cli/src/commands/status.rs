//! `ao status`: the daemon about itself.

use ao_api::VERSION;
use ao_api::status::{Capacity, DaemonStatus, SpoolCounts};

use crate::context::Context;
use crate::env;
use crate::error::CliError;
use crate::ui::{Ui, text};

pub(crate) async fn run(context: &Context<'_>, ui: &mut Ui) -> Result<(), CliError> {
    let status = context.client.status().await?;
    if ui.is_json() {
        return ui.json(&status);
    }
    let started = text::age(env::now(), &status.started_at);
    ui.write(render(&status, &started).as_bytes())
}

fn render(status: &DaemonStatus, started: &str) -> String {
    let readiness = if status.ready { "ready" } else { "starting" };
    let by_status: Vec<String> =
        status.sessions.by_status.iter().map(|(status, n)| format!("{n} {status}")).collect();
    let servers = match status.tmux_sockets.as_slice() {
        [] => text::NOTHING.to_owned(),
        sockets => sockets.join("\n          "),
    };
    let scm = status.scm.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!(
        "daemon    {readiness}, pid {pid}, version {version}, up {started}\n\
         client    version {VERSION}\n\
         home      {home}\n\
         socket    {socket}\n\
         tmux      {servers}\n\
         sessions  {live} live of {total}{listed}\n\
         capacity  {capacity}\n\
         forge     {state}{scm}\n\
         signals   {signals}\n",
        pid = status.pid,
        version = status.version,
        home = status.home,
        socket = status.socket,
        live = status.sessions.live,
        total = status.sessions.total,
        listed = if by_status.is_empty() {
            String::new()
        } else {
            format!(": {}", by_status.join(", "))
        },
        capacity = capacity(&status.capacity),
        state = status.scm.state,
        signals = signals(status.spool),
    )
}

/// The places, who holds them, and who waits.
fn capacity(capacity: &Capacity) -> String {
    let mut lines = vec![match capacity.max {
        Some(max) => {
            format!("{} of {max} places taken, {} queued", capacity.taken, capacity.queued)
        }
        None => format!("{} places taken, {} queued, no cap", capacity.taken, capacity.queued),
    }];
    lines.extend(capacity.per_project.map(|max| format!("{max} at most for each project")));
    if !capacity.holders.is_empty() {
        lines.push(format!("held by {}", holders(capacity)));
    }
    for (n, waiting) in (1_u64..).zip(&capacity.queue) {
        lines.push(format!("{n}. {}: {}", waiting.session, text::one_line(&waiting.reason)));
    }
    lines.join("\n          ")
}

/// Who holds the places, each with how many it holds when that is not one.
pub(crate) fn holders(capacity: &Capacity) -> String {
    let named = capacity.holders.iter().map(|holder| match holder.places {
        1 => holder.session.clone(),
        n => format!("{} ({n})", holder.session),
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() { "nobody".to_owned() } else { named.join(", ") }
}

/// What became of signals that were not taken in at once; the usual answer is one word.
fn signals(spool: SpoolCounts) -> String {
    let SpoolCounts { waiting, lost, unreadable } = spool;
    let counted = [(waiting, "waiting"), (lost, "lost"), (unreadable, "unreadable")];
    let told: Vec<_> =
        counted.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if told.is_empty() { "all taken in".to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use ao_api::status::{Holder, Scm, SessionCounts, Waiting};

    use super::*;

    #[test]
    fn a_person_sees_where_everything_is_and_how_much_there_is() {
        let status = DaemonStatus {
            pid: 4711,
            version: "0.1.0".to_owned(),
            api_version: 1,
            home: "/h".to_owned(),
            socket: "/h/daemon.sock".to_owned(),
            tmux_sockets: vec!["/h/t-app".to_owned(), "/h/t-web".to_owned()],
            ready: true,
            started_at: "2026-03-02T11:59:18.000Z".to_owned(),
            sessions: SessionCounts {
                total: 4,
                live: 3,
                by_status: [("idle".to_owned(), 1), ("working".to_owned(), 2)].into(),
            },
            capacity: Capacity {
                max: Some(4),
                per_project: Some(3),
                taken: 3,
                live: 2,
                queued: 1,
                holders: vec![
                    Holder { session: "app-1".to_owned(), places: 1 },
                    Holder { session: "web-1".to_owned(), places: 2 },
                ],
                queue: vec![Waiting {
                    session: "web-2".to_owned(),
                    places: 2,
                    reason: "project `web` has 3 places, held by `web-1`".to_owned(),
                }],
            },
            scm: Scm { state: "off".to_owned(), reason: Some("no token".to_owned()) },
            spool: SpoolCounts { waiting: 2, lost: 0, unreadable: 1 },
        };
        insta::assert_snapshot!(render(&status, "4m"), @r"
        daemon    ready, pid 4711, version 0.1.0, up 4m
        client    version 0.1.0
        home      /h
        socket    /h/daemon.sock
        tmux      /h/t-app
                  /h/t-web
        sessions  3 live of 4: 1 idle, 2 working
        capacity  3 of 4 places taken, 1 queued
                  3 at most for each project
                  held by app-1, web-1 (2)
                  1. web-2: project `web` has 3 places, held by `web-1`
        forge     off (no token)
        signals   2 waiting, 1 unreadable
        ");
        assert_eq!(signals(SpoolCounts::default()), "all taken in");
    }
}
