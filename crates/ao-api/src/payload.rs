//! What is kept of a hook's payload.
//!
//! An agent hands over whatever it has at hand: a prompt of a megabyte, a file that a tool wrote.
//! Little of it means anything to a supervisor, but only the adapter of that agent knows which
//! little, and it is not in the process that the agent waits for. So every payload is reduced by
//! one rule that keeps the shape and the short values, and cuts what is long, deep or many.
//!
//! # The rule
//!
//! 1. A string keeps its first KiB and then ends in [`CUT_MARK`]; an array keeps its first 32
//!    items, an object inside the payload its first 64 fields and the payload itself its first 256;
//!    what is nested deeper than 12 levels is emptied, and stays an object or an array. A field
//!    whose name is longer than 128 bytes goes.
//! 2. While that is still longer than [`SIGNAL_BYTES_MAX`], the largest field of the payload that
//!    is an object or an array gets narrower limits, step by step; then such fields go, the largest
//!    first; then the longest strings of the payload itself get shorter.
//!
//! The order of the fields stays. What is valid JSON stays valid JSON; half of a surrogate pair
//! becomes the replacement character and a number that no `f64` holds becomes `null`, so that every
//! reader takes it. What is no JSON is a text, and is cut as one.

mod node;

use crate::signal::SIGNAL_BYTES_MAX;
use node::{Limits, Node};

/// How a string ends of which the rest was left out; the same as in the core, where it tells that a
/// prompt is known in part only.
pub const CUT_MARK: &str = "…[cut]";

/// What everything has to fit into at first, and then the largest fields, step by step.
const STEPS: [Limits; 5] = [
    Limits { string_bytes: 1024, n_items: 32, n_fields: 64, depth: 12 },
    Limits { string_bytes: 512, n_items: 16, n_fields: 32, depth: 8 },
    Limits { string_bytes: 256, n_items: 8, n_fields: 16, depth: 5 },
    Limits { string_bytes: 128, n_items: 4, n_fields: 12, depth: 3 },
    Limits { string_bytes: 32, n_items: 1, n_fields: 8, depth: 1 },
];

/// Lengths that the payload's own strings get, when nothing else is left to take from.
const STRING_STEPS: [usize; 5] = [512, 256, 128, 64, 16];

/// Most fields of the payload itself: more than ten times what any agent sends.
const TOP_FIELDS_MAX: usize = 256;

/// A payload that is short enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduced {
    /// What is kept, at most [`SIGNAL_BYTES_MAX`] bytes.
    pub text: String,
    /// Whether anything was left out.
    pub is_cut: bool,
}

/// Reduces a payload. Reducing it once more changes nothing.
pub fn reduce(payload: &str) -> Reduced {
    let mut is_cut = false;
    let Some(node) = Node::read(payload, &STEPS[0], TOP_FIELDS_MAX, &mut is_cut) else {
        let kept = payload.get(..payload.floor_char_boundary(SIGNAL_BYTES_MAX)).unwrap_or_default();
        return Reduced { is_cut: kept.len() < payload.len(), text: kept.to_owned() };
    };
    let text = match node {
        Node::Object(fields) => Fields::new(fields).fit(&mut is_cut),
        alone @ (Node::Literal(_) | Node::Text(_) | Node::Array(_)) => {
            fit_alone(alone, &mut is_cut)
        }
    };
    Reduced { text, is_cut }
}

/// A payload that is no object: all of it gets narrower, until it fits.
fn fit_alone(mut node: Node, is_cut: &mut bool) -> String {
    let mut text = node.to_json();
    for limits in STEPS.iter().skip(1) {
        if text.len() <= SIGNAL_BYTES_MAX {
            break;
        }
        node.tighten(limits, 0, is_cut);
        text = node.to_json();
    }
    text
}

/// The fields of a payload, with how far each was reduced already.
struct Fields(Vec<Field>);

struct Field {
    name: String,
    value: Node,
    n_steps: usize,
    n_bytes: usize,
}

impl Field {
    fn is_nested(&self) -> bool {
        matches!(self.value, Node::Object(_) | Node::Array(_))
    }

    /// Makes it shorter by one step; `false` when there is no further one.
    fn tighten(&mut self, is_cut: &mut bool) -> bool {
        let next = self.n_steps.saturating_add(1);
        if self.is_nested() {
            let Some(limits) = STEPS.get(next) else { return false };
            self.value.tighten(limits, 1, is_cut);
        } else {
            let Some(&n_bytes) = STRING_STEPS.get(self.n_steps) else { return false };
            self.value.cut(n_bytes, is_cut);
        }
        self.n_steps = next;
        self.measure();
        true
    }

