// SPDX-License-Identifier: GPL-2.0

//! What a checkpoint image is: records, limits, and the checks that an image has to pass.
//!
//! This module is compiled twice: into the kernel, which writes and restores images, and into the
//! tools, which print and verify them on the host. So both agree by construction, and a program
//! can fuzz on the host the very code that stands between a hostile image and the kernel. For
//! that, it uses nothing but `core` and zerocopy, and these of its crate root:
//!
//! - `uapi`: what bindgen makes of `checkpoint_hdr.h` and `magic.h`;
//! - `Record`: the derive macro of `rust/macros/record.rs`;
//! - `crc32c(crc, bytes)`: the CRC-32C of some bytes and then `bytes`, where `crc` is that of the
//!   bytes before, 0 if there were none.
//!
//! There is no `unsafe`, no allocation and no way to panic here; the lints below see to the last.
//!
//! | file | what |
//! |---|---|
//! | `record.rs` | header, fields, and the trait of every record |
//! | `head.rs`, `task.rs`, `tail.rs` | the records |
//! | `check.rs` | the reading side: which record may follow which, and whether it is valid |
//! | `refusal.rs` | why an image is not taken |
//! | `encode.rs` | the writing side |
//!
//! To add a record: declare its struct in the C header and in a module here, say in its
//! [`Validate`] what makes its values valid, name it in `records!` below, and say in `check.rs`
//! where it may stand.
//!
//! C header: [`include/uapi/linux/checkpoint_hdr.h`](srctree/include/uapi/linux/checkpoint_hdr.h)

// An image is hostile input, and the kernel must not panic on it.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
#![deny(unsafe_code)]

mod check;
mod encode;
mod head;
mod record;
mod refusal;
mod tail;
mod task;

pub use check::{
    Checker,
    Expect,
    Kernel, //
};
pub use encode::Encoder;
pub use head::Head;
pub use record::{
    Context,
    Description,
    Field,
    FieldKind,
    FieldType,
    Header,
    Record,
    Text,
    UtsText,
    Validate,
    Value,
    Values, //
};
pub use refusal::{
    Errno,
    Reason,
    Refusal, //
};
pub use tail::Tail;
pub use task::{
    Task,
    TaskStats, //
};

/// The list of all records.
///
/// Makes [`Kind`] and [`Item`] of it. The records in the second list have a number, but nobody
/// writes them yet: an image that has one is refused by its name.
macro_rules! records {
    (
        $($(#[$doc:meta])* $name:ident,)+
        @reserved $($reserved:ident,)+
    ) => {
        /// The kinds of record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            /// Text of any length, which belongs to the record before it.
            String,
            $($(#[$doc])* $name,)+
        }

        impl Kind {
            /// Every kind that can be read.
            pub const ALL: &'static [Kind] = &[Kind::String, $(Kind::$name,)+];

            /// Returns the number of this kind in [`Header::kind`].
            pub const fn number(self) -> i16 {
                match self {
                    Kind::String => Text::TYPE,
                    $(Kind::$name => <$name as Record>::TYPE,)+
                }
            }

            /// Returns the name of this kind, as in the C header without `CR_HDR_`.
            pub const fn name(self) -> &'static str {
                match self {
                    Kind::String => Text::NAME,
                    $(Kind::$name => <$name as Record>::NAME,)+
                }
            }

            /// Returns the fields of the payload of this kind.
            pub const fn fields(self) -> &'static [Field] {
                match self {
                    Kind::String => Text::FIELDS,
                    $(Kind::$name => <$name as Record>::FIELDS,)+
                }
            }

            /// Returns the number of bytes of the payload, [`None`] if it varies.
            pub const fn payload_len(self) -> Option<u16> {
                match self {
                    Kind::String => None,
                    $(Kind::$name => Some(<$name as Record>::LEN),)+
                }
            }
        }

        /// A record that has been read, and is valid.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Item<'p> {
            /// Text of any length, which belongs to the record before it.
            Text(&'p [u8]),
            $($(#[$doc])* $name($name),)+
        }

        impl<'p> Item<'p> {
            /// Makes a value of the payload of a record, and validates it.
            fn decode(
                kind: Kind,
                payload: &'p [u8],
                context: &Context<'_>,
            ) -> Result<Self, Reason> {
                match kind {
                    Kind::String => Ok(Item::Text(payload)),
                    $(Kind::$name => record::decode(payload, context).map(Item::$name),)+
                }
            }
        }

        /// The names of the record types that nobody writes yet.
        const RESERVED: &[(u32, &str)] = &[
            $((crate::uapi::$reserved, stringify!($reserved)),)+
        ];
    };
}

records! {
    /// First record of an image.
    Head,
    /// A task; a [`Kind::String`] with its comm follows.
    Task,
    /// What a task has used up.
    TaskStats,
    /// Last record of an image.
    Tail,

    @reserved
    CR_HDR_THREAD,
    CR_HDR_CPU,
    CR_HDR_MM,
    CR_HDR_VMA,
    CR_HDR_MM_CONTEXT,
}

// A record is known by its number alone.
const _: () = {
    let mut kinds = Kind::ALL;
    while let [kind, others @ ..] = kinds {
        let mut rest = others;
        while let [other, more @ ..] = rest {
            assert!(
                kind.number() != other.number(),
                "two records have one number"
            );
            rest = more;
        }
        let mut rest = RESERVED;
        while let [(reserved, _), more @ ..] = rest {
            assert!(
                kind.number() as u32 != *reserved,
                "a record has a reserved number"
            );
            rest = more;
        }
        kinds = others;
    }
};

impl Kind {
    /// Returns the kind with `number`, [`None`] if there is none that can be read.
    pub fn from_number(number: i16) -> Option<Kind> {
        Kind::ALL
            .iter()
            .copied()
            .find(|kind| kind.number() == number)
    }
}

/// Returns the name of a record type, as in the C header without `CR_HDR_`.
///
/// Types that are reserved have a name, too. [`None`] if the number stands for nothing.
pub fn name_of(number: i16) -> Option<&'static str> {
    Kind::from_number(number).map(Kind::name).or_else(|| {
        RESERVED
            .iter()
            .find(|&&(reserved, _)| reserved == number.unsigned_abs().into() && number > 0)
            .map(|&(_, name)| name.strip_prefix("CR_HDR_").unwrap_or(name))
    })
}

/// Takes the payload of a record apart, without judging it.
///
/// Ends at the first field for which `payload` is too short.
pub fn describe(kind: Kind, payload: &[u8]) -> Description<'_> {
    Description::new(kind.fields(), payload)
}
