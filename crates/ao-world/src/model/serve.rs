//! The server: connections, requests, and the answers as they go out.

use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ao_adapters::processes::BootIdError;
use ao_adapters::system::{SystemClock, SystemIds};
use ao_core::ports::{Clock as _, IdGen as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Body as _, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::args::Args;
use super::conversation::{Conversation, Purpose};
use super::delivery::{Piece, Reply, Then, reply};
use super::failure::Failure;
use super::log::{Line, Log};
use super::memory::Memory;
use super::plan::{Plan, shell};
use super::wire::{Answer, Protocol, Use};

/// Largest request taken: what the real servers take.
const BODY_MAX: usize = 32 * 1024 * 1024;

/// Connections at once: more agents than one machine runs.
const CONNECTIONS_MAX: usize = 512;

/// Pause after a failed accept, which most often means that file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of text that one token stands for, about.
const BYTES_PER_TOKEN: usize = 4;

/// Why the stand-in does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The machine's clock cannot be read.
    #[error("the clock cannot be read: {0}")]
    Clock(#[from] BootIdError),
    /// The port is taken, the log cannot be opened, standard output is gone.
    #[error("the stand-in model cannot be started: {0}")]
    Io(#[from] io::Error),
}

type Body = UnsyncBoxBody<Bytes, Cut>;

/// The end of a connection that the script asked for.
#[derive(Debug, thiserror::Error)]
#[error("the script drops this connection")]
struct Cut;

/// What the requests share.
struct State {
    clock: SystemClock,
    log: Log,
    requests: AtomicU64,
    memory: Mutex<Memory>,
}

/// Serves on 127.0.0.1 until it is ended; the address is the one line on standard output.
pub async fn run(args: Args) -> Result<(), ServeError> {
    let state = Arc::new(State {
        clock: SystemClock::new()?,
        log: Log::open(&args)?,
        requests: AtomicU64::new(0),
        memory: Mutex::default(),
    });
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await?;
    let mut output = io::stdout();
    writeln!(output, "http://{}", listener.local_addr()?)?;
    output.flush()?;
    let (tell, mut told) = oneshot::channel();
    // Without an end to wait for, the sender is kept, so that nothing is ever told.
    let _kept = if args.is_until_eof {
        std::thread::spawn(move || tell_of_eof(tell));
        None
    } else {
        Some(tell)
    };
    let mut connections = JoinSet::new();
    loop {
        let has_room = connections.len() < CONNECTIONS_MAX;
        let accepted = tokio::select! {
            _ended = &mut told => return Ok(()),
            _ended = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept(), if has_room => accepted,
        };
        match accepted {
            Ok((stream, _peer)) => {
                connections.spawn(connection(stream, Arc::clone(&state)));
            }
            Err(_full) => state.clock.sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Waits on a thread of its own: a read of standard input cannot be cancelled.
fn tell_of_eof(tell: oneshot::Sender<()>) {
    let mut ignored = [0; 64];
    while io::stdin().read(&mut ignored).is_ok_and(|bytes| bytes > 0) {}
    drop(tell);
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(|request| answer(request, Arc::clone(&state)));
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    // The agent went away, or the script wanted this end: either is in the log already.
    drop(served);
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Body>, Cut> {
    let mut line = Line {
        n: state.requests.fetch_add(1, Ordering::Relaxed) + 1,
        at_ms: state.clock.now().wall.as_millis(),
        path: request.uri().path().to_owned(),
        kind: "refused",
        outcome: "refused",
        ..Line::default()
    };
    let (reply, body) = match body_of(request).await {
        Ok(body) => (respond(&state, &body, &mut line), body),
        Err(failure) => (refuse(Protocol::of_path(&line.path), &failure), Bytes::new()),
    };
    if let Err(error) = state.log.write(&line, &body) {
        let message = format!("the log of the stand-in cannot be written: {error}");
        let failure = Failure::refused("server_error", message);
        return Ok(deliver(&state, refuse(None, &failure).then));
    }
    state.clock.sleep(reply.delay).await;
    if reply.then == Then::Drop {
        return Err(Cut);
    }
    Ok(deliver(&state, reply.then))
}

/// The body, where it is within the bound. One that says at once that it is not, is not read.
async fn body_of(request: Request<Incoming>) -> Result<Bytes, Failure> {
    let too_large = || Failure::refused("too_large", format!("at most {BODY_MAX} bytes are taken"));
    let body = request.into_body();
    if body.size_hint().lower() > BODY_MAX as u64 {
        return Err(too_large());
    }
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Failure::refused("invalid_request", error.to_string())),
    }
}

fn respond(state: &State, body: &[u8], line: &mut Line) -> Reply {
    let at_once = |status, value| Reply {
        delay: Duration::ZERO,
        then: Then::Whole(status, Vec::new(), value),
    };
    match line.path.as_str() {
        "/v1/models" | "/models" => {
            (line.kind, line.outcome) = ("models", "text");
            return at_once(200, models());
        }
        "/v1/messages/count_tokens" => {
            (line.kind, line.outcome) = ("count", "text");
            return at_once(200, json!({"input_tokens": body.len() / BYTES_PER_TOKEN}));
        }
        // What agents ask to see whether anybody is there.
        "/" | "/api/hello" => {
            (line.kind, line.outcome) = ("hello", "text");
            return at_once(200, json!({"message": "hello"}));
        }
        _other => {}
    }
    let Some(protocol) = Protocol::of_path(&line.path) else {
        let message = format!("the stand-in model has nothing at {}", line.path);
        return refuse(None, &Failure::refused("not_found", message));
    };
    let conversation = serde_json::from_slice::<Value>(body)
        .map_err(|error| format!("the body is no JSON: {error}"))
        .and_then(|body| protocol.read(&body));
    let played = conversation.and_then(|conversation| play(state, protocol, &conversation, line));
    played.unwrap_or_else(|message| {
        line.outcome = "refused";
        refuse(Some(protocol), &Failure::refused("invalid_request", message))
    })
}

fn play(
    state: &State,
    protocol: Protocol,
    conversation: &Conversation,
    line: &mut Line,
) -> Result<Reply, String> {
    let attempt = tell(state, conversation, line);
    let plan = Plan::of(conversation, attempt).map_err(|error| error.to_string())?;
    line.step = plan.index;
    let now = state.clock.now().wall.as_millis() / 1_000;
    let step = &plan.step;
    let failure = Failure::of_step(step, protocol == Protocol::Messages, now)?;
    let calls = step.calls(|command, ask| shell(conversation, command, ask));
    let used = |call: super::script::Call| {
        let takes_text = conversation.takes_text(&call.tool);
        Use { call, takes_text }
    };
    let answer = Answer {
        token: SystemIds.token().as_str().to_owned(),
        at: now,
        model: conversation.model.clone(),
        text: step.text.clone().unwrap_or_default(),
        calls: calls.into_iter().map(used).collect(),
        usage: step.usage.unwrap_or_default(),
    };
    line.outcome = match () {
        () if step.hang => "hang",
        () if step.drop => "drop",
        () if failure.is_some() => "error",
        () if !answer.calls.is_empty() => "tools",
        () => "text",
    };
    Ok(reply(protocol, conversation.is_streamed, step, &answer, failure.as_ref()))
}

/// Writes the conversation into the line; returns how often this turn was asked for.
fn tell(state: &State, conversation: &Conversation, line: &mut Line) -> u32 {
    let (attempt, unseen) = {
        let mut memory = state.memory.lock().unwrap_or_else(PoisonError::into_inner);
        (memory.attempt(conversation), memory.unseen(conversation))
    };
    let bounded =
        |texts: Vec<&str>| texts.into_iter().map(|text| state.log.bounded(text)).collect();
    let last = conversation.texts().next_back().unwrap_or_default();
    line.kind = if conversation.purpose == Purpose::Turn { "turn" } else { "side" };
    line.model.clone_from(&conversation.model);
    line.session.clone_from(&conversation.session);
    line.begins = !unseen.is_empty();
    line.attempt = attempt;
    line.text = state.log.bounded(last);
    line.text_bytes = last.len();
    line.new = bounded(unseen);
    line.fresh = bounded(conversation.fresh());
    line.texts = conversation.texts().count();
    attempt
}

fn models() -> Value {
    let names = ["claude-opus-5-5", "claude-sonnet-5", "claude-haiku-5", "gpt-5", "mock-model"];
    let data: Vec<_> = names
        .iter()
        .map(|name| {
            json!({
                "type": "model", "object": "model", "id": name, "display_name": name,
                "created": 0, "created_at": "2026-01-01T00:00:00Z", "owned_by": "stand-in",
            })
        })
        .collect();
    json!({"object": "list", "data": data, "has_more": false, "first_id": names[0]})
}

fn refuse(protocol: Option<Protocol>, failure: &Failure) -> Reply {
    let body = protocol.unwrap_or(Protocol::Messages).error(failure, "refused");
    Reply { delay: Duration::ZERO, then: Then::Whole(failure.status, Vec::new(), body) }
}

fn deliver(state: &State, then: Then) -> Response<Body> {
    let (status, headers, kind, body) = match then {
        Then::Whole(status, headers, value) => {
            let body = Full::new(Bytes::from(value.to_string())).map_err(never).boxed_unsync();
            (status, headers, "application/json", body)
        }
        Then::Stream(pieces) => (200, Vec::new(), "text/event-stream", stream(state.clock, pieces)),
        Then::Drop => {
            (500, Vec::new(), "text/plain", Full::default().map_err(never).boxed_unsync())
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn never(never: Infallible) -> Cut {
    match never {}
}

fn stream(clock: SystemClock, pieces: Vec<Piece>) -> Body {
    let pieces = futures_util::stream::unfold(pieces.into_iter(), move |mut pieces| async move {
        loop {
            match pieces.next()? {
                Piece::Bytes(bytes) => return Some((Ok(Frame::data(bytes)), pieces)),
                Piece::Pause(pause) => clock.sleep(pause).await,
                Piece::Drop => return Some((Err(Cut), pieces)),
            }
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}
