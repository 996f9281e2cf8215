//! Claims about the outbox, the inbox and infrastructure incidents.

use ao_core::ids::{EffectId, Revision};
use ao_core::inbox::{InboxItem, InboxState};
use ao_core::outbox::{Effect, OutboxEntry, OutboxOutcome, OutboxState, told_in};
use ao_core::ports::{Commit, Ensured, InboxFilter};
use ao_core::time::Moment;

use super::sample::{
    effect, ended, moment, moment_of_next_boot, notification, outage, seed, session_id,
};
use super::sessions::{begin, on};
use super::{Stores, wait};

fn plan(stores: &Stores, name: &str, effects: Vec<Effect>) {
    let commit = Commit { effects, ..on(name, Revision(1)) };
    wait(stores.sessions.commit(commit)).unwrap();
}

fn ready(stores: &Stores, now: &Moment) -> Vec<OutboxEntry> {
    wait(stores.outbox.ready(now, 100)).unwrap()
}

/// The ids of what is ready.
fn names(stores: &Stores, now: &Moment) -> Vec<String> {
    let entries = ready(stores, now).into_iter();
    entries.map(|entry| entry.effect.id.as_str().to_owned()).collect()
}

/// Ends the try of what is ready under this name.
fn finish(stores: &Stores, name: &str, outcome: OutboxOutcome) {
    let all = ready(stores, &moment(1_000_000));
    let entry = all.iter().find(|entry| entry.effect.id.as_str() == name).unwrap();
    wait(stores.outbox.finish(vec![(entry.seq, outcome)])).unwrap();
}

fn retry_at(not_before: Moment) -> OutboxOutcome {
    OutboxOutcome::Retry { not_before, error: "no route".to_owned() }
}

pub(super) fn an_effect_is_planned_once(stores: &Stores) {
    begin(stores, seed("app-1"));
    begin(stores, seed("app-2"));
    plan(stores, "app-1", vec![effect("one", "inbox"), effect("one", "mail")]);
    plan(stores, "app-2", vec![effect("one", "inbox")]);
    let planned = OutboxEntry {
        seq: 0,
        session: Some(session_id("app-1")),
        effect: effect("one", "inbox"),
        state: OutboxState::Pending,
        attempts: 0,
        not_before: None,
        last_error: None,
    };
    let found = ready(stores, &moment(1));
    let seq = found.first().map_or(0, |entry| entry.seq);
    assert_eq!(found, [OutboxEntry { seq, ..planned }]);
    assert_eq!(wait(stores.outbox.of_session(&session_id("app-2"), 9)).unwrap(), []);
    finish(stores, "one", OutboxOutcome::Done);
    plan(stores, "app-1", vec![effect("one", "inbox")]);
    assert_eq!(names(stores, &moment(1)), Vec::<String>::new());
}

pub(super) fn effects_go_in_order_within_session_and_sink(stores: &Stores) {
    begin(stores, seed("app-1"));
    begin(stores, seed("app-2"));
    plan(stores, "app-1", vec![effect("1a", "inbox"), effect("1b", "mail"), effect("1c", "inbox")]);
    plan(stores, "app-2", vec![effect("2a", "mail"), effect("2b", "mail")]);
    let now = moment(1);
    assert_eq!(names(stores, &now), ["1a", "1b", "2a"]);
    finish(stores, "1a", OutboxOutcome::Done);
    assert_eq!(names(stores, &now), ["1b", "1c", "2a"]);
    finish(stores, "2a", OutboxOutcome::Superseded);
    finish(stores, "1b", OutboxOutcome::Dead { error: "gone".to_owned() });
    assert_eq!(names(stores, &now), ["1c", "2b"]);
    let first = wait(stores.outbox.ready(&now, 1)).unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(first.first().map(|entry| entry.effect.clone()), Some(effect("1c", "inbox")));
    assert_eq!(wait(stores.outbox.ready(&now, 0)).unwrap(), []);
    let all = wait(stores.outbox.of_session(&session_id("app-1"), 2)).unwrap();
    let shown: Vec<_> = all.iter().map(|it| (it.effect.id.as_str(), it.state)).collect();
    assert_eq!(shown, [("1b", OutboxState::Dead), ("1c", OutboxState::Pending)]);
}

