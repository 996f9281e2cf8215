//! Documents: how a value of the core stands in a column, as JSON.
//!
//! The core knows no format, so the shapes are listed here, field by field. A list takes its type
//! apart exhaustively: a field or variant added to the core does not build until its shape is
//! decided. A new optional field needs no migration (absent reads as none); every other change of a
//! shape does.

mod records;
mod reports;
mod value;
mod values;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) use records::{axes, identity, record};
pub(crate) use value::Value;

/// Why a document could not be read: where, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at `{path}`")]
pub(crate) struct BadDoc {
    path: String,
    message: String,
}

impl BadDoc {
    fn new(message: impl Into<String>) -> Self {
        Self { path: String::new(), message: message.into() }
    }

    fn expected(what: &str, found: &Value<'_>) -> Self {
        let mut found = found.to_string();
        // Enough to recognise the place; a document can be a megabyte.
        found.truncate(found.floor_char_boundary(80));
        Self::new(format!("expected {what}, found {found}"))
    }

    fn inside(mut self, step: &str) -> Self {
        let rest = if self.path.is_empty() { String::new() } else { format!(".{}", self.path) };
        self.path = format!("{step}{rest}");
        self
    }
}

/// A value with a shape.
pub(crate) trait Doc: Sized {
    fn write(&self) -> Value<'_>;
    fn read(value: Value<'_>) -> Result<Self, BadDoc>;
}

/// The document as it stands in a column. Object keys are sorted: equal values are equal texts.
pub(crate) fn to_text<T: Doc>(value: &T) -> String {
    value.write().to_string()
}

/// The value that a column holds.
pub(crate) fn from_text<T: Doc>(text: &str) -> Result<T, BadDoc> {
    T::read(parsed(text)?)
}

fn parsed(text: &str) -> Result<Value<'_>, BadDoc> {
    serde_json::from_str(text).map_err(|error| BadDoc::new(error.to_string()))
}

/// The fields of an object, taken one by one.
struct Fields<'t>(Vec<value::Field<'t>>);

impl<'t> Fields<'t> {
    fn of(value: Value<'t>) -> Result<Self, BadDoc> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Err(BadDoc::expected("an object", &value)),
        }
    }

    fn take<T: Doc>(&mut self, name: &str) -> Result<T, BadDoc> {
        let field = self.0.iter_mut().find(|(known, _)| known == name);
        let value = field.map_or(Value::Null, |(_, value)| std::mem::replace(value, Value::Null));
        T::read(value).map_err(|error| error.inside(name))
    }
}

/// A variant with a payload: an object of one field.
fn tagged<'t>(tag: &'static str, payload: Value<'t>) -> Value<'t> {
    Value::object([(tag, payload)])
}

/// The tag of a variant, and its payload.
fn untagged(value: Value<'_>) -> Result<value::Field<'_>, BadDoc> {
    if let Value::String(tag) = value {
        return Ok((tag, Value::Null));
    }
    let mut fields = Fields::of(value)?.0.into_iter();
    match (fields.next(), fields.next()) {
        (Some(only), None) => Ok(only),
        (None, _) | (Some(_), Some(_)) => Err(BadDoc::new("expected one variant")),
    }
}

fn items(value: Value<'_>) -> Result<Vec<Value<'_>>, BadDoc> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(BadDoc::expected("a list", &value))
        }
    }
}

impl Doc for String {
    fn write(&self) -> Value<'_> {
        Value::String(Cow::Borrowed(self))
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        match value {
            Value::String(text) => Ok(text.into_owned()),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => Err(BadDoc::expected("a text", &value)),
        }
    }
}

impl Doc for bool {
    fn write(&self) -> Value<'_> {
        Value::Bool(*self)
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        match value {
            Value::Bool(value) => Ok(value),
            Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => Err(BadDoc::expected("true or false", &value)),
        }
    }
}

macro_rules! number_doc {
    ($($number:ty => $as:ident),+) => {$(
        impl Doc for $number {
            fn write(&self) -> Value<'_> {
                Value::Number((*self).into())
            }

            fn read(value: Value<'_>) -> Result<Self, BadDoc> {
                let number = if let Value::Number(number) = &value { number.$as() } else { None };
                let number = number.and_then(|number| Self::try_from(number).ok());
                number.ok_or_else(|| BadDoc::expected(stringify!($number), &value))
            }
        }
    )+};
}

number_doc!(u8 => as_u64, u32 => as_u64, u64 => as_u64, i32 => as_i64, i64 => as_i64);

impl<T: Doc> Doc for Option<T> {
    fn write(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, Doc::write)
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        if value == Value::Null { Ok(None) } else { T::read(value).map(Some) }
    }
}

impl<T: Doc> Doc for Vec<T> {
    fn write(&self) -> Value<'_> {
        Value::Array(self.iter().map(Doc::write).collect())
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        items(value)?.into_iter().map(T::read).collect()
    }
}

