//! How an answer goes out: at once, piece by piece, late, or not to its end.

use std::time::Duration;

use hyper::body::Bytes;
use serde_json::Value;

use super::failure::Failure;
use super::script::Step;
use super::wire::{Answer, Event, Protocol};

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

/// Pause in which what was said goes out before the connection ends: what is only buffered would
/// be lost with it.
const FLUSHED_AFTER: Duration = Duration::from_millis(20);

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
    let is_cut = failure.is_some() || step.hang || step.drop;
    if is_streamed && !(is_cut && answer.text.is_empty()) {
        let (mut pieces, tail) = spread(protocol, answer, slow);
        if is_cut {
            pieces.extend(ending(protocol, step, answer, failure));
        } else {
            pieces.extend(tail);
        }
        return Reply { delay, then: Then::Stream(pieces) };
    }
    // What cannot be cut in its middle fails as a whole.
    let hang = if step.hang { HANG_FOR } else { Duration::ZERO };
    let then = if step.hang || step.drop {
        Then::Drop
    } else if let Some(failure) = failure {
        let headers = failure.headers(protocol == Protocol::Messages);
        Then::Whole(failure.status, headers, protocol.error(failure, &answer.token))
    } else {
        Then::Whole(200, Vec::new(), protocol.whole(answer))
    };
    Reply { delay: delay + slow + hang, then }
}

/// How a stream goes on after its text when it does not end as it should.
fn ending(
    protocol: Protocol,
    step: &Step,
    answer: &Answer,
    failure: Option<&Failure>,
) -> Vec<Piece> {
    let error = failure.map(|failure| protocol.late_error(failure, &answer.token).bytes());
    let mut pieces: Vec<_> = error.map(Piece::Bytes).into_iter().collect();
    if step.hang || step.drop {
        pieces.push(Piece::Pause(if step.hang { HANG_FOR } else { FLUSHED_AFTER }));
        pieces.push(Piece::Drop);
    }
    pieces
}

/// The stream up to the last word of the text, and what follows it.
fn spread(protocol: Protocol, answer: &Answer, slow: Duration) -> (Vec<Piece>, Vec<Piece>) {
    let texts = cut(&answer.text, pieces_for(slow));
    let events = protocol.events(answer, &texts);
    let bytes = |event: Event| Piece::Bytes(event.bytes());
    let pauses = u32::try_from(texts.len().max(1)).unwrap_or(u32::MAX);
    let pause = slow / pauses;
    let mut pieces: Vec<_> = events.head.into_iter().map(bytes).collect();
    for event in events.pieces {
        pieces.extend(waiting(protocol, pause));
        pieces.push(bytes(event));
    }
    if texts.is_empty() {
        pieces.extend(waiting(protocol, pause));
    }
    (pieces, events.tail.into_iter().map(bytes).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::script::{Usage, find};

    const PROTOCOLS: [Protocol; 3] = [Protocol::Messages, Protocol::Responses, Protocol::Chat];

    fn step(script: &str) -> Step {
        find(script).unwrap().unwrap().remove(0)
    }

    fn answer(step: &Step) -> Answer {
        Answer {
            token: "t".to_owned(),
            at: 0,
            model: "m".to_owned(),
            text: step.text.clone().unwrap_or_default(),
            calls: Vec::new(),
            usage: Usage::default(),
        }
    }

    fn streamed(protocol: Protocol, script: &str) -> Vec<Piece> {
        let step = step(script);
        match reply(protocol, true, &step, &answer(&step), None).then {
            Then::Stream(pieces) => pieces,
            Then::Whole(..) | Then::Drop => Vec::new(),
        }
    }

    fn paused(pieces: &[Piece]) -> Duration {
        let pauses = pieces.iter().map(|piece| match piece {
            Piece::Pause(pause) => *pause,
            Piece::Bytes(_) | Piece::Drop => Duration::ZERO,
        });
        pauses.sum()
    }

    #[test]
    fn a_slow_answer_takes_its_time_and_is_never_silent_for_long() {
        for protocol in PROTOCOLS {
            for script in [r#"MOCK[{"slow":7.5}]"#, r#"MOCK[{"slow":7.5,"text":"a few words"}]"#] {
                let pieces = streamed(protocol, script);
                let short_of = Duration::from_secs_f64(7.5).abs_diff(paused(&pieces));
                assert!(short_of < Duration::from_millis(1), "{protocol:?} {script}");
                let longest = pieces.split(|piece| matches!(piece, Piece::Bytes(_))).map(paused);
                assert!(longest.max().unwrap() <= KEEP_ALIVE_EVERY, "{protocol:?} {script}");
            }
        }
    }

    #[test]
    fn the_longest_answer_is_no_more_pieces_than_the_bound() {
        let text = "word ".repeat(100_000);
        let script = format!(r#"MOCK[{{"slow":1e9,"text":"{text}"}}]"#);
        for protocol in PROTOCOLS {
            let pieces = streamed(protocol, &script);
            assert!(pieces.len() < 3 * PIECES_MAX, "{protocol:?}: {}", pieces.len());
        }
    }

    #[test]
    fn a_delay_comes_before_everything() {
        for is_streamed in [true, false] {
            let step = step(r#"MOCK[{"delay":2,"text":"a"}]"#);
            let reply = reply(Protocol::Messages, is_streamed, &step, &answer(&step), None);
            assert_eq!(reply.delay, Duration::from_secs(2));
        }
    }

    #[test]
    fn the_pieces_of_a_text_are_the_text() {
        for text in ["", "a", "äöü🙂 and more than sixteen characters of text", &"x".repeat(1_000)]
        {
            for pieces in [1, 3, 16] {
                let cut = cut(text, pieces);
                assert_eq!(cut.concat(), text);
                assert!(cut.len() <= pieces && !cut.contains(&""), "{cut:?}");
            }
        }
    }
}
