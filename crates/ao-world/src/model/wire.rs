//! What the three protocols have in common: an answer, its events, and which path is whose.

use hyper::body::Bytes;
use serde_json::Value;

use super::conversation::Conversation;
use super::failure::Failure;
use super::script::{Call, Usage};
use super::{anthropic, chat, responses};

/// A protocol between an agent and a model server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Anthropic's `/v1/messages`.
    Messages,
    /// OpenAI's `/v1/responses`.
    Responses,
    /// OpenAI's `/v1/chat/completions`.
    Chat,
}

/// What the model answers, in no protocol yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// Never the same twice; every id of the answer is made of it.
    pub(crate) token: String,
    /// Seconds since 1970 at which it is given.
    pub(crate) at: i64,
    /// The model that the request named.
    pub(crate) model: String,
    /// What is said; empty when only tools are used.
    pub(crate) text: String,
    /// What is used.
    pub(crate) calls: Vec<Use>,
    /// What it is said to have cost.
    pub(crate) usage: Usage,
}

/// One use of a tool within an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Use {
    /// What is used, and with what.
    pub(crate) call: Call,
    /// Whether the tool takes a text as it stands.
    pub(crate) takes_text: bool,
}

impl Use {
    /// What the tool gets, as the text that the `OpenAI` protocols carry.
    pub(crate) fn input_text(&self) -> String {
        match (&self.call.input, self.takes_text) {
            (Value::String(text), true) => text.clone(),
            (input, _) => input.to_string(),
        }
    }
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    name: Option<String>,
    data: String,
}

impl Event {
    /// An event that is named like the `type` of its data.
    pub(crate) fn typed(data: &Value) -> Self {
        let name = data.get("type").and_then(Value::as_str).map(str::to_owned);
        Self { name, data: data.to_string() }
    }

    /// An event without a name.
    pub(crate) fn plain(data: &impl ToString) -> Self {
        Self { name: None, data: data.to_string() }
    }

    /// As it goes over the wire.
    pub(crate) fn bytes(&self) -> Bytes {
        let name = self.name.as_ref().map_or_else(String::new, |name| format!("event: {name}\n"));
        Bytes::from(format!("{name}data: {}\n\n", self.data))
    }
}

/// The events of an answer, in the order in which they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Events {
    /// Up to the first word.
    pub(crate) head: Vec<Event>,
    /// One per piece of the text.
    pub(crate) pieces: Vec<Event>,
    /// From the last word on.
    pub(crate) tail: Vec<Event>,
}

impl Protocol {
    /// The protocol of this path, which may carry a query.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path {
            "/v1/messages" => Some(Self::Messages),
            "/v1/responses" | "/responses" => Some(Self::Responses),
            "/v1/chat/completions" | "/chat/completions" => Some(Self::Chat),
            _unknown => None,
        }
    }

    /// The request, or what is wrong with it as a sentence.
    pub(crate) fn read(self, body: &Value) -> Result<Conversation, String> {
        match self {
            Self::Messages => anthropic::read(body),
            Self::Responses => responses::read(body),
            Self::Chat => chat::read(body),
        }
    }

    /// The answer as events, its text cut into these pieces.
    pub(crate) fn events(self, answer: &Answer, pieces: &[&str]) -> Events {
        match self {
            Self::Messages => anthropic::events(answer, pieces),
            Self::Responses => responses::events(answer, pieces),
            Self::Chat => chat::events(answer, pieces),
        }
    }

    /// The answer in one piece.
    pub(crate) fn whole(self, answer: &Answer) -> Value {
        match self {
            Self::Messages => anthropic::whole(answer),
            Self::Responses => responses::whole(answer),
            Self::Chat => chat::whole(answer),
        }
    }

    /// The body of an error.
    pub(crate) fn error(self, failure: &Failure, token: &str) -> Value {
        match self {
            Self::Messages => failure.of_anthropic(token),
            Self::Responses | Self::Chat => failure.of_openai(),
        }
    }

    /// The error as the last event of a stream that began.
    pub(crate) fn late_error(self, failure: &Failure, token: &str) -> Event {
        match self {
            Self::Messages => Event::typed(&failure.of_anthropic(token)),
            Self::Responses => responses::late_error(failure, token),
            Self::Chat => Event::plain(&failure.of_openai()),
        }
    }

    /// What the server sends so that nobody takes its silence for an end.
    pub(crate) fn keep_alive(self) -> Bytes {
        match self {
            Self::Messages => anthropic::ping().bytes(),
            Self::Responses => responses::keep_alive().bytes(),
            Self::Chat => Bytes::from_static(b": keep-alive\n\n"),
        }
    }
}
