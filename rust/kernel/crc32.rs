// SPDX-License-Identifier: GPL-2.0

//! Cyclic redundancy checks.
//!
//! C header: [`include/linux/crc32.h`](srctree/include/linux/crc32.h)

use crate::bindings;

/// Updates a running CRC-32C with `data`.
///
/// Takes and returns the finished value: 0 starts a computation, and
/// `crc32c(crc32c(0, a), b)` is the CRC-32C of `a` followed by `b`. (The C function leaves the
/// inversions at both ends to its caller.)
#[inline]
pub fn crc32c(crc: u32, data: &[u8]) -> u32 {
    // SAFETY: `data` is valid for reads of `data.len()` bytes.
    !unsafe { bindings::crc32c(!crc, data.as_ptr().cast(), data.len()) }
}
