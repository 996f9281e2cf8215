//! How an answer goes out: at once, piece by piece, late, or not to its end.

use std::time::Duration;

use hyper::body::Bytes;
use serde_json::Value;

use super::failure::Failure;
use super::script::Step;
use super::wire::{Answer, Protocol};

/// Pieces of a text that nobody asked to be slow: enough to be a stream.
const PIECES: usize = 16;

/// Pieces of a text that is spread over a time, for each second of it.
const PIECES_PER_SECOND: f64 = 4.0;

/// Most pieces of one text.
const PIECES_MAX: usize = 4_000;

/// Silence after which the real servers send something.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(1);

/// Longest that a connection is held without an answer: agents give up long before.
const HANG_FOR: Duration = Duration::from_hours(2);

/// A part of what happens on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes of the body.
    Bytes(Bytes),
    /// Nothing for a while.
    Pause(Duration),
    /// The end of the connection in the middle of the body.
    Drop,
}

/// What a request gets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// How long nothing happens at first.
    pub(crate) delay: Duration,
    /// What happens then.
    pub(crate) then: Then,
}

/// What happens after the delay.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Then {
    /// A status, headers and a whole body.
    Whole(u16, Vec<(&'static str, String)>, Value),
    /// A stream of events.
    Stream(Vec<Piece>),
    /// The end of the connection, without a status.
    Drop,
}

/// How the step is answered in this protocol.
pub(crate) fn reply(
    protocol: Protocol,
    is_streamed: bool,
    step: &Step,
    answer: &Answer,
    failure: Option<&Failure>,
) -> Reply {
    let delay = Duration::from_secs_f64(step.delay());
    let slow = Duration::from_secs_f64(step.slow());
    if step.is_failure_only() || (!is_streamed && (failure.is_some() || step.hang || step.drop)) {
        let delay = delay + slow + if step.hang { HANG_FOR } else { Duration::ZERO };
        let is_anthropic = protocol == Protocol::Messages;
        let then = match failure.filter(|_| !step.hang && !step.drop) {
            Some(failure) => Then::Whole(
                failure.status,
                failure.headers(is_anthropic),
                protocol.error(failure, &answer.token),
            ),
            None => Then::Drop,
        };
        return Reply { delay, then };
    }
    if !is_streamed {
        let then = Then::Whole(200, Vec::new(), protocol.whole(answer));
        return Reply { delay: delay + slow, then };
    }
    let mut pieces = spread(protocol, answer, slow);
    let tail = pieces.split_off(pieces.len() - pieces.last().map_or(0, |_| 1));
    let is_cut = failure.is_some() || step.hang || step.drop;
    let mut pieces: Vec<_> = pieces.into_iter().flatten().collect();
    if !is_cut {
        pieces.extend(tail.into_iter().flatten());
    }
    if let Some(failure) = failure {
        pieces.push(Piece::Bytes(protocol.late_error(failure, &answer.token).bytes()));
    }
    if step.hang {
        pieces.push(Piece::Pause(HANG_FOR));
    }
    if step.hang || step.drop {
        pieces.push(Piece::Drop);
    }
    Reply { delay, then: Then::Stream(pieces) }
}

/// The stream in groups: before the text, each piece of it, and what follows.
fn spread(protocol: Protocol, answer: &Answer, slow: Duration) -> Vec<Vec<Piece>> {
    let texts = cut(&answer.text, pieces_for(slow));
    let events = protocol.events(answer, &texts);
    let bytes = |events: Vec<super::wire::Event>| {
        events.into_iter().map(|event| Piece::Bytes(event.bytes())).collect::<Vec<_>>()
    };
    let pause = slow.div_f64(f64::from(u32::try_from(texts.len().max(1)).unwrap_or(u32::MAX)));
    let mut groups = vec![bytes(events.head)];
    for event in events.pieces {
        let mut group = waiting(protocol, pause);
        group.push(Piece::Bytes(event.bytes()));
        groups.push(group);
    }
    if texts.is_empty() {
        groups.push(waiting(protocol, pause));
    }
    groups.push(bytes(events.tail));
    groups
}

/// A pause in which the server shows that it is there.
fn waiting(protocol: Protocol, pause: Duration) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut left = pause;
    while left > KEEP_ALIVE_EVERY {
        pieces.push(Piece::Pause(KEEP_ALIVE_EVERY));
        pieces.push(Piece::Bytes(protocol.keep_alive()));
        left -= KEEP_ALIVE_EVERY;
    }
    if !left.is_zero() {
        pieces.push(Piece::Pause(left));
    }
    pieces
}

fn pieces_for(slow: Duration) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few thousand at most: the seconds of a step are bounded"
    )]
    let wanted = (slow.as_secs_f64() * PIECES_PER_SECOND) as usize;
    wanted.clamp(PIECES, PIECES_MAX)
}

/// At most so many pieces of about the same length, cut between characters; none of nothing.
fn cut(text: &str, pieces: usize) -> Vec<&str> {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let length = starts.len().div_ceil(pieces.max(1)).max(1);
    let mut rest = text;
    let mut cut = Vec::new();
    for chunk in starts.chunks(length).skip(1) {
        let offset = text.len() - rest.len();
        let Some((piece, left)) = chunk.first().and_then(|at| rest.split_at_checked(at - offset))
        else {
            break;
        };
        cut.push(piece);
        rest = left;
    }
    if !rest.is_empty() {
        cut.push(rest);
    }
    cut
}
