// SPDX-License-Identifier: GPL-2.0

//! Bulk data: what is announced by a record, and is no record itself.
//!
//! A page is read right to where it belongs, so it stands at a multiple of the page size from the
//! begin of the image, and its checksum is in the record that announces it.

use core::mem::{
    align_of,
    offset_of,
    size_of, //
};

use zerocopy::FromBytes as _;
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    record::padding_len,
    Context,
    Header,
    Reason,
    Validate, //
};
use crate::{
    uapi,
    Record, //
};

/// Bytes of a page that `CR_EXTENT_HUGE` stands for.
const HUGE_SIZE: u64 = 2 << 20;

/// Announces private pages of an address space.
///
/// C: `struct cr_hdr_pages`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_PAGES, abi = cr_hdr_pages)]
pub struct Pages {
    /// `CR_HDR_EXTENTS`, which follows, has a `struct cr_extent` for each.
    pub nr_extents: u32,
    /// Pages in all of them.
    pub nr_pages: u32,
    /// CRC-32C of the pages.
    pub crc: u32,
    /// Number of the task that the address space came with, ascending.
    pub task: u32,
}

impl Pages {
    /// Returns how many bytes `CR_HDR_EXTENTS` has.
    pub fn extents_len(&self) -> usize {
        (self.nr_extents as usize).saturating_mul(Extent::SIZE)
    }
}

impl Validate for Pages {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_in("task", self.task, 1, uapi::CR_TASKS_MAX)?;
        Reason::unless_in("nr_pages", self.nr_pages, 1, uapi::CR_PAGES_MAX)?;
        Reason::unless_in("nr_extents", self.nr_extents, 1, uapi::CR_EXTENTS_MAX)?;
        // None is empty.
        Reason::unless_in("nr_extents", self.nr_extents, 1, self.nr_pages)
    }
}

/// Announces private pages that an address space shares with others, as after fork(2).
///
/// C: `struct cr_hdr_shared`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SHARED, abi = cr_hdr_shared)]
pub struct SharedPages {
    /// `CR_HDR_SHARED_EXTENTS`, which follows, has a `struct cr_shared_extent` for each.
    pub nr_extents: u32,
    /// Number of the task that the address space came with.
    pub task: u32,
}

impl SharedPages {
    /// Returns how many bytes `CR_HDR_SHARED_EXTENTS` has.
    pub fn extents_len(&self) -> usize {
        (self.nr_extents as usize).saturating_mul(SharedExtent::SIZE)
    }
}

impl Validate for SharedPages {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        // There are tasks before it.
        Reason::unless_in("task", self.task, 2, uapi::CR_TASKS_MAX)?;
        Reason::unless_in("nr_extents", self.nr_extents, 1, uapi::CR_EXTENTS_MAX)
    }
}

/// Announces contents of a pipe or of shared memory.
///
/// C: `struct cr_hdr_data`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_DATA, abi = cr_hdr_data)]
pub struct Data {
    /// The object.
    pub objref: u32,
    /// CRC-32C of the bytes.
    pub crc: u32,
    /// Where in the object they are; for a pipe, bytes before these.
    pub offset: u64,
    /// How many, without the zeros behind them up to a multiple of 8.
    pub len: u64,
}

impl Validate for Data {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_object("objref", self.objref)?;
        Reason::unless_max("len", self.len, u64::from(uapi::CR_DATA_LEN_MAX))?;
        if self.len == 0 {
            return Err(Reason::BelowLimit {
                field: "len",
                found: 0,
                limit: 1,
            });
        }
        Reason::unless_max(
            "offset",
            self.offset,
            (i64::MAX as u64).saturating_sub(self.len),
        )
    }
}

/// Some pages in a row.
///
/// C: `struct cr_extent`
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C, align(8))]
pub struct Extent {
    /// Address of the first.
    pub start: u64,
    /// How many.
    pub nr_pages: u32,
    /// `CR_EXTENT_*`
    pub flags: u32,
}

// It is no record by itself, so that the derive macro is of no use to it.
const _: () = {
    assert!(size_of::<Extent>() == size_of::<uapi::cr_extent>());
    assert!(align_of::<Extent>() == align_of::<uapi::cr_extent>());
    assert!(offset_of!(Extent, start) == offset_of!(uapi::cr_extent, start));
    assert!(offset_of!(Extent, nr_pages) == offset_of!(uapi::cr_extent, nr_pages));
    assert!(offset_of!(Extent, flags) == offset_of!(uapi::cr_extent, flags));
};
const _: fn(&uapi::cr_extent) = |abi| {
    let uapi::cr_extent {
        start,
        nr_pages,
        flags,
    } = abi;
    let _: (&u64, &u32, &u32) = (start, nr_pages, flags);
};

