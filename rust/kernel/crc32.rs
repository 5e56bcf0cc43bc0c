// SPDX-License-Identifier: GPL-2.0

//! Cyclic redundancy checks.
//!
//! C header: [`include/linux/crc32.h`](srctree/include/linux/crc32.h)
//!
//! The kernel's CRC-32C uses an instruction of the processor where there is one. In an emulated
//! machine that may take ten times as long as a table: QEMU's TCG goes through it bit by bit. So the
//! first one who needs a CRC measures both, and everyone uses the faster.

use core::{
    ptr,
    sync::atomic::{
        AtomicU8,
        Ordering, //
    }, //
};

use crate::{
    bindings,
    time::{
        Instant,
        Monotonic, //
    }, //
};

/// The polynomial of Castagnoli, lowest power in the highest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Bytes that are taken at once.
const STEP: usize = 8;

/// `TABLES[k][b]` is what byte `b` adds to the CRC `k` bytes later.
static TABLES: [[u32; 256]; STEP] = tables();

// The indices are constant or bytes, and the tables have a place for each.
#[allow(clippy::indexing_slicing)]
const fn tables() -> [[u32; 256]; STEP] {
    let mut tables = [[0; 256]; STEP];
    let mut byte = 0;

    while byte < 256 {
        let mut crc = byte as u32;
        let mut k = 0;

        while k < STEP {
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
                bit += 1;
            }
            tables[k][byte] = crc;
            k += 1;
        }
        byte += 1;
    }
    tables
}

/// Updates a CRC-32C by tables. As the C function, it leaves the inversions to its caller.
///
/// # Safety
///
/// `from` must be valid for reads of `len` bytes. These may change meanwhile.
// The indices are constant or bytes, and the tables have a place for each.
#[allow(clippy::indexing_slicing)]
unsafe fn by_tables(mut crc: u32, mut from: *const u8, mut len: usize) -> u32 {
    let byte = |crc: u32, next: u8| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ TABLES[0][usize::from(low ^ next)]
    };

    while len > 0 && (from as usize) % STEP != 0 {
        // SAFETY: There is a byte left.
        crc = byte(crc, unsafe { from.read_volatile() });
        // SAFETY: At most one byte behind the last one.
        from = unsafe { from.add(1) };
        len -= 1;
    }
    while len >= STEP {
        // SAFETY: There are so many bytes left, and the address is a multiple of their number.
        let word = unsafe { from.cast::<u64>().read_volatile() };
        let [a, b, c, d, e, f, g, h] = (u64::from_le(word) ^ u64::from(crc)).to_le_bytes();

        crc = TABLES[7][usize::from(a)]
            ^ TABLES[6][usize::from(b)]
            ^ TABLES[5][usize::from(c)]
            ^ TABLES[4][usize::from(d)]
            ^ TABLES[3][usize::from(e)]
            ^ TABLES[2][usize::from(f)]
            ^ TABLES[1][usize::from(g)]
            ^ TABLES[0][usize::from(h)];
        // SAFETY: At most one byte behind the last one.
        from = unsafe { from.add(STEP) };
        len -= STEP;
    }
    while len > 0 {
        // SAFETY: There is a byte left.
        crc = byte(crc, unsafe { from.read_volatile() });
        // SAFETY: At most one byte behind the last one.
        from = unsafe { from.add(1) };
        len -= 1;
    }
    crc
}

/// Not measured yet.
const UNKNOWN: u8 = 0;
/// The kernel's own is used.
const KERNEL: u8 = 1;
/// Tables are used.
const BY_TABLES: u8 = 2;

static FASTER: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Measures which is faster: a few microseconds. Two that do it at once both do it right.
#[cold]
fn measure() -> u8 {
    const RUNS: usize = 5;
    // Bytes that are there anyway.
    let (data, len) = (ptr::from_ref(&TABLES).cast::<u8>(), size_of_val(&TABLES));
    let mut best = [i64::MAX; 2];
    let mut crc = 0;

    for _ in 0..RUNS {
        let begin = Instant::<Monotonic>::now();
        // SAFETY: `data` is valid for reads of `len` bytes.
        crc ^= unsafe { bindings::crc32c(0, data.cast(), len) };
        best[0] = best[0].min(begin.elapsed().as_nanos());

        let begin = Instant::<Monotonic>::now();
        // SAFETY: As above.
        crc ^= unsafe { by_tables(0, data, len) };
        best[1] = best[1].min(begin.elapsed().as_nanos());
    }

    // Two different answers cannot be; then it is the tables that are not to be trusted. Where they
    // are not much faster, their place in the cache is of better use.
    let faster = if crc == 0 && best[1] < best[0] / 2 {
        BY_TABLES
    } else {
        KERNEL
    };
    FASTER.store(faster, Ordering::Relaxed);
    faster
}

/// Updates a running CRC-32C with some bytes, see [`crc32c`].
///
/// # Safety
///
/// `from` must be valid for reads of `len` bytes. These may change meanwhile, and then what comes
/// of it is any value.
pub(crate) unsafe fn crc32c_raw(crc: u32, from: *const u8, len: usize) -> u32 {
    let mut faster = FASTER.load(Ordering::Relaxed);
    if faster == UNKNOWN {
        faster = measure();
    }

    if faster == BY_TABLES {
        // SAFETY: By the contract of this function.
        !unsafe { by_tables(!crc, from, len) }
    } else {
        // SAFETY: By the contract of this function.
        !unsafe { bindings::crc32c(!crc, from.cast(), len) }
    }
}

/// Updates a running CRC-32C with `data`.
///
/// Takes and returns the finished value: 0 starts a computation, and
/// `crc32c(crc32c(0, a), b)` is the CRC-32C of `a` followed by `b`. (The C function leaves the
/// inversions at both ends to its caller.)
#[inline]
pub fn crc32c(crc: u32, data: &[u8]) -> u32 {
    // SAFETY: `data` is valid for reads of `data.len()` bytes.
    unsafe { crc32c_raw(crc, data.as_ptr(), data.len()) }
}

#[macros::kunit_tests(rust_crc32)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_of_digits() {
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(crc32c(0, b"1234"), b"56789"), 0xe306_9283);
        assert_eq!(crc32c(7, b""), 7);
    }

    #[test]
    fn tables_are_as_the_kernels() {
        let data = TABLES.as_flattened();
        let (data, len) = (data.as_ptr().cast::<u8>(), size_of_val(data));

        // Each alignment, and each rest.
        for begin in 0..2 * STEP {
            for end in 0..2 * STEP {
                let (begin, len) = (data.wrapping_add(begin), len - begin - end);

                // SAFETY: Within the tables.
                let (kernel, tables) = unsafe {
                    (
                        bindings::crc32c(1, begin.cast(), len),
                        by_tables(1, begin, len),
                    )
                };
                assert_eq!(kernel, tables);
            }
        }
    }
}
