// SPDX-License-Identifier: GPL-2.0

//! Pages of a process, on their way into or out of a file.
//!
//! A [`PageBatch`] names some pages and where in an address space they are. Their contents go
//! between the pages and a file without a copy: the batch is an array of `struct bio_vec`, as
//! `struct iov_iter` takes it.
//!
//! C headers: [`include/linux/bvec.h`](srctree/include/linux/bvec.h),
//! [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use crate::{
    bindings,
    crc32::crc32c_raw,
    page::PAGE_SIZE,
    prelude::*, //
};
use core::{
    mem::size_of,
    ptr,
    slice, //
};

/// The most pages that a batch has, and the most segments and extents.
pub const PAGES_MAX: usize = bindings::CR_PAGES_MAX as usize;
const EXTENTS_MAX: usize = bindings::CR_EXTENTS_MAX as usize;

/// Some pages, and where they are.
///
/// # Invariants
///
/// - Each member of `bvecs` is some whole pages in a row of one folio, of which it owns a reference.
///   Nobody else in the kernel writes to them through this type.
/// - `bytes` is the sum of their lengths.
/// - `bvecs` has a capacity of [`PAGES_MAX`] at least, and `extents` one of `EXTENTS_MAX`.
/// - If `fresh` is set, the pages were allocated for the extents, and are nobody's yet, or are those
///   that the new address space of the current task has there.
pub struct PageBatch {
    bvecs: KVVec<bindings::bio_vec>,
    extents: KVVec<bindings::cr_extent>,
    bytes: usize,
    nr_pages: u32,
    fresh: bool,
}

impl PageBatch {
    /// Makes an empty batch.
    pub fn new() -> Result<Self> {
        // INVARIANT: There are no pages, and the capacity is what it has to be.
        Ok(Self {
            bvecs: KVVec::with_capacity(PAGES_MAX, GFP_KERNEL_ACCOUNT)?,
            extents: KVVec::with_capacity(EXTENTS_MAX, GFP_KERNEL_ACCOUNT)?,
            bytes: 0,
            nr_pages: 0,
            fresh: false,
        })
    }

    /// Drops all pages, and forgets where they were.
    pub fn clear(&mut self) {
        // SAFETY: By the type invariants, each member owns a reference. They are forgotten below.
        unsafe {
            bindings::checkpoint_pages_put(self.bvecs.as_mut_ptr(), self.bvecs.len() as c_uint)
        };
        self.bvecs.clear();
        self.extents.clear();
        self.bytes = 0;
        self.nr_pages = 0;
        self.fresh = false;
    }

    /// Returns whether there are no pages.
    pub fn is_empty(&self) -> bool {
        self.bvecs.is_empty()
    }

    /// Returns how many bytes all pages have.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many pages there are.
    pub fn nr_pages(&self) -> u32 {
        self.nr_pages
    }

    /// Returns the pages.
    pub fn bvecs(&self) -> &[bindings::bio_vec] {
        &self.bvecs
    }

    /// Returns how many extents there are.
    pub fn nr_extents(&self) -> u32 {
        self.extents.len() as u32
    }

    /// Returns the extents: each a `struct cr_extent`.
    pub fn extent_bytes(&self) -> &[u8] {
        let bytes = self.extents.len() * size_of::<bindings::cr_extent>();

        // SAFETY: All of `extents` is initialized, and `struct cr_extent` has no padding.
        unsafe { slice::from_raw_parts(self.extents.as_ptr().cast(), bytes) }
    }

