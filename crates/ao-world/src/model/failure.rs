//! The errors of the real servers, by one name for all protocols.

use serde_json::{Value, json};

use super::script::Step;

/// An error that is the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The sentence.
    pub(crate) message: String,
    /// Seconds of the `retry-after` header.
    pub(crate) retry_after: Option<u64>,
    kind: Kind,
    resets: Option<Resets>,
}

/// When a limit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resets {
    at: i64,
    seconds: u64,
}

/// A kind of error: the name in a script, and what the two companies call it.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    name: &'static str,
    anthropic: (u16, &'static str),
    openai: (u16, &'static str, Option<&'static str>),
    message: &'static str,
}

type Kind = &'static Known;

/// Sources: the error tables of the two companies' API references, and for `usage_limit` what the
/// agents read of a subscription's answer.
const KINDS: &[Known] = &[
    Known {
        name: "authentication",
        anthropic: (401, "authentication_error"),
        openai: (401, "invalid_request_error", Some("invalid_api_key")),
        message: "invalid x-api-key",
    },
    Known {
        name: "permission",
        anthropic: (403, "permission_error"),
        openai: (403, "invalid_request_error", Some("unsupported_country_region_territory")),
        message: "Your API key does not have permission to use the specified resource.",
    },
    Known {
        name: "billing",
        anthropic: (402, "billing_error"),
        openai: (429, "insufficient_quota", Some("insufficient_quota")),
        message: "Your credit balance is too low to access the API.",
    },
    Known {
        name: "rate_limit",
        anthropic: (429, "rate_limit_error"),
        openai: (429, "rate_limit_error", Some("rate_limit_exceeded")),
        message: "This request would exceed your account's rate limit. Please try again later.",
    },
    Known {
        name: "usage_limit",
        anthropic: (429, "rate_limit_error"),
        openai: (429, "usage_limit_reached", None),
        message: "This request would exceed your account's usage limit.",
    },
    Known {
        name: "overloaded",
        anthropic: (529, "overloaded_error"),
        openai: (503, "service_unavailable_error", Some("server_is_overloaded")),
        message: "Overloaded",
    },
    Known {
        name: "server_error",
        anthropic: (500, "api_error"),
        openai: (500, "server_error", None),
        message: "Internal server error",
    },
    Known {
        name: "invalid_request",
        anthropic: (400, "invalid_request_error"),
        openai: (400, "invalid_request_error", None),
        message: "The request is not valid.",
    },
    Known {
        name: "context_length",
        anthropic: (400, "invalid_request_error"),
        openai: (400, "invalid_request_error", Some("context_length_exceeded")),
        message: "prompt is too long: 208310 tokens > 200000 maximum",
    },
    Known {
        name: "not_found",
        anthropic: (404, "not_found_error"),
        openai: (404, "invalid_request_error", Some("model_not_found")),
        message: "There is nothing here.",
    },
    Known {
        name: "too_large",
        anthropic: (413, "request_too_large"),
        openai: (413, "invalid_request_error", None),
        message: "Request exceeds the maximum size",
    },
];

/// What a usage limit lasts where the script does not say: the longest of a five-hour window.
const LIMIT_FOR: u64 = 5 * 60 * 60;

/// Statuses that an error may have.
const STATUSES: std::ops::RangeInclusive<u16> = 400..=599;

impl Failure {
    /// What the request itself got wrong, whatever its script.
    pub(crate) fn refused(name: &str, message: impl Into<String>) -> Self {
        let kind = KINDS.iter().find(|kind| kind.name == name).unwrap_or(&INVALID);
        Self {
            status: kind.anthropic.0,
            message: message.into(),
            retry_after: None,
            kind,
            resets: None,
        }
    }

    /// The error that this step asks for, at this second since 1970; a sentence when it asks for
    /// one that there is not.
    pub(crate) fn of_step(
        step: &Step,
        is_anthropic: bool,
        now: i64,
    ) -> Result<Option<Self>, String> {
        let Some(name) = step.error.as_deref() else { return Ok(None) };
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
            return Err(format!("no error is called {name:?}; there are {}", names.join(", ")));
        };
        let usual = if is_anthropic { kind.anthropic.0 } else { kind.openai.0 };
        let status = step.status.unwrap_or(usual);
        if !STATUSES.contains(&status) {
            return Err(format!("an error has a status from 400 to 599, not {status}"));
        }
        let is_limit = name == "usage_limit";
        let seconds = step.resets_in.unwrap_or(LIMIT_FOR);
        let at = now.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
        Ok(Some(Self {
            status,
            message: step.message.clone().unwrap_or_else(|| kind.message.to_owned()),
            retry_after: step.retry_after,
            kind,
            resets: is_limit.then_some(Resets { at, seconds }),
        }))
    }

    /// The headers that the real server sends with it.
    pub(crate) fn headers(&self, is_anthropic: bool) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        headers.extend(self.retry_after.map(|seconds| ("retry-after", seconds.to_string())));
        let Some(resets) = self.resets else { return headers };
        if is_anthropic {
            headers.extend([
                ("anthropic-ratelimit-unified-status", "rejected".to_owned()),
                ("anthropic-ratelimit-unified-representative-claim", "five_hour".to_owned()),
                ("anthropic-ratelimit-unified-reset", resets.at.to_string()),
                ("anthropic-ratelimit-unified-5h-status", "rejected".to_owned()),
                ("anthropic-ratelimit-unified-5h-utilization", "1.0".to_owned()),
                ("anthropic-ratelimit-unified-5h-reset", resets.at.to_string()),
                ("anthropic-ratelimit-unified-overage-status", "rejected".to_owned()),
            ]);
        } else {
            // Codex writes the end of its limit down from these, and not from the body.
            headers.extend([
                ("x-codex-primary-used-percent", "100".to_owned()),
                ("x-codex-primary-window-minutes", "300".to_owned()),
                ("x-codex-primary-reset-at", resets.at.to_string()),
            ]);
        }
        headers
    }

    /// As Anthropic says it.
    pub(crate) fn of_anthropic(&self, token: &str) -> Value {
        json!({
            "type": "error",
            "error": {"type": self.kind.anthropic.1, "message": self.message},
            "request_id": format!("req_{token}"),
        })
    }

    /// As OpenAI says it.
    pub(crate) fn of_openai(&self) -> Value {
        let (_, kind, code) = self.kind.openai;
        let mut error = json!({"message": self.message, "type": kind, "param": null, "code": code});
        if let (Some(resets), Some(error)) = (self.resets, error.as_object_mut()) {
            error.insert("plan_type".to_owned(), json!("plus"));
            error.insert("resets_at".to_owned(), json!(resets.at));
            error.insert("resets_in_seconds".to_owned(), json!(resets.seconds));
        }
        json!({"error": error})
    }

    /// What OpenAI calls it in a stream that began.
    pub(crate) fn code(&self) -> &'static str {
        let (_, kind, code) = self.kind.openai;
        code.unwrap_or(kind)
    }
}

/// What an error without a name of its own is.
const INVALID: Known = Known {
    name: "invalid_request",
    anthropic: (400, "invalid_request_error"),
    openai: (400, "invalid_request_error", None),
    message: "The request is not valid.",
};
