// SPDX-License-Identifier: GPL-2.0

//! Without `C`, the compiler may change the order of the fields.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
struct Sample {
    value: u64,
}

fn main() {}
