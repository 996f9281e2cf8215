//! What died together is one outage.

use ao_core::fact::FactKind;
use ao_core::ports::InfraIncidentKind;
use ao_core::session::Session;
use ao_core::triage::{Seen, Triaged, triage};

use crate::fixtures::{at_s, launch_id, launched, look, policy};

fn fleet(n: u64) -> Vec<Session> {
    (1..=n).map(|n| launched(n, "none")).collect()
}

/// Looks at each session with the words that it gets.
fn seen(fleet: &[Session], words: impl Fn(usize) -> &'static str) -> Vec<Seen<'_>> {
    let fact = |n, session| look(session, words(n), at_s(10));
    fleet.iter().enumerate().map(|(n, session)| Seen { session, fact: fact(n, session) }).collect()
}

fn n_held(triaged: &Triaged<'_>) -> usize {
    let is_held =
        |one: &&Seen<'_>| matches!(&one.fact.kind, FactKind::Look(look) if look.is_held_back);
    triaged.seen.iter().filter(is_held).count()
}

#[track_caller]
fn check(n_dead: usize, n_alive: usize, expect_held: usize) {
    let fleet = fleet(u64::try_from(n_dead + n_alive).unwrap());
    let words = |n| if n < n_dead { "living dead dead" } else { "living alive alive" };
    let mut seen = seen(&fleet, words);
    for one in &mut seen {
        let FactKind::Look(look) = &mut one.fact.kind else { panic!("not a look") };
        look.exit = Some(ao_core::record::Exit::Status(1));
    }
    let triaged = triage(seen, &[], &policy(), &at_s(10));
    assert_eq!(n_held(&triaged), expect_held);
    assert_eq!(triaged.incidents.len(), usize::from(expect_held > 0));
}

#[test]
fn five_deaths_and_more_than_half_are_a_mass_death() {
    check(5, 4, 5);
    check(5, 5, 0);
    check(4, 0, 0);
    check(6, 5, 6);
}

#[test]
fn a_mass_death_is_held_back_once() {
    let fleet = fleet(5);
    let words = |_| "living missing dead";
    let first = triage(seen(&fleet, words), &[], &policy(), &at_s(10));
    assert_eq!(n_held(&first), 5);
    let second = triage(seen(&fleet, words), &first.incidents, &policy(), &at_s(15));
    assert_eq!((n_held(&second), second.incidents.len()), (0, 0));
    for one in &second.seen {
        let FactKind::Look(look) = &one.fact.kind else { panic!("not a look") };
        assert_eq!(look.incident.as_ref(), Some(&first.incidents[0].id));
    }
}

#[test]
fn a_session_that_was_restored_since_may_die_in_another_outage() {
    let mut fleet = fleet(5);
    let words = |_| "living missing dead";
    let first = triage(seen(&fleet, words), &[], &policy(), &at_s(5));
    let first = first.incidents;
    for session in &mut fleet {
        let id = launch_id(session, 2);
        let launch = session.lifecycle.launch.as_mut().unwrap();
        launch.committed_at = at_s(8);
        launch.id = id;
    }
    let again = triage(seen(&fleet, words), &first, &policy(), &at_s(10));
    assert_eq!(n_held(&again), 5);
    assert_ne!(again.incidents[0].id, first[0].id);
}

#[test]
fn one_session_under_a_dead_server_is_an_outage_and_nothing_is_held_back() {
    let fleet = fleet(2);
    let words = |n| if n == 0 { "gone missing dead" } else { "living alive alive" };
    let triaged = triage(seen(&fleet, words), &[], &policy(), &at_s(10));
    assert_eq!(n_held(&triaged), 0);
    assert_eq!(triaged.incidents.len(), 1);
    assert_eq!(triaged.incidents[0].kind, InfraIncidentKind::ServerGone);
    assert_eq!(triaged.incidents[0].sessions, vec![fleet[0].record.id.clone()]);
}

#[test]
fn work_that_is_complete_and_servers_that_do_not_answer_are_no_deaths() {
    let complete = (1..=6).map(|n| launched(n, "none+exits")).collect::<Vec<_>>();
    let mut looks = seen(&complete, |_| "living dead dead");
    for one in &mut looks {
        let FactKind::Look(look) = &mut one.fact.kind else { panic!("not a look") };
        look.exit = Some(ao_core::record::Exit::Status(0));
    }
    let triaged = triage(looks, &[], &policy(), &at_s(10));
    assert_eq!((n_held(&triaged), triaged.incidents.len()), (0, 0));

    let fleet = fleet(6);
    let triaged = triage(seen(&fleet, |_| "unreachable unknown dead"), &[], &policy(), &at_s(10));
    assert_eq!((n_held(&triaged), triaged.incidents.len()), (0, 0));
}

#[test]
fn a_server_that_dies_under_a_number_used_again_is_another_outage() {
    let mut fleet = fleet(2);
    let later = fleet[1].record.handle.as_mut().unwrap();
    later.server.process.start_ticks += 1;
    let triaged = triage(seen(&fleet, |_| "gone missing dead"), &[], &policy(), &at_s(10));
    assert_eq!(triaged.incidents.len(), 2, "{:#?}", triaged.incidents);
}
