// SPDX-License-Identifier: GPL-2.0

//! An address means nothing to who reads the image.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    next: *const u64,
    table: [*mut u8; 2],
    call: fn(),
}

fn main() {}
