// SPDX-License-Identifier: GPL-2.0

//! All that is wrong is said at once.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE)]
struct Sample {
    pointer: *const u8,
    flag: bool,
}

fn main() {}
