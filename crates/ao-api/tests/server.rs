//! A stand-in daemon: answers what a test tells it to, over a Unix socket in a directory of its
//! own, for as long as the test runs. It speaks just enough HTTP for that, one request for each
//! connection.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// What the stand-in answers with.
pub(crate) struct Answer {
    head: String,
    pieces: Vec<String>,
    has_end: bool,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Method, path and query.
    pub(crate) line: String,
    pub(crate) last_event_id: Option<String>,
    pub(crate) body: String,
}

/// A stand-in daemon.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    listener: UnixListener,
    asked: Mutex<Vec<Asked>>,
}

impl Server {
    /// Listens; nothing is answered until [`Self::during`].
    pub(crate) fn listen() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("daemon.sock")).unwrap();
        Self { dir, listener, asked: Mutex::default() }
    }

    /// The directory that the socket is in.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Everything that was asked until now.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Answers while `work` goes on.
    pub(crate) async fn during<T>(
        &self,
        answer: impl Fn(&Asked) -> Answer,
        work: impl Future<Output = T>,
    ) -> T {
        let serving = async {
            let mut connections = FuturesUnordered::new();
            loop {
                tokio::select! {
                    accepted = self.listener.accept() => {
                        connections.push(self.serve(accepted.unwrap().0, &answer));
                    }
                    // A client that leaves early is what some tests are about.
                    Some(_left) = connections.next() => {}
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = serving => unreachable!("it serves for ever"),
        }
    }

    async fn serve(
        &self,
        mut stream: UnixStream,
        answer: &impl Fn(&Asked) -> Answer,
    ) -> Result<(), io::Error> {
        let asked = read_request(&mut stream).await?;
        self.asked.lock().unwrap().push(asked.clone());
        let Answer { head, pieces, has_end } = answer(&asked);
        stream.write_all(head.as_bytes()).await?;
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await?;
            // The reader gets its turn, and so each piece by itself.
            tokio::task::yield_now().await;
        }
        if has_end { stream.shutdown().await } else { std::future::pending().await }
    }
}

async fn read_request(stream: &mut UnixStream) -> Result<Asked, io::Error> {
    let mut text = Vec::new();
    let head_end = loop {
        if let Some(at) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut text).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8(text[..head_end].to_vec()).unwrap();
    let header = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        fields
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let body_len: usize = header("content-length").map_or(0, |len| len.parse().unwrap());
    while text.len() < head_end + body_len {
        if stream.read_buf(&mut text).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let body = String::from_utf8(text[head_end..].to_vec()).unwrap();
    Ok(Asked { line, last_event_id: header("last-event-id"), body })
}

/// An answer in JSON, from a daemon of this release.
pub(crate) fn json(status: u16, body: &str) -> Answer {
    json_of(ao_api::VERSION, status, body)
}

/// An answer in JSON, from a daemon of another release.
pub(crate) fn json_of(version: &str, status: u16, body: &str) -> Answer {
    let version_header = ao_api::DAEMON_VERSION_HEADER;
    let head = format!(
        "HTTP/1.1 {status} Said\r\n{version_header}: {version}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Answer { head, pieces: vec![body.to_owned()], has_end: true }
}

/// A stream of server-sent events that comes in these pieces and then ends.
pub(crate) fn events(pieces: &[&str]) -> Answer {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_owned();
    let pieces = pieces.iter().map(|&piece| piece.to_owned()).collect();
    Answer { head, pieces, has_end: true }
}

/// The same answer, but it never comes to its end.
pub(crate) fn without_end(answer: Answer) -> Answer {
    Answer { has_end: false, ..answer }
}
