// SPDX-License-Identifier: GPL-2.0

//! The names are part of the ABI.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample(u64);

fn main() {}