    fn measure(&mut self) {
        // As it is written: the name, the colon, the value and the comma.
        self.n_bytes = node::quoted(&self.name).len() + self.value.to_json().len() + 2;
    }
}

impl Fields {
    fn new(fields: Vec<(String, Node)>) -> Self {
        let measured = fields.into_iter().map(|(name, value)| {
            let mut field = Field { name, value, n_steps: 0, n_bytes: 0 };
            field.measure();
            field
        });
        Self(measured.collect())
    }

    /// Takes from the largest until it fits, and writes what is left.
    fn fit(mut self, is_cut: &mut bool) -> String {
        while !self.fits() && self.tighten_largest(Field::is_nested, is_cut) {}
        while !self.fits() && self.drop_largest(Field::is_nested, is_cut) {}
        while !self.fits() && self.tighten_largest(|field| !field.is_nested(), is_cut) {}
        while !self.fits() && self.drop_largest(|_| true, is_cut) {}
        let fields = self.0.into_iter().map(|field| (field.name, field.value));
        Node::Object(fields.collect()).to_json()
    }

    fn fits(&self) -> bool {
        // The braces; the last field has no comma.
        let n_bytes: usize = self.0.iter().map(|field| field.n_bytes).sum();
        n_bytes + 2 <= SIGNAL_BYTES_MAX + usize::from(!self.0.is_empty())
    }

    /// Tightens the largest field of a kind that has a step left; `false` when none has.
    fn tighten_largest(&mut self, is_meant: fn(&Field) -> bool, is_cut: &mut bool) -> bool {
        let mut candidates: Vec<&mut Field> =
            self.0.iter_mut().filter(|field| is_meant(field)).collect();
        candidates.sort_by_key(|field| std::cmp::Reverse(field.n_bytes));
        candidates.into_iter().any(|field| field.tighten(is_cut))
    }