pub(super) fn an_effect_that_waits_holds_up_its_own_lane_only(stores: &Stores) {
    begin(stores, seed("app-1"));
    begin(stores, seed("app-2"));
    plan(stores, "app-1", vec![effect("1a", "inbox"), effect("1b", "inbox"), effect("1c", "mail")]);
    plan(stores, "app-2", vec![effect("2a", "inbox")]);
    finish(stores, "1a", retry_at(moment(60)));
    assert_eq!(names(stores, &moment(59)), ["1c", "2a"]);
    // At the moment itself its turn has come.
    assert_eq!(names(stores, &moment(60)), ["1a", "1c", "2a"]);
    finish(stores, "1a", retry_at(moment(90)));
    let waiting = wait(stores.outbox.of_session(&session_id("app-1"), 9)).unwrap();
    let first = waiting.first().unwrap();
    assert_eq!(
        (first.attempts, first.not_before, first.last_error.as_deref()),
        (2, Some(moment(90)), Some("no route"))
    );
    // A limit counts what is ready, not what waits.
    let one = wait(stores.outbox.ready(&moment(61), 1)).unwrap();
    assert_eq!(one.first().map(|it| it.effect.id.as_str().to_owned()).as_deref(), Some("1c"));
    finish(stores, "1a", OutboxOutcome::Dead { error: "gave up".to_owned() });
    assert_eq!(names(stores, &moment(61)), ["1b", "1c", "2a"]);
    let dead = wait(stores.outbox.of_session(&session_id("app-1"), 9)).unwrap();
    let dead = dead.first().unwrap();
    let shown = (dead.state, dead.attempts, dead.last_error.as_deref());
    assert_eq!(shown, (OutboxState::Dead, 3, Some("gave up")));
}

pub(super) fn a_wait_ends_with_its_boot(stores: &Stores) {
    begin(stores, seed("app-1"));
    plan(stores, "app-1", vec![effect("one", "inbox")]);
    finish(stores, "one", retry_at(moment(60)));
    assert_eq!(names(stores, &moment(59)), Vec::<String>::new());
    // Whatever the wall clock says: it may have been set back by hours.
    assert_eq!(names(stores, &moment_of_next_boot(1)), ["one"]);
}

pub(super) fn what_is_no_longer_pending_is_left_alone(stores: &Stores) {
    begin(stores, seed("app-1"));
    plan(stores, "app-1", vec![effect("one", "inbox")]);
    let entry = ready(stores, &moment(1)).remove(0);
    wait(stores.outbox.finish(vec![(entry.seq, OutboxOutcome::Done)])).unwrap();
    let done = OutboxEntry { state: OutboxState::Done, ..entry.clone() };
    for late in [retry_at(moment(9)), OutboxOutcome::Dead { error: "late".to_owned() }] {
        wait(stores.outbox.finish(vec![(entry.seq, late)])).unwrap();
        let found = wait(stores.outbox.of_session(&session_id("app-1"), 9)).unwrap();
        assert_eq!(found, std::slice::from_ref(&done));
    }
    wait(stores.outbox.finish(vec![(u64::MAX, OutboxOutcome::Done)])).unwrap();
}

pub(super) fn effects_of_a_removed_session_are_performed_all_the_same(stores: &Stores) {
    let id = session_id("app-1");
    begin(stores, seed("app-1"));
    let planned = vec![effect("one", "inbox"), effect("two", "inbox"), effect("three", "mail")];
    plan(stores, "app-1", planned);
    finish(stores, "three", OutboxOutcome::Done);
    let end = Commit { next: Some(ended(seed("app-1"))), ..on("app-1", Revision(1)) };
    wait(stores.sessions.commit(end)).unwrap();
    wait(stores.sessions.remove(&id)).unwrap();
    assert_eq!(wait(stores.outbox.of_session(&id, 9)).unwrap().len(), 2);
    assert_eq!(names(stores, &moment(1)), ["one"]);
    finish(stores, "one", retry_at(moment(5)));
    assert_eq!(names(stores, &moment(5)), ["one"]);
    finish(stores, "one", OutboxOutcome::Done);
    finish(stores, "two", OutboxOutcome::Superseded);
    assert_eq!(wait(stores.outbox.of_session(&id, 9)).unwrap(), []);
}

