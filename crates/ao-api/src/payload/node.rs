//! A payload as a tree that is read within limits: nothing beyond them is ever held, and no depth
//! of nesting is recursed into.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::CUT_MARK;

/// Longest name of a field that is kept.
const NAME_BYTES_MAX: usize = 128;

/// What a tree may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of a string, [`CUT_MARK`] not counted.
    pub(super) string_bytes: usize,
    /// Items of an array.
    pub(super) n_items: usize,
    /// Fields of an object.
    pub(super) n_fields: usize,
    /// Levels below the payload itself; what is deeper is emptied.
    pub(super) depth: usize,
}

/// A value of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// `null`, `true`, `false` and numbers, as they are written.
    Literal(String),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Node {
    /// Reads a text; `None` when it is no JSON. `n_fields` holds for the payload itself.
    pub(super) fn read(
        text: &str,
        limits: &Limits,
        n_fields: usize,
        is_cut: &mut bool,
    ) -> Option<Self> {
        // It checks the whole text, and needs no stack for what is nested.
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        let top = Limits { n_fields, ..*limits };
        Reader { limits, top: &top, is_cut }.node(raw.get(), 0).ok()
    }

    /// Makes it fit into narrower limits. `level` is that of the node.
    pub(super) fn tighten(&mut self, limits: &Limits, level: usize, is_cut: &mut bool) {
        match self {
            Self::Literal(_) => {}
            Self::Text(_) => self.cut(limits.string_bytes, is_cut),
            Self::Array(items) => {
                let n_max = if level > limits.depth { 0 } else { limits.n_items };
                *is_cut |= items.len() > n_max;
                items.truncate(n_max);
                for item in items {
                    item.tighten(limits, level.saturating_add(1), is_cut);
                }
            }
            Self::Object(fields) => {
                let n_max = if level > limits.depth { 0 } else { limits.n_fields };
                *is_cut |= fields.len() > n_max;
                fields.truncate(n_max);
                for (_, value) in fields {
                    value.tighten(limits, level.saturating_add(1), is_cut);
                }
            }
        }
    }

    /// Cuts a string; anything else stays.
    pub(super) fn cut(&mut self, n_bytes: usize, is_cut: &mut bool) {
        let Self::Text(text) = self else { return };
        let told = text.strip_suffix(CUT_MARK).unwrap_or(text);
        if text.len() <= n_bytes || told.len() <= n_bytes {
            return;
        }
        *is_cut = true;
        let kept = told.get(..told.floor_char_boundary(n_bytes)).unwrap_or_default();
        *text = format!("{kept}{CUT_MARK}");
    }

    /// Its text, without any white space.
    pub(super) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Literal(text) => out.push_str(text),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Array(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (place, (name, value)) in fields.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    out.push_str(&quoted(name));
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// A text as a string of JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Reads a tree within limits.
struct Reader<'a> {
    limits: &'a Limits,
    /// Those of the payload itself.
    top: &'a Limits,
    is_cut: &'a mut bool,
}

impl Reader<'_> {
    fn node(&mut self, raw: &str, level: usize) -> Result<Node, serde_json::Error> {
        let limits = if level == 0 { self.top } else { self.limits };
        let is_too_deep = level > limits.depth;
        let mut json = serde_json::Deserializer::from_str(raw);
        match raw.as_bytes().first() {
            Some(b'{') => {
                let n_max = if is_too_deep { 0 } else { limits.n_fields };
                json.deserialize_map(Fields { reader: self, n_max, level }).map(Node::Object)
            }
            Some(b'[') => {
                let n_max = if is_too_deep { 0 } else { limits.n_items };
                json.deserialize_seq(Items { reader: self, n_max, level }).map(Node::Array)
            }
            Some(b'"') => {
                let mut text = Node::Text(Name.deserialize(&mut json)?);
                text.cut(limits.string_bytes, self.is_cut);
                Ok(text)
            }
            Some(b'-' | b'0'..=b'9') => Ok(Node::Literal(self.number(raw))),
            _ => Ok(Node::Literal(raw.to_owned())),
        }
    }

    /// A number as it stands, unless others could not read it or it is of any length.
    fn number(&mut self, raw: &str) -> String {
        /// More digits than any number needs.
        const BYTES_MAX: usize = 40;

        let is_readable = serde_json::from_str::<f64>(raw).is_ok();
        if is_readable && raw.len() <= BYTES_MAX {
            return raw.to_owned();
        }
        *self.is_cut = true;
        "null".to_owned()
    }
}

struct Fields<'a, 'b> {
    reader: &'a mut Reader<'b>,
    n_max: usize,
    level: usize,
}

impl<'de> Visitor<'de> for Fields<'_, '_> {
    type Value = Vec<(String, Node)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while fields.len() < self.n_max {
            let Some(name) = map.next_key_seed(Name)? else { return Ok(fields) };
            if name.len() > NAME_BYTES_MAX {
                *self.reader.is_cut = true;
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw: &RawValue = map.next_value()?;
            let value = self.reader.node(raw.get(), self.level.saturating_add(1));
            fields.push((name, value.map_err(serde::de::Error::custom)?));
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            *self.reader.is_cut = true;
        }
        Ok(fields)
    }
}

struct Items<'a, 'b> {
    reader: &'a mut Reader<'b>,
    n_max: usize,
    level: usize,
}

impl<'de> Visitor<'de> for Items<'_, '_> {
    type Value = Vec<Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < self.n_max {
            let Some(raw) = seq.next_element::<&RawValue>()? else { return Ok(items) };
            let item = self.reader.node(raw.get(), self.level.saturating_add(1));
            items.push(item.map_err(serde::de::Error::custom)?);
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            *self.reader.is_cut = true;
        }
        Ok(items)
    }
}

/// A string, taken as bytes: agents that count in UTF-16 cut characters in half, and the half is
/// escaped so that no reader of texts takes it.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(text) => text.to_owned(),
            // One replacement for the three bytes of a half, as a browser shows it.
            Cow::Owned(text) => text.replace("\u{fffd}\u{fffd}\u{fffd}", "\u{fffd}"),
        })
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}
