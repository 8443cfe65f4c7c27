//! Decoding of YAML in the manner of upstream's decoder: strict keys, null as absent, booleans of
//! YAML 1.1, complaints with the line they stand on.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::error::ConfigError;

/// Starts the text of an error that this crate raises inside the decoder, which adds a path in
/// front and the place behind. Neither belongs into the message.
const OWN_TEXT: char = '\u{1}';

/// Decodes a document; an empty one gives `None`.
pub(crate) fn decode<T: for<'de> Deserialize<'de>>(text: &str) -> Result<Option<T>, ConfigError> {
    let is_empty = |line: &str| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    };
    if text.trim_start_matches('\u{feff}').lines().all(is_empty) {
        return Ok(None);
    }
    serde_yaml::from_str::<Option<T>>(text).map_err(|error| explain(&error))
}

fn explain(error: &serde_yaml::Error) -> ConfigError {
    let shown = error.to_string();
    let line = error
        .location()
        .and_then(|place| u64::try_from(place.line()).ok());
    let place = error
        .location()
        .map(|place| format!(" at line {} column {}", place.line(), place.column()))
        .unwrap_or_default();
    match shown.split_once(OWN_TEXT) {
        Some((_path, message)) => ConfigError::Shape {
            file: None,
            line,
            message: message.strip_suffix(&place).unwrap_or(message).to_owned(),
        },
        None if shown.contains("invalid type: ") || shown.contains("invalid value: ") => {
            let message = shown.strip_suffix(&place).unwrap_or(&shown).to_owned();
            ConfigError::Shape {
                file: None,
                line,
                message,
            }
        }
        None => {
            let message = shown.strip_suffix(&place).unwrap_or(&shown).to_owned();
            ConfigError::Syntax {
                file: None,
                line,
                message,
            }
        }
    }
}

/// An error whose text reaches the user as it is.
pub(crate) fn complaint<E: Error>(text: impl fmt::Display) -> E {
    E::custom(format_args!("{OWN_TEXT}{text}"))
}

/// Reads keys of one mapping: unknown and repeated ones are refused, as upstream's strict decoder
/// does.
pub(crate) struct Keys {
    go_type: &'static str,
    known: Vec<&'static str>,
    seen: Vec<&'static str>,
}

impl Keys {
    /// Keys of a mapping that upstream decodes into its type `go_type`.
    pub(crate) fn new(go_type: &'static str, groups: &[&[&'static str]]) -> Self {
        Self {
            go_type,
            known: groups.concat(),
            seen: Vec::new(),
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Keys {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for &mut Keys {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<&'static str, E> {
        let go_type = self.go_type;
        let Some(known) = self.known.iter().find(|known| **known == key) else {
            return Err(complaint(format_args!(
                "field {key} not found in type {go_type}"
            )));
        };
        if self.seen.contains(known) {
            return Err(complaint(format_args!(
                "field {key} already set in type {go_type}"
            )));
        }
        self.seen.push(known);
        Ok(known)
    }
}

/// Takes the value of a key that upstream has and this build has not. Values that switch the
/// feature off are fine: null, empty, false, zero.
pub(crate) struct NotYet(pub(crate) &'static str);

impl NotYet {
    fn unless<E: Error>(self, off: bool) -> Result<(), E> {
        let key = self.0;
        if off {
            Ok(())
        } else {
            Err(complaint(format_args!("field {key} is not supported yet")))
        }
    }
}

impl<'de> DeserializeSeed<'de> for NotYet {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NotYet {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no value for {}, which is not supported yet", self.0)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.unless(!value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.unless(value == 0)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.unless(value == 0)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.unless(value == 0.0)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.unless(value.is_empty())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let first = seq.next_element::<IgnoredAny>()?;
        self.unless(first.is_none())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let first = map.next_entry::<IgnoredAny, IgnoredAny>()?;
        self.unless(first.is_none())
    }
}

/// A scalar that is read from its text.
pub(crate) trait FromScalar: Sized {
    /// What the scalar should be, for errors.
    const EXPECTED: &'static str;

    /// Reads the scalar's text.
    ///
    /// # Errors
    /// What is wrong with it.
    fn from_scalar(text: &str) -> Result<Self, String>;
}

/// Deserialises a [`FromScalar`].
#[derive(Clone, Debug)]
pub(crate) struct Scalar<T>(pub(crate) T);

impl<'de, T: FromScalar> Deserialize<'de> for Scalar<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<T>(std::marker::PhantomData<T>);

        impl<T: FromScalar> Visitor<'_> for Text<T> {
            type Value = Scalar<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar<T>, E> {
                T::from_scalar(text).map(Scalar).map_err(complaint)
            }
        }

        deserializer.deserialize_str(Text(std::marker::PhantomData))
    }
}