impl Extent {
    /// Bytes of an extent.
    pub const SIZE: usize = size_of::<Extent>();

    /// Returns the byte behind the last; more than any address if there is no such byte.
    pub fn end(&self, page_size: u32) -> u64 {
        let len = u64::from(self.nr_pages).saturating_mul(u64::from(page_size));
        self.start.saturating_add(len)
    }

    /// Returns whether this is one huge page.
    pub const fn is_huge(&self) -> bool {
        self.flags & uapi::CR_EXTENT_HUGE != 0
    }

    /// Refuses what can be refused without knowing what was before.
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_bits("flags", self.flags, uapi::CR_EXTENT_HUGE)?;
        Reason::unless_in("nr_pages", self.nr_pages, 1, uapi::CR_PAGES_MAX)?;
        let end = self.end(context.page_size);
        context.unless_range("start", self.start, "end", end)?;
        if self.is_huge() {
            Reason::unless_multiple("start", self.start, HUGE_SIZE)?;
            let len = end.saturating_sub(self.start);
            if len != HUGE_SIZE {
                return Err(Reason::HugeSize {
                    found: self.nr_pages,
                });
            }
        }
        Ok(())
    }
}

/// The extents of a `CR_HDR_EXTENTS`, of which the bytes may have any alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extents<'p>(&'p [u8]);

impl<'p> Extents<'p> {
    /// Takes `bytes` for extents; what is left over behind the last is not looked at.
    pub const fn new(bytes: &'p [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub const fn bytes(self) -> &'p [u8] {
        self.0
    }

    /// Returns how many there are.
    pub const fn len(self) -> usize {
        self.0.len() / Extent::SIZE
    }

    /// Returns whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Iterates over them.
    pub fn iter(self) -> impl Iterator<Item = Extent> + Clone + 'p {
        // The rest of a division is left out, but the length has been checked.
        self.0
            .chunks_exact(Extent::SIZE)
            .filter_map(|bytes| Extent::read_from_bytes(bytes).ok())
    }

    /// Refuses extents that do not come one after the other, from `end` on, or that are not those
    /// which `pages` announces. Returns where the last one ends.
    pub(super) fn check(
        self,
        pages: &Pages,
        mut end: u64,
        context: &Context<'_>,
    ) -> Result<u64, Reason> {
        let mut count: u64 = 0;
        for extent in self.iter() {
            extent.validate(context)?;
            Reason::unless_not_below("start", extent.start, end)?;
            end = extent.end(context.page_size);
            count = count.saturating_add(u64::from(extent.nr_pages));
        }
        if count != u64::from(pages.nr_pages) {
            return Err(Reason::PageCount {
                found: count,
                expected: pages.nr_pages,
            });
        }
        Ok(end)
    }
}

/// Some pages in a row that another address space has.
///
/// C: `struct cr_shared_extent`
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C, align(8))]
pub struct SharedExtent {
    /// Address of the first.
    pub start: u64,
    /// Its address in the other one.
    pub from_start: u64,
    /// How many.
    pub nr_pages: u32,
    /// Number of the task that the other one came with.
    pub from_task: u32,
}

// As for `Extent`.
const _: () = {
    assert!(size_of::<SharedExtent>() == size_of::<uapi::cr_shared_extent>());
    assert!(align_of::<SharedExtent>() == align_of::<uapi::cr_shared_extent>());
    assert!(offset_of!(SharedExtent, start) == offset_of!(uapi::cr_shared_extent, start));
    assert!(offset_of!(SharedExtent, from_start) == offset_of!(uapi::cr_shared_extent, from_start));
    assert!(offset_of!(SharedExtent, nr_pages) == offset_of!(uapi::cr_shared_extent, nr_pages));
    assert!(offset_of!(SharedExtent, from_task) == offset_of!(uapi::cr_shared_extent, from_task));
};
const _: fn(&uapi::cr_shared_extent) = |abi| {
    let uapi::cr_shared_extent {
        start,
        from_start,
        nr_pages,
        from_task,
    } = abi;
    let _: (&u64, &u64, &u32, &u32) = (start, from_start, nr_pages, from_task);
};

impl SharedExtent {
    /// Bytes of an extent.
    pub const SIZE: usize = size_of::<SharedExtent>();

    /// Returns the byte behind the last; more than any address if there is no such byte.
    pub fn end(&self, page_size: u32) -> u64 {
        self.end_of(self.start, page_size)
    }

    /// Likewise in the other address space.
    pub fn from_end(&self, page_size: u32) -> u64 {
        self.end_of(self.from_start, page_size)
    }

    fn end_of(&self, start: u64, page_size: u32) -> u64 {
        start.saturating_add(u64::from(self.nr_pages).saturating_mul(page_size.into()))
    }

