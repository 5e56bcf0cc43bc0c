// SPDX-License-Identifier: GPL-2.0

//! Reads, verifies and writes checkpoint images on the host.
//!
//! What an image is, [`image`] tells: the code that the kernel is built of. The rest of this crate
//! is what the host needs around it: a [`Reader`] that walks over records without judging them,
//! [`verify`] which makes every check that needs no kernel, and an [`ImageBuilder`] for tests.

#![forbid(unsafe_code)]

mod build;
mod read;
mod refer;

#[path = "../../../checkpoint/image/mod.rs"]
pub mod image;

/// What bindgen makes of the C header, and of the magic numbers in `<linux/magic.h>`.
pub mod uapi {
    #![allow(missing_docs, non_camel_case_types, unreachable_pub)]

    mod bindings {
        include!(concat!(env!("OUT_DIR"), "/uapi.rs"));
    }

    /// The C types of the kernel, where `char` has no sign.
    mod ffi {
        pub(super) type c_char = u8;
        // Not all of them are in use in every version of the header.
        #[allow(unused_imports)]
        pub(super) use core::ffi::{
            c_int,
            c_long,
            c_longlong,
            c_schar,
            c_short,
            c_uchar,
            c_uint,
            c_ulong,
            c_ulonglong,
            c_ushort, //
        };
    }

    pub use bindings::*;
}

pub use build::{
    reseal,
    rewrite,
    BulkData,
    Detail,
    ImageBuilder,
    Mapping,
    Object,
    Parts,
    TaskRecords,
    SAMPLE_KERNEL, //
};
pub use ckpt_macros::Record;
pub use read::{
    verify,
    Error,
    RawBulk,
    RawRecord,
    Reader,
    Summary,
    TaskSummary,
    Tasks,
    Totals, //
};
pub use refer::References;

/// Returns the CRC-32C of some bytes and then `bytes`, where `crc` is that of the bytes before.
pub fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}