    /// Leaves the largest field of a kind out; `false` when there is none.
    fn drop_largest(&mut self, is_meant: fn(&Field) -> bool, is_cut: &mut bool) -> bool {
        let meant = self.0.iter().enumerate().filter(|(_, field)| is_meant(field));
        let Some((at, _)) = meant.max_by_key(|(_, field)| field.n_bytes) else { return false };
        self.0.remove(at);
        *is_cut = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn reduced(payload: &Value) -> Value {
        let reduced = reduce(&payload.to_string());
        assert!(reduced.text.len() <= SIGNAL_BYTES_MAX, "{}", reduced.text.len());
        let value: Value = serde_json::from_str(&reduced.text).unwrap();
        assert_eq!(reduced.is_cut, value != *payload);
        value
    }

    #[test]
    fn a_short_payload_stays_as_it_is() {
        let payload = json!({"b": [1, -2.5, null, true], "a": {"c": "x\n\u{7f}…"}, "d": 1e300});
        assert_eq!(reduced(&payload), payload);
        let kept = reduce(r#" { "z" : 1.50 , "a" : [ ] , "b":{} } "#);
        assert_eq!(kept.text, r#"{"z":1.50,"a":[],"b":{}}"#, "in the order and words of the agent");
    }

    #[test]
    fn a_prompt_of_a_megabyte_keeps_its_first_kibibyte() {
        let prompt = "wört ".repeat(200_000);
        let payload = json!({"session_id": "s-1", "prompt": prompt, "hook_event_name": "Submit"});
        let kept = reduced(&payload);
        assert_eq!(kept["session_id"], "s-1");
        assert_eq!(kept["hook_event_name"], "Submit");
        let told = kept["prompt"].as_str().unwrap().strip_suffix(CUT_MARK).unwrap();
        assert!(prompt.starts_with(told) && (1021..=1024).contains(&told.len()));
    }

    #[test]
    fn many_items_fields_and_levels_are_cut() {
        let fields = |n: usize| (0..n).map(|i| (format!("f{i:03}"), json!(i))).collect::<Value>();
        let kept = reduced(&json!({"items": vec![1; 100], "fields": fields(100)}));
        assert_eq!(kept["items"].as_array().unwrap().len(), 32);
        assert_eq!(kept["fields"].as_object().unwrap().len(), 64);
        assert_eq!(reduced(&fields(300)).as_object().unwrap().len(), 256);
        let n_levels = 10_000;
        let deep = format!("{{\"a\":1,\"deep\":{}{}}}", "[".repeat(n_levels), "]".repeat(n_levels));
        let kept = reduce(&deep);
        assert_eq!(kept.text, format!("{{\"a\":1,\"deep\":{}{}}}", "[".repeat(13), "]".repeat(13)));
        assert!(kept.is_cut);
    }

    #[test]
    fn the_large_fields_give_way_and_the_small_ones_stay_whole() {
        let lines: Vec<String> = (0..200).map(|n| format!("{n} {}", "x".repeat(900))).collect();
        let payload = json!({
            "session_id": "s-1",
            "message": "m".repeat(1000),
            "background_tasks": [{"id": "t1", "status": "running"}],
            "tool_input": {"command": "cargo test", "lines": lines},
            "tool_response": {"stdout": "y".repeat(100_000), "blocks": lines},
        });
        let kept = reduced(&payload);
        for field in ["session_id", "message", "background_tasks"] {
            assert_eq!(kept[field], payload[field]);
        }
        assert_eq!(kept["tool_input"]["command"], "cargo test");
        assert!(kept["tool_response"]["stdout"].as_str().unwrap().ends_with(CUT_MARK));
    }

    #[test]
    fn what_agents_write_that_others_cannot_read_is_mended() {
        let kept = reduce(r#"{"half":"a\ud83d","whole":"\ud83d\ude00","huge":1e999}"#);
        assert_eq!(kept.text, r#"{"half":"a�","whole":"😀","huge":null}"#);
        assert!(serde_json::from_str::<Value>(&kept.text).is_ok());
    }

    #[test]
    fn what_is_no_json_is_cut_as_a_text() {
        for (payload, expect) in [("", ""), ("not json", "not json"), ("{\"a\":", "{\"a\":")] {
            let kept = Reduced { text: expect.to_owned(), is_cut: false };
            assert_eq!(reduce(payload), kept);
        }
        let long = "ä".repeat(SIGNAL_BYTES_MAX);
        let kept = reduce(&long);
        assert!(kept.is_cut && kept.text.len() == SIGNAL_BYTES_MAX && long.starts_with(&kept.text));
    }

    #[test]
    fn a_payload_that_is_no_object_fits_too() {
        for payload in [json!("x".repeat(50_000)), json!(vec!["x".repeat(5_000); 500]), json!(7)] {
            assert!(!reduced(&payload).is_null());
        }
    }

    #[test]
    fn more_scalars_than_fit_lose_their_length_before_any_is_lost() {
        let scalars = |n: usize, length: usize| {
            (0..n).map(|i| (format!("f{i:03}"), json!("\u{1}".repeat(length)))).collect::<Value>()
        };
        assert_eq!(reduced(&scalars(100, 1_000)).as_object().unwrap().len(), 100);
        assert!(!reduced(&scalars(256, 1_000)).as_object().unwrap().is_empty());
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z]{0,8}",
            ".{0,40}",
            (".{1,4}", 1..3_000_usize).prop_map(|(text, n)| text.repeat(n)),
        ]
    }

    fn any_scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
            any_text().prop_map(Value::from),
        ]
    }

    fn any_value() -> impl Strategy<Value = Value> {
        any_scalar().prop_recursive(6, 200, 40, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..40).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,9}", inner, 0..20)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn any_payload_fits_and_stays_what_it_was(payload in any_value()) {
            let kept = reduce(&payload.to_string());
            prop_assert!(kept.text.len() <= SIGNAL_BYTES_MAX);
            let value: Value = serde_json::from_str(&kept.text).unwrap();
            prop_assert_eq!(value.is_object(), payload.is_object());
            prop_assert_eq!(value.is_array(), payload.is_array());
            prop_assert_eq!(value.is_string(), payload.is_string());
            let again = reduce(&kept.text);
            prop_assert_eq!(&again.text, &kept.text);
            prop_assert!(!again.is_cut);
        }

        #[test]
        fn any_text_fits(text in any_text()) {
            let kept = reduce(&text);
            prop_assert!(kept.text.len() <= SIGNAL_BYTES_MAX);
            prop_assert_eq!(reduce(&kept.text).text, kept.text);
        }

        /// A handful of scalars survives whatever stands beside them.
        #[test]
        fn scalars_of_the_payload_itself_survive(
            scalars in prop::collection::btree_map("s[a-z]{1,9}", any_scalar(), 0..3),
            nested in prop::collection::btree_map("n[a-z]{1,9}", any_value(), 0..20),
        ) {
            let nested = nested.into_iter().filter(|(_, it)| it.is_object() || it.is_array());
            let all = scalars.clone().into_iter().chain(nested);
            let kept = reduce(&Value::Object(all.collect()).to_string());
            let kept: Value = serde_json::from_str(&kept.text).unwrap();
            for (name, scalar) in &scalars {
                match (scalar, &kept[name]) {
                    (Value::String(text), Value::String(told)) => {
                        let told = told.strip_suffix(CUT_MARK).unwrap_or(told);
                        prop_assert!(text.starts_with(told));
                        prop_assert!(told.len() == text.len() || told.len() > 1_020);
                    }
                    (scalar, told) => prop_assert_eq!(scalar.to_string(), told.to_string()),
                }
            }
        }
    }
}
