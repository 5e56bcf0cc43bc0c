// SPDX-License-Identifier: GPL-2.0

//! A number that is no value of the enum is undefined behaviour.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(u64)]
enum Sample {
    One = 1,
}

fn main() {}
