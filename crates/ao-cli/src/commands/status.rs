//! `ao status`: the daemon about itself.

use ao_api::VERSION;
use ao_api::status::{DaemonStatus, SpoolCounts};

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
    let cap =
        status.capacity.max.map_or_else(|| "no cap".to_owned(), |max| format!("{max} at most"));
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
         capacity  {used} in use, {queued} queued, {cap}\n\
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
        used = status.capacity.live,
        queued = status.capacity.queued,
        state = status.scm.state,
        signals = signals(status.spool),
    )
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
    use ao_api::status::{Capacity, Scm, SessionCounts};

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
            capacity: Capacity { max: Some(8), live: 3, queued: 0 },
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
        capacity  3 in use, 0 queued, 8 at most
        forge     off (no token)
        signals   2 waiting, 1 unreadable
        ");
        assert_eq!(signals(SpoolCounts::default()), "all taken in");
    }
}