    /// Refuses what can be refused without knowing what was before, in an address space that came
    /// with `task`.
    fn validate(&self, task: u32, context: &Context<'_>) -> Result<(), Reason> {
        let (end, from_end) = (
            self.end(context.page_size),
            self.from_end(context.page_size),
        );

        Reason::unless_in("nr_pages", self.nr_pages, 1, u32::MAX)?;
        Reason::unless_in("from_task", self.from_task, 1, task.saturating_sub(1))?;
        context.unless_range("start", self.start, "end", end)?;
        context.unless_range("from_start", self.from_start, "from_end", from_end)
    }
}

/// The extents of a `CR_HDR_SHARED_EXTENTS`, of which the bytes may have any alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedExtents<'p>(&'p [u8]);

impl<'p> SharedExtents<'p> {
    /// Takes `bytes` for extents; what is left over behind the last is not looked at.
    pub const fn new(bytes: &'p [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub const fn bytes(self) -> &'p [u8] {
        self.0
    }

    /// Iterates over them.
    pub fn iter(self) -> impl Iterator<Item = SharedExtent> + Clone + 'p {
        self.0
            .chunks_exact(SharedExtent::SIZE)
            .filter_map(|bytes| SharedExtent::read_from_bytes(bytes).ok())
    }

    /// Refuses extents that do not come one after the other, from `end` on, or that refer to what is
    /// not before `shared`. Returns where the last one ends.
    pub(super) fn check(
        self,
        shared: &SharedPages,
        mut end: u64,
        context: &Context<'_>,
    ) -> Result<u64, Reason> {
        for extent in self.iter() {
            extent.validate(shared.task, context)?;
            Reason::unless_not_below("start", extent.start, end)?;
            end = extent.end(context.page_size);
        }
        Ok(end)
    }
}

/// What the bytes of some bulk data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkKind {
    /// The pages of the last [`Extents`], in their order.
    Pages {
        /// How many.
        nr_pages: u32,
        /// Number of the task that their address space came with.
        task: u32,
    },
    /// No bytes: the pages of the last [`SharedExtents`] are there already.
    Shared {
        /// Number of the task that the address space came with which gets them.
        task: u32,
    },
    /// Contents of a pipe or of shared memory.
    Data {
        /// The object.
        objref: u32,
        /// Where in it they are.
        offset: u64,
    },
}

/// Bulk data that comes next in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// What the bytes are.
    pub kind: BulkKind,
    /// How many, without the zeros behind them.
    pub len: u64,
    /// How many, with the zeros behind them: a multiple of 8.
    pub padded: u64,
    /// Their CRC-32C, the zeros left out.
    pub crc: u32,
}

impl Bulk {
    /// Returns what `pages` announces.
    pub fn of_pages(pages: &Pages, page_size: u32) -> Self {
        let len = u64::from(pages.nr_pages).saturating_mul(u64::from(page_size));
        Self::new(
            BulkKind::Pages {
                nr_pages: pages.nr_pages,
                task: pages.task,
            },
            len,
            pages.crc,
        )
    }

    /// Returns what `shared` announces: that nothing comes.
    pub fn of_shared(shared: &SharedPages) -> Self {
        Self::new(BulkKind::Shared { task: shared.task }, 0, 0)
    }

    /// Returns what `data` announces.
    pub fn of_data(data: &Data) -> Self {
        Self::new(
            BulkKind::Data {
                objref: data.objref,
                offset: data.offset,
            },
            data.len,
            data.crc,
        )
    }

    fn new(kind: BulkKind, len: u64, crc: u32) -> Self {
        let padding = padding_len(len as usize) as u64;
        Self {
            kind,
            len,
            padded: len.saturating_add(padding),
            crc,
        }
    }

    /// Returns how many zeros are behind the bytes: 7 at most.
    pub fn padding_len(&self) -> usize {
        self.padded.saturating_sub(self.len) as usize
    }
}

/// Returns how many bytes of payload a `CR_HDR_PAD` at `offset` has, [`None`] if there must be none
/// because a page can begin there.
///
/// A gap that is too long for one record takes several.
pub fn pad_len(offset: u64, page_size: u32) -> Option<usize> {
    let mask = u64::from(page_size).saturating_sub(1);
    let gap = offset.wrapping_neg() & mask;
    if gap == 0 {
        return None;
    }
    // Records begin at multiples of 8, and so does a gap: there is room for a header at least.
    let len = gap.saturating_sub(Header::SIZE as u64);
    Some(len.min(PAD_MAX) as usize)
}

/// The longest payload of `CR_HDR_PAD`: that of any record, without padding behind it.
const PAD_MAX: u64 = (uapi::CR_LEN_MAX / uapi::CR_ALIGN * uapi::CR_ALIGN) as u64;
