// SPDX-License-Identifier: GPL-2.0

//! The kernel does not compute with these.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    load: f64,
}

fn main() {}
