// SPDX-License-Identifier: GPL-2.0

//! How the fields of records are shown.
//!
//! Which fields a record has, and where, comes from the records themselves; what is here only
//! makes some of them easier to read, and needs no change when a record gets more fields.

use ckpt_image::image::{name_of, Value};
use ckpt_image::RawRecord;
use serde::{Serialize, Serializer};

use crate::image::LOG;
use crate::text;

/// What a field is, where its type does not say it.
#[derive(Clone, Copy)]
enum Meaning {
    Plain,
    /// Bits or a magic number: hexadecimal.
    Magic,
    Checksum,
    Flags,
    /// Seconds since 1970.
    Time,
    /// Nanoseconds.
    Duration,
    TaskState,
    ExitSignal,
}

fn meaning(record: Option<&str>, field: &str) -> Meaning {
    match (record, field) {
        (_, "magic") => Meaning::Magic,
        (Some("HEAD"), "flags") => Meaning::Flags,
        (Some("HEAD"), "time") => Meaning::Time,
        (Some("TASK"), "state") => Meaning::TaskState,
        (Some("TASK"), "exit_signal") => Meaning::ExitSignal,
        (
            Some("TASK_STATS"),
            "utime" | "stime" | "utimescaled" | "stimescaled" | "gtime" | "prev_utime"
            | "prev_stime" | "start_time" | "start_boottime",
        ) => Meaning::Duration,
        (Some("TAIL"), "cksum") => Meaning::Checksum,
        _ => Meaning::Plain,
    }
}

/// A value with what it means.
pub(crate) struct Shown<'p> {
    value: Value<'p>,
    meaning: Meaning,
}

impl<'p> Shown<'p> {
    pub(crate) fn new(record: Option<&str>, field: &str, value: Value<'p>) -> Self {
        Shown {
            value,
            meaning: meaning(record, field),
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        match &self.value {
            Value::Unsigned(number) => *number == 0,
            Value::Signed(number) => *number == 0,
            Value::Text(bytes) => bytes.iter().all(|&byte| byte == 0),
            Value::Array(values) => values
                .clone()
                .all(|value| matches!(value, Value::Unsigned(0) | Value::Signed(0))),
        }
    }

    /// Numbers in words and units.
    pub(crate) fn for_people(&self) -> String {
        match (self.meaning, &self.value) {
            (Meaning::Flags, &Value::Unsigned(flags)) => {
                let word = match flags {
                    0 => "none".into(),
                    LOG => "CHECKPOINT_LOG".into(),
                    // The checks allow no other; a refused record shows what it has.
                    _ => "unknown".to_string(),
                };
                format!("{flags:#x} ({word})")
            }
            (Meaning::Time, &Value::Unsigned(time)) => format!("{time} ({})", text::date(time)),
            (Meaning::Duration, &Value::Unsigned(nanos)) => text::duration(nanos),
            (Meaning::TaskState, Value::Unsigned(0)) => "0 (running)".into(),
            (Meaning::ExitSignal, Value::Signed(-1)) => "-1 (a thread)".into(),
            (Meaning::ExitSignal, Value::Signed(0)) => "0 (none)".into(),
            (Meaning::ExitSignal, &Value::Signed(signal)) if signal == i64::from(libc::SIGCHLD) => {
                format!("{signal} (SIGCHLD)")
            }
            (_, Value::Text(bytes)) => format!("\"{}\"", text::escape(text::until_nul(bytes))),
            (_, value) => self.hex().unwrap_or_else(|| value.to_string()),
        }
    }

    /// Numbers whose bits count, which are hexadecimal in JSON, too: a JSON number of more than 53
    /// bits is not safe with every program.
    fn hex(&self) -> Option<String> {
        match (self.meaning, &self.value) {
            (Meaning::Magic, Value::Unsigned(number)) => Some(format!("{number:#018x}")),
            (Meaning::Checksum, Value::Unsigned(number)) => Some(format!("{number:#010x}")),
            (Meaning::Flags, Value::Unsigned(number)) => Some(format!("{number:#x}")),
            _ => None,
        }
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn plain<S: Serializer>(value: &Value<'_>, serializer: S) -> Result<S::Ok, S::Error> {
            match value {
                Value::Unsigned(number) => serializer.serialize_u64(*number),
                Value::Signed(number) => serializer.serialize_i64(*number),
                Value::Text(bytes) => {
                    serializer.serialize_str(&text::escape(text::until_nul(bytes)))
                }
                Value::Array(values) => serializer.collect_seq(values.clone().map(Plain)),
            }
        }

        struct Plain<'p>(Value<'p>);

        impl Serialize for Plain<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                plain(&self.0, serializer)
            }
        }

        match self.hex() {
            Some(hex) => serializer.serialize_str(&hex),
            None => plain(&self.value, serializer),
        }
    }
}

/// The fields of a record: an object in JSON, in the order of the record.
pub(crate) struct Fields {
    record: Option<&'static str>,
    raw: RawRecord,
}

impl Fields {
    pub(crate) fn new(raw: RawRecord) -> Self {
        Fields {
            record: name_of(raw.header.kind),
            raw,
        }
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.raw.fields().into_iter().flatten();
        serializer.collect_map(
            fields.map(|(field, value)| (field.name, Shown::new(self.record, field.name, value))),
        )
    }
}