    /// Adds an extent, for which there are no pages yet.
    pub fn push_extent(&mut self, start: u64, nr_pages: u32, flags: u32) -> Result {
        if self.extents.len() >= EXTENTS_MAX {
            return Err(EINVAL);
        }
        self.fresh = false;
        self.extents.push(
            bindings::cr_extent {
                start,
                nr_pages,
                flags,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        Ok(())
    }

    /// Updates a running CRC-32C with the contents of all pages, see [`crc32c`](crate::crc32::crc32c).
    pub fn crc32c(&self, crc: u32) -> u32 {
        let mut crc = crc;

        for bvec in &self.bvecs {
            let (from, len) = segment(bvec);

            // SAFETY: By the type invariants, `from` is valid for reads of `len` bytes. No reference
            // to them is made: a page of a process may change meanwhile.
            crc = unsafe { crc32c_raw(crc, from.cast(), len) };
        }
        crc
    }

    /// Copies bytes from `offset` on to `to`, and returns how many.
    pub fn copy_to(&self, offset: usize, to: &mut [u8]) -> usize {
        self.pieces(offset, to.len(), |page, at, len| {
            let Some(to) = to.get_mut(at..).filter(|to| to.len() >= len) else {
                return;
            };
            // SAFETY: `page` is valid for reads of `len` bytes by the contract of `pieces()`, and
            // `to` is that long. The pages of a process are not Rust objects.
            unsafe { ptr::copy_nonoverlapping(page, to.as_mut_ptr(), len) };
        })
    }

    /// Copies `from` over the bytes from `offset` on, and returns how many.
    pub fn copy_from(&mut self, offset: usize, from: &[u8]) -> usize {
        self.pieces(offset, from.len(), |page, at, len| {
            let Some(from) = from.get(at..).filter(|from| from.len() >= len) else {
                return;
            };
            // SAFETY: `page` is valid for writes of `len` bytes by the contract of `pieces()`, and
            // `from` is that long. The pages of a process are not Rust objects.
            unsafe { ptr::copy_nonoverlapping(from.as_ptr(), page, len) };
        })
    }

    /// Calls `each` for all pieces of memory in `len` bytes from `offset` on: with its address,
    /// where in the range it begins, and its length, for which the address is valid. Returns how
    /// many bytes there were.
    fn pieces(
        &self,
        offset: usize,
        len: usize,
        mut each: impl FnMut(*mut u8, usize, usize),
    ) -> usize {
        let mut skip = offset;
        let mut done = 0;

        for bvec in &self.bvecs {
            let (page, bytes) = segment(bvec);
            if skip >= bytes {
                skip -= bytes;
                continue;
            }
            let piece = (bytes - skip).min(len - done);
            each(page.wrapping_add(skip), done, piece);
            skip = 0;
            done += piece;
            if done == len {
                break;
            }
        }
        done
    }

    /// Returns whether the pages were made for the extents.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Notes that the pages were made for the extents.
    ///
    /// # Safety
    ///
    /// They must have been, all of them, as the type invariants say.
    pub(super) unsafe fn set_fresh(&mut self) {
        // INVARIANT: By the safety requirements.
        self.fresh = true;
    }

    /// Lets `fill` work on this batch in C, with `next` as the address to begin at. Returns what it
    /// returned, and the address where to go on.
    ///
    /// # Safety
    ///
    /// `fill` must leave the structure such that the members of its arrays that it counts are as the
    /// type invariants say, no more than `PAGES_MAX` and `EXTENTS_MAX`.
    pub(super) unsafe fn with_raw(
        &mut self,
        next: usize,
        fill: impl FnOnce(*mut bindings::checkpoint_pages) -> c_int,
    ) -> (Result, usize) {
        let mut raw = bindings::checkpoint_pages {
            extents: self.extents.as_mut_ptr(),
            bvecs: self.bvecs.as_mut_ptr(),
            nr_extents: self.extents.len() as c_uint,
            nr_bvecs: self.bvecs.len() as c_uint,
            nr_pages: self.nr_pages,
            nr_skip: 0,
            next,
            skip: core::ptr::null(),
        };
        let result = crate::error::to_result(fill(&raw mut raw));

        self.extents.clear();
        self.bvecs.clear();
        self.fresh = false;
        // INVARIANT: By the safety requirements, so many members are there, with their references,
        // and the capacity is large enough for them.
        // SAFETY: Likewise.
        unsafe {
            self.extents.inc_len(raw.nr_extents as usize);
            self.bvecs.inc_len(raw.nr_bvecs as usize);
        }
        self.bytes = self.bvecs.iter().map(|bvec| bvec.bv_len as usize).sum();
        self.nr_pages = raw.nr_pages;
        (result, raw.next)
    }

    /// Makes a batch of `pages` pages full of zeros, which are nobody's, for a test.
    #[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
    pub fn zeroed(pages: usize) -> Result<Self> {
        let mut batch = Self::new()?;

        for _ in 0..pages.min(PAGES_MAX) {
            // SAFETY: Depending on the flags, the function may sleep, and so may a test.
            let page = unsafe { bindings::alloc_pages((GFP_KERNEL | __GFP_ZERO).as_raw(), 0) };
            if page.is_null() {
                return Err(ENOMEM);
            }
            // INVARIANT: The reference is the batch's. There is room.
            batch.bvecs.push(
                bindings::bio_vec {
                    bv_page: page,
                    bv_len: PAGE_SIZE as c_uint,
                    bv_offset: 0,
                },
                GFP_KERNEL,
            )?;
            batch.bytes += PAGE_SIZE;
            batch.nr_pages += 1;
        }
        Ok(batch)
    }
}

/// Returns the memory of a segment.
fn segment(bvec: &bindings::bio_vec) -> (*mut u8, usize) {
    // SAFETY: By the type invariants of `PageBatch`, which all callers pass members of, the page is
    // valid, and so are the others in the row: they have one address after the other.
    let page = unsafe { bindings::checkpoint_page_address(bvec.bv_page) };

    (
        page.cast::<u8>().wrapping_add(bvec.bv_offset as usize),
        bvec.bv_len as usize,
    )
}

impl Drop for PageBatch {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[macros::kunit_tests(checkpoint_mm_batch)]
mod tests {
    use super::*;
    use crate::crc32::crc32c;

    #[test]
    fn an_empty_batch_has_nothing() -> Result {
        let batch = PageBatch::new()?;

        assert!(batch.is_empty());
        assert_eq!(batch.bytes(), 0);
        assert_eq!(batch.extent_bytes().len(), 0);
        assert_eq!(batch.crc32c(7), 7);
        assert_eq!(batch.copy_to(0, &mut [0; 4]), 0);
        Ok(())
    }

    #[test]
    fn copies_cross_pages_and_end_with_them() -> Result {
        let mut batch = PageBatch::zeroed(2)?;
        let mut bytes = [0xff; 8];

        assert_eq!(batch.bytes(), 2 * PAGE_SIZE);
        assert_eq!(batch.nr_pages(), 2);
        assert_eq!(batch.copy_from(PAGE_SIZE - 2, b"abcd"), 4);
        assert_eq!(batch.copy_to(PAGE_SIZE - 4, &mut bytes), 8);
        assert_eq!(&bytes, b"\0\0abcd\0\0");
        assert_eq!(batch.copy_from(2 * PAGE_SIZE - 1, b"xy"), 1);
        assert_eq!(batch.copy_to(2 * PAGE_SIZE, &mut bytes), 0);
        Ok(())
    }

    #[test]
    fn crc_is_that_of_all_pages_in_a_row() -> Result {
        let mut batch = PageBatch::zeroed(2)?;
        let mut page = KVVec::from_elem(0u8, PAGE_SIZE, GFP_KERNEL)?;

        batch.copy_from(PAGE_SIZE, b"second");
        let first = crc32c(1, &page);
        page[..6].copy_from_slice(b"second");
        assert_eq!(batch.crc32c(1), crc32c(first, &page));
        Ok(())
    }

    #[test]
    fn extents_have_a_limit() -> Result {
        let mut batch = PageBatch::new()?;

        for i in 0..EXTENTS_MAX {
            batch.push_extent((i * PAGE_SIZE) as u64, 1, 0)?;
        }
        assert!(batch.push_extent(0, 1, 0) == Err(EINVAL));
        assert_eq!(batch.nr_extents() as usize, EXTENTS_MAX);
        assert_eq!(batch.extent_bytes().len(), EXTENTS_MAX * 16);
        batch.clear();
        assert_eq!(batch.nr_extents(), 0);
        Ok(())
    }
}
