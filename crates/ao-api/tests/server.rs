//! A stand-in daemon: answers what a test tells it to, over a Unix socket in a directory of its
//! own, for as long as the test runs.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Mutex;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};

/// What the stand-in answers with.
pub(crate) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// What was asked: method, path with query, and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
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
                    Some(()) = connections.next() => {}
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = serving => unreachable!("it serves for ever"),
        }
    }

    async fn serve(&self, stream: UnixStream, answer: &impl Fn(&Asked) -> Answer) {
        let service = service_fn(|request: Request<Incoming>| async move {
            let line = format!("{} {}", request.method(), request.uri());
            let header = request.headers().get("last-event-id");
            let last_event_id = header.map(|value| value.to_str().unwrap().to_owned());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let asked = Asked { line, last_event_id, body };
            self.asked.lock().unwrap().push(asked.clone());
            Ok::<_, Infallible>(answer(&asked))
        });
        let http = hyper::server::conn::http1::Builder::new();
        // A client that leaves early is what some tests are about.
        drop(http.serve_connection(TokioIo::new(stream), service).await);
    }
}

/// An answer in JSON, from a daemon of this release.
pub(crate) fn json(status: u16, body: &str) -> Answer {
    json_of(ao_api::VERSION, status, body)
}

/// An answer in JSON, from a daemon of another release.
pub(crate) fn json_of(version: &str, status: u16, body: &str) -> Answer {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header(ao_api::DAEMON_VERSION_HEADER, version)
        .body(Full::new(Bytes::from(body.to_owned())).boxed())
        .unwrap()
}

/// A stream of server-sent events that comes in these pieces and then ends.
pub(crate) fn events(pieces: &[&str]) -> Answer {
    let pieces: Vec<_> =
        pieces.iter().map(|piece| Ok(Frame::data(Bytes::from((*piece).to_owned())))).collect();
    let body = StreamBody::new(futures_util::stream::iter(pieces));
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(BodyExt::boxed(body))
        .unwrap()
}