impl FromScalar for bool {
    const EXPECTED: &'static str = "a boolean";

    fn from_scalar(text: &str) -> Result<Self, String> {
        match text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
                Ok(true)
            }
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False"
            | "FALSE" => Ok(false),
            _ => Err(format!("cannot unmarshal !!str `{text}` into bool")),
        }
    }
}

impl FromScalar for u64 {
    const EXPECTED: &'static str = "a whole number";

    fn from_scalar(text: &str) -> Result<Self, String> {
        let plain = text.replace('_', "");
        let (digits, radix) = match plain.split_at_checked(2) {
            Some(("0x", hex)) => (hex, 16),
            Some(("0b", binary)) => (binary, 2),
            Some(("0o", octal)) => (octal, 8),
            // A leading zero means octal in YAML 1.1.
            _ if plain.len() > 1 && plain.starts_with('0') => (&plain[1..], 8),
            _ => (plain.as_str(), 10),
        };
        let is_signed = digits.starts_with(['+', '-']);
        Self::from_str_radix(digits, radix)
            .ok()
            .filter(|_| !is_signed)
            .ok_or_else(|| format!("cannot unmarshal `{text}` into uint"))
    }
}

/// A mapping from text to `V` in the order of the file; a repeated key is refused.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<V>(pub(crate) Vec<(String, V)>);

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Mapping<V>(std::marker::PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Mapping<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
                let mut pairs: Vec<(String, V)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, V>()? {
                    if pairs.iter().any(|(seen, _)| *seen == key) {
                        let key = model::quote::quoted(&key);
                        return Err(complaint(format_args!("key {key} already set in map")));
                    }
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Mapping(std::marker::PhantomData))
    }
}

/// Declares a mapping: `Name as "go type" { key: type, … }`. Every field is optional, as null means
/// absent. Keys under `unsupported` are upstream's that this build has not yet ([`NotYet`]); keys
/// under `without_effect` set something that does not exist here.
macro_rules! yaml_struct {
    (
        $(#[$meta:meta])*
        $name:ident as $go_type:literal {
            $($field:ident: $type:ty),* $(,)?
        }
        $(unsupported { $($later:ident),* $(,)? })?
        $(without_effect { $($nothing:ident),* $(,)? })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $(pub(crate) $field: Option<$type>,)*
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a mapping")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$name, A::Error> {
                        let known: &[&'static str] = &[$(stringify!($field),)*];
                        let later: &[&'static str] = &[$($(stringify!($later),)*)?];
                        let nothing: &[&'static str] = &[$($(stringify!($nothing),)*)?];
                        let mut keys = $crate::yaml::Keys::new($go_type, &[known, later, nothing]);
                        let mut fields = $name::default();
                        while let Some(key) = map.next_key_seed(&mut keys)? {
                            match key {
                                $(stringify!($field) => fields.$field = map.next_value()?,)*
                                key if nothing.contains(&key) => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                }
                                key => map.next_value_seed($crate::yaml::NotYet(key))?,
                            }
                        }
                        Ok(fields)
                    }
                }

                deserializer.deserialize_map(Fields)
            }
        }
    };
}

pub(crate) use yaml_struct;
