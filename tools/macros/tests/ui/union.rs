// SPDX-License-Identifier: GPL-2.0

//! Bytes that belong to one member only may not be set.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
union Sample {
    number: u64,
    byte: u8,
}

fn main() {}
