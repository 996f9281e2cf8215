//! One HTTP exchange over one connection to a Unix socket.

use std::fmt;
use std::path::Path;
use std::pin::Pin;

use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::UnixStream;

use super::ClientError;

/// Largest answer: the largest diff that the daemon sends, and some.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is asked.
pub(super) struct Exchange {
    method: Method,
    path: String,
    query: String,
    body: Option<Bytes>,
    last_event_id: Option<u64>,
}

impl Exchange {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self { method, path, query: String::new(), body: None, last_event_id: None }
    }

    pub(super) fn with_query(self, query: &impl Serialize) -> Result<Self, ClientError> {
        let query = serde_urlencoded::to_string(query).map_err(|error| self.unsendable(&error))?;
        Ok(Self { query, ..self })
    }

    pub(super) fn with_body(self, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.unsendable(&error))?;
        Ok(Self { body: Some(Bytes::from(body)), ..self })
    }

    pub(super) fn with_last_event_id(self, last_event_id: Option<u64>) -> Self {
        Self { last_event_id, ..self }
    }

    fn unsendable(&self, error: &dyn fmt::Display) -> ClientError {
        ClientError::Malformed { request: self.to_string(), because: error.to_string() }
    }

    fn into_request(self) -> Result<Request<Full<Bytes>>, ClientError> {
        let shown = self.to_string();
        let uri =
            if self.query.is_empty() { self.path } else { format!("{}?{}", self.path, self.query) };
        let mut request = Request::builder()
            .method(self.method)
            .uri(uri)
            .header(HOST, "ao")
            .header(ACCEPT, "application/json, text/event-stream")
            .header(crate::CLIENT_VERSION_HEADER, crate::VERSION);
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(id) = self.last_event_id {
            request = request.header("last-event-id", id);
        }
        request
            .body(Full::new(self.body.unwrap_or_default()))
            .map_err(|error| ClientError::Malformed { request: shown, because: error.to_string() })
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What was answered.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) daemon_version: Option<String>,
    pub(super) body: Bytes,
}

type Connection = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// An answer whose body is still coming. The connection is driven by whoever reads the body: no
/// task outlives its reader.
pub(super) struct Streaming {
    request: String,
    response: Response<Incoming>,
    connection: Option<Connection>,
}

impl Streaming {
    pub(super) fn is_success(&self) -> bool {
        self.response.status().is_success()
    }

    /// The next piece of the body; `None` at its end.
    pub(super) async fn next_chunk(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        loop {
            let frame = drive(&mut self.connection, self.response.body_mut().frame()).await;
            match frame.transpose()?.map(hyper::body::Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) => return Ok(Some(data)),
                // Trailers say nothing here.
                Some(Err(_trailers)) => {}
            }
        }
    }

    /// The whole body.
    async fn collect(mut self, socket: &Path) -> Result<Reply, ClientError> {
        let status = self.response.status();
        let daemon_version = self
            .response
            .headers()
            .get(crate::DAEMON_VERSION_HEADER)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body = Limited::new(self.response.into_body(), ANSWER_BYTES_MAX).collect();
        let body = drive(&mut self.connection, body).await.map_err(|error| {
            match error.downcast::<hyper::Error>() {
                Ok(source) => ClientError::Broken { socket: socket.to_owned(), source: *source },
                Err(error) => ClientError::Malformed {
                    request: self.request.clone(),
                    because: error.to_string(),
                },
            }
        })?;
        Ok(Reply { status, daemon_version, body: body.to_bytes() })
    }
}

/// Asks, and reads the whole answer.
pub(super) async fn perform(socket: &Path, exchange: Exchange) -> Result<Reply, ClientError> {
    open(socket, exchange).await?.collect(socket).await
}

/// Reads what is left of an answer that turned out to be a failure.
pub(super) async fn collect(socket: &Path, streaming: Streaming) -> Result<Reply, ClientError> {
    streaming.collect(socket).await
}

/// Asks, and reads the answer's head.
pub(super) async fn open(socket: &Path, exchange: Exchange) -> Result<Streaming, ClientError> {
    let shown = exchange.to_string();
    let request = exchange.into_request()?;
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| ClientError::Unreachable { socket: socket.to_owned(), source })?;
    let broken = |source| ClientError::Broken { socket: socket.to_owned(), source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut connection: Option<Connection> = Some(Box::pin(connection));
    let response = drive(&mut connection, sender.send_request(request)).await.map_err(broken)?;
    Ok(Streaming { request: shown, response, connection })
}

/// Polls the connection until the work is done; the work sees it when the connection breaks.
async fn drive<T>(connection: &mut Option<Connection>, work: impl Future<Output = T>) -> T {
    let work = std::pin::pin!(work);
    let Some(driving) = connection.as_mut() else { return work.await };
    match select(work, driving).await {
        Either::Left((done, _)) => done,
        Either::Right((_ended, work)) => {
            *connection = None;
            work.await
        }
    }
}
