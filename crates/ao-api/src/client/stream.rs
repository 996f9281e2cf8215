//! Server-sent events, read as they come.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::transport::{self, Streaming};
use super::{ClientError, refusal};
use crate::event::{CHANGE, Event, RESET, Reset};

/// Longest line of a stream. A change is far below it; what is longer is not ours.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What a stream brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamItem {
    /// A change.
    Change(Event),
    /// The cursor was too old: take a snapshot.
    Reset(Reset),
}

/// Changes as they happen. Dropping it closes the connection.
pub struct EventStream {
    socket: PathBuf,
    streaming: Streaming,
    parser: Parser,
    ready: VecDeque<Frame>,
}

impl EventStream {
    pub(super) async fn open(socket: PathBuf, streaming: Streaming) -> Result<Self, ClientError> {
        if streaming.is_success() {
            Ok(Self { socket, streaming, parser: Parser::default(), ready: VecDeque::new() })
        } else {
            let reply = transport::collect(&socket, streaming).await?;
            Err(refusal("GET /events/stream", &reply))
        }
    }

    /// The next change; `None` when the daemon ended the stream.
    ///
    /// Cancel safe: what was read is kept.
    pub async fn next(&mut self) -> Result<Option<StreamItem>, ClientError> {
        loop {
            while let Some(frame) = self.ready.pop_front() {
                if let Some(item) = frame.into_item().map_err(malformed)? {
                    return Ok(Some(item));
                }
            }
            let chunk = self.streaming.next_chunk().await;
            let chunk = chunk
                .map_err(|source| ClientError::Broken { socket: self.socket.clone(), source })?;
            let Some(chunk) = chunk else { return Ok(None) };
            self.ready.extend(self.parser.push(&chunk).map_err(malformed)?);
        }
    }
}

fn malformed(because: String) -> ClientError {
    ClientError::Malformed { request: "GET /events/stream".to_owned(), because }
}

/// One event of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Frame {
    name: String,
    data: String,
}

impl Frame {
    /// What it carries; an event of a name that a newer daemon added is passed over.
    fn into_item(self) -> Result<Option<StreamItem>, String> {
        match self.name.as_str() {
            CHANGE => serde_json::from_str(&self.data).map(|event| Some(StreamItem::Change(event))),
            RESET => serde_json::from_str(&self.data).map(|reset| Some(StreamItem::Reset(reset))),
            _ => Ok(None),
        }
        .map_err(|error| error.to_string())
    }
}

/// Cuts a stream of bytes into events; pieces may end anywhere.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    frame: Frame,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, String> {
        let mut frames = Vec::new();
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                frames.extend(self.take_line(line.trim_end_matches('\r')));
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(byte);
            } else {
                return Err(format!("a line is longer than {LINE_BYTES_MAX} bytes"));
            }
        }
        Ok(frames)
    }

    /// An empty line ends an event; one without data is none.
    fn take_line(&mut self, line: &str) -> Option<Frame> {
        if line.is_empty() {
            return Some(std::mem::take(&mut self.frame)).filter(|frame| !frame.data.is_empty());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.frame.name),
            "data" => {
                if !self.frame.data.is_empty() {
                    self.frame.data.push('\n');
                }
                self.frame.data.push_str(value);
            }
            // Comments keep the connection alive; the id stands in the data, too.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expect: &[(&str, &str)]) {
        let mut parser = Parser::default();
        let frames: Vec<Frame> =
            pieces.iter().flat_map(|piece| parser.push(piece.as_bytes()).unwrap()).collect();
        let got: Vec<(&str, &str)> =
            frames.iter().map(|frame| (frame.name.as_str(), frame.data.as_str())).collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn pieces_may_end_anywhere() {
        check(&["event: change\nid: 7\ndata: {}\n\n"], &[("change", "{}")]);
        check(&["event: ch", "ange\r\nda", "ta: {}\r", "\n\r\n"], &[("change", "{}")]);
        check(&["data: a\ndata: b\n\ndata:c\n\n"], &[("", "a\nb"), ("", "c")]);
    }

    #[test]
    fn comments_and_events_without_data_are_passed_over() {
        check(&[": alive\n\n", "event: change\n\n", "retry: 5\n\n"], &[]);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::default();
        assert!(parser.push(&vec![b'x'; LINE_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn an_event_of_a_newer_daemon_is_passed_over() {
        let frame = Frame { name: "novelty".to_owned(), data: "?".to_owned() };
        assert_eq!(frame.into_item(), Ok(None));
    }
}
