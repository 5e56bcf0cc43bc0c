// SPDX-License-Identifier: GPL-2.0

//! These have another width on a 32-bit machine.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    size: usize,
    difference: isize,
    all: [usize; 3],
    long: core::ffi::c_long,
}

fn main() {}