pub(super) fn a_notification_is_delivered_once(stores: &Stores) {
    let deliver = |name: &str| wait(stores.inbox.deliver(&notification(name))).unwrap();
    let inbox = |with_read| wait(stores.inbox.inbox(&InboxFilter { with_read })).unwrap();
    let item = |name: &str, state| InboxItem { notification: notification(name), state };
    assert_eq!(deliver("one"), Ensured::Done);
    assert_eq!(deliver("two"), Ensured::Done);
    assert_eq!(deliver("one"), Ensured::AlreadyThere);
    let unread = [item("one", InboxState::Unread), item("two", InboxState::Unread)];
    assert_eq!(inbox(false), unread);
    let read = [EffectId::new("one"), EffectId::new("none")];
    wait(stores.inbox.mark_read(&read)).unwrap();
    assert_eq!(inbox(false), [item("two", InboxState::Unread)]);
    assert_eq!(inbox(true), [item("one", InboxState::Read), item("two", InboxState::Unread)]);
    // What was read does not come back unread.
    assert_eq!(deliver("one"), Ensured::AlreadyThere);
    assert_eq!(inbox(false), [item("two", InboxState::Unread)]);
}

pub(super) fn an_incident_is_opened_once_with_its_effects(stores: &Stores) {
    begin(stores, seed("app-1"));
    plan(stores, "app-1", vec![effect("of a session", "inbox")]);
    let open = |name: &str, effects: &[Effect]| {
        wait(stores.incidents.open_incident(&outage(name), effects)).unwrap()
    };
    let effects = [effect("i-1", "inbox"), effect("i-2", "mail"), effect("i-3", "inbox")];
    assert_eq!(open("one", &effects), Ensured::Done);
    assert_eq!(open("one", &[effect("i-4", "mail")]), Ensured::AlreadyThere);
    assert_eq!(open("two", &[]), Ensured::Done);
    assert_eq!(names(stores, &moment(1)), ["of a session", "i-1", "i-2"]);
    let of_incident = ready(stores, &moment(1)).pop().unwrap();
    assert_eq!(of_incident.session, None);
    finish(stores, "i-1", OutboxOutcome::Done);
    assert_eq!(names(stores, &moment(1)), ["of a session", "i-2", "i-3"]);
    assert_eq!(wait(stores.incidents.incidents(9)).unwrap(), [outage("one"), outage("two")]);
    assert_eq!(wait(stores.incidents.incidents(1)).unwrap(), [outage("two")]);
}

pub(super) fn what_was_told_together_is_done_in_one_write(stores: &Stores) {
    begin(stores, seed("app-1"));
    begin(stores, seed("app-2"));
    plan(stores, "app-1", vec![effect("one", "inbox")]);
    plan(stores, "app-2", vec![effect("two", "inbox")]);
    let into = EffectId::new("both");
    let merged = OutboxOutcome::Merged { into: into.clone() };
    let all = ready(stores, &moment(1));
    let outcomes = all.iter().map(|entry| (entry.seq, merged.clone())).collect();
    wait(stores.outbox.finish(outcomes)).unwrap();
    assert_eq!(names(stores, &moment(1)), [""; 0]);
    for entry in all {
        let session = entry.session.clone().unwrap();
        let found = wait(stores.outbox.of_session(&session, 9)).unwrap();
        let last_error = Some(told_in(&into));
        assert_eq!(found, [OutboxEntry { state: OutboxState::Done, last_error, ..entry }]);
    }
}