impl<T: Doc + Ord> Doc for BTreeSet<T> {
    fn write(&self) -> Value<'_> {
        Value::Array(self.iter().map(Doc::write).collect())
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        items(value)?.into_iter().map(T::read).collect()
    }
}

/// A map is a list of pairs: its keys need not be texts.
impl<K: Doc + Ord, V: Doc> Doc for BTreeMap<K, V> {
    fn write(&self) -> Value<'_> {
        Value::Array(
            self.iter().map(|(key, value)| Value::pair(key.write(), value.write())).collect(),
        )
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        items(value)?.into_iter().map(<(K, V)>::read).collect()
    }
}

impl<A: Doc, B: Doc> Doc for (A, B) {
    fn write(&self) -> Value<'_> {
        Value::pair(self.0.write(), self.1.write())
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        match <[Value<'_>; 2]>::try_from(items(value)?) {
            Ok([first, second]) => Ok((A::read(first)?, B::read(second)?)),
            Err(other) => Err(BadDoc::new(format!("expected a pair, found {} items", other.len()))),
        }
    }
}

/// A value that is written as the text that it parses.
macro_rules! text_doc {
    ($($name:ty),+ $(,)?) => {$(
        impl $crate::doc::Doc for $name {
            fn write(&self) -> $crate::doc::Value<'_> {
                $crate::doc::Value::String(self.to_string().into())
            }

            fn read(value: $crate::doc::Value<'_>) -> Result<Self, $crate::doc::BadDoc> {
                let text = String::read(value)?;
                text.parse().map_err(|error| $crate::doc::BadDoc::new(format!("{error}")))
            }
        }
    )+};
}

/// A name that is taken as it is.
macro_rules! opaque_doc {
    ($($name:ty),+ $(,)?) => {$(
        impl $crate::doc::Doc for $name {
            fn write(&self) -> $crate::doc::Value<'_> {
                $crate::doc::Value::String(self.as_str().into())
            }

            fn read(value: $crate::doc::Value<'_>) -> Result<Self, $crate::doc::BadDoc> {
                String::read(value).map(Self::new)
            }
        }
    )+};
}

/// A struct, as an object with a field for each of its own.
macro_rules! struct_doc {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::doc::Doc for $name {
            fn write(&self) -> $crate::doc::Value<'_> {
                let Self { $($field),+ } = self;
                $crate::doc::Value::object([$((stringify!($field), $field.write())),+])
            }

            fn read(value: $crate::doc::Value<'_>) -> Result<Self, $crate::doc::BadDoc> {
                let mut fields = $crate::doc::Fields::of(value)?;
                Ok(Self { $($field: fields.take(stringify!($field))?),+ })
            }
        }
    };
}

/// An enum: a text where a variant has no payload, else an object of one field.
macro_rules! enum_doc {
    ($name:ident { $($tag:literal => $variant:ident $(($payload:ident))? $({ $($field:ident),+ })?),+ $(,)? }) => {
        impl $crate::doc::Doc for $name {
            fn write(&self) -> $crate::doc::Value<'_> {
                match self {
                    $(Self::$variant $(($payload))? $({ $($field),+ })? =>
                        enum_doc!(@write $tag $(($payload))? $({ $($field),+ })?)),+
                }
            }

            fn read(value: $crate::doc::Value<'_>) -> Result<Self, $crate::doc::BadDoc> {
                let (tag, payload) = $crate::doc::untagged(value)?;
                match tag.as_ref() {
                    $($tag => enum_doc!(@read payload, $variant $(($payload))? $({ $($field),+ })?)
                        .map_err(|error: $crate::doc::BadDoc| error.inside($tag)),)+
                    unknown => {
                        let message = format!("unknown {} `{unknown}`", stringify!($name));
                        Err($crate::doc::BadDoc::new(message))
                    }
                }
            }
        }
    };
    (@write $tag:literal) => { $crate::doc::Value::String($tag.into()) };
    (@write $tag:literal ($payload:ident)) => { $crate::doc::tagged($tag, $payload.write()) };
    (@write $tag:literal { $($field:ident),+ }) => {{
        let fields = [$((stringify!($field), $field.write())),+];
        $crate::doc::tagged($tag, $crate::doc::Value::object(fields))
    }};
    (@read $value:ident, $variant:ident) => {{
        drop($value);
        Ok(Self::$variant)
    }};
    (@read $value:ident, $variant:ident ($payload:ident)) => {
        $crate::doc::Doc::read($value).map(Self::$variant)
    };
    (@read $value:ident, $variant:ident { $($field:ident),+ }) => {
        $crate::doc::Fields::of($value).and_then(|mut fields| {
            Ok(Self::$variant { $($field: fields.take(stringify!($field))?),+ })
        })
    };
}

use {enum_doc, opaque_doc, struct_doc, text_doc};

#[cfg(test)]
mod tests;
