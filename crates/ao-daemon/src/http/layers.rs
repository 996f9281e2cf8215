//! What holds for every request: who answers, what is refused while starting, how long it may
//! take, and that a bug in one does not end the daemon.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ao_api::error::UNKNOWN_ROUTE;
use ao_api::routes;
use ao_core::ports::ErrorKind;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;

use crate::app::App;
use crate::fault::Fault;

/// How long an ordinary request may take: less than a client waits, so that it hears why.
pub(crate) const REQUEST_FOR_MAX: Duration = Duration::from_secs(45);

/// How long the end of all sessions may take, each of which is bounded by itself.
const SHUTDOWN_FOR_MAX: Duration = Duration::from_hours(1);

/// Wraps the answer of every route.
pub(crate) async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let may_take = if path == routes::SHUTDOWN { SHUTDOWN_FOR_MAX } else { REQUEST_FOR_MAX };
    let answer = async {
        if !app.is_ready() && path != routes::STATUS && path != routes::SHUTDOWN {
            return Fault::starting().into_response();
        }
        AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Fault::bug(panic_message(panic.as_ref())).into_response())
    };
    let mut response = tokio::time::timeout(may_take, answer).await.unwrap_or_else(|_elapsed| {
        let seconds = may_take.as_secs();
        let message = format!("the request was not answered within {seconds} s");
        Fault::new("TIMED_OUT", ErrorKind::Unavailable, message).into_response()
    });
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static(ao_api::DAEMON_VERSION_HEADER),
        HeaderValue::from_static(ao_api::VERSION),
    );
    headers.insert(
        HeaderName::from_static(ao_api::API_VERSION_HEADER),
        HeaderValue::from(ao_api::API_VERSION),
    );
    response
}

/// A path that no route has.
pub(crate) async fn unknown_route(method: Method, uri: axum::http::Uri) -> Response {
    let message = format!("there is no route `{method} {}`", uri.path());
    Fault::new(UNKNOWN_ROUTE, ErrorKind::NotFound, message).into_response()
}

/// A route that does not take this method.
pub(crate) async fn unknown_method(method: Method, uri: axum::http::Uri) -> Response {
    let message = format!("`{}` does not take `{method}`", uri.path());
    let mut response = Fault::malformed(message).into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.map_or_else(
        || "the request met a bug".to_owned(),
        |text| format!("the request met a bug: {text}"),
    )
}
