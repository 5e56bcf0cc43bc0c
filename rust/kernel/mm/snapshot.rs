// SPDX-License-Identifier: GPL-2.0

//! Looking at the address space of a process that stands still.
//!
//! # Locking
//!
//! Each call takes `mmap_lock` for reading and drops it again; [`AddressSpace::collect_pages`] takes
//! page table locks under it. Nothing is held between calls. That the mappings do not change
//! meanwhile is up to the caller, who lets the process stand still; that pages do not change is so
//! for the same reason, whatever reclaim and migration do to where they are.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    batch::PageBatch,
    policy::Policy,
    MmWithUser, //
};
use crate::{
    bindings,
    fs::File,
    prelude::*,
    str::CStrExt as _,
    sync::aref::ARef,
    task::Task, //
};
use core::{
    mem::{
        size_of,
        MaybeUninit, //
    },
    ptr::NonNull,
    slice, //
};

/// A structure of an image, as C declares it.
///
/// # Safety
///
/// All members are integers, or arrays of them, and there is no padding between or behind them.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: `checkpoint_hdr.h` spells all padding out.
unsafe impl Plain for bindings::cr_hdr_mm {}
// SAFETY: As above.
unsafe impl Plain for bindings::cr_hdr_mm_context {}
// SAFETY: As above.
unsafe impl Plain for bindings::cr_hdr_vma {}
// SAFETY: As above.
unsafe impl Plain for bindings::cr_hdr_guard {}
// SAFETY: As above.
unsafe impl Plain for bindings::cr_hdr_aio {}
// SAFETY: As above.
unsafe impl Plain for bindings::cr_shared_extent {}

/// Returns the bytes of `plain`.
pub(super) fn bytes_of<T: Plain>(plain: &T) -> &[u8] {
    // SAFETY: All of `plain` is initialized, as there is no padding.
    unsafe { slice::from_raw_parts(core::ptr::from_ref(plain).cast(), size_of::<T>()) }
}

/// Makes a structure of its bytes.
pub(super) fn of_bytes<T: Plain>(bytes: &[u8]) -> Result<T> {
    if bytes.len() != size_of::<T>() {
        return Err(EINVAL);
    }
    // SAFETY: There are enough bytes, and any of them make integers.
    Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// A guard region: a `struct cr_hdr_guard`.
pub struct Guard(pub(super) bindings::cr_hdr_guard);

impl Guard {
    /// Makes one of the bytes of the structure.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(Self(of_bytes(bytes)?))
    }

    /// Returns the bytes of the structure.
    pub fn bytes(&self) -> &[u8] {
        bytes_of(&self.0)
    }

    /// Returns where it ends.
    pub fn end(&self) -> u64 {
        self.0.end
    }
}

/// A context of io_setup(2): a `struct cr_hdr_aio`, and how large its ring is.
pub struct Aio {
    pub(super) aio: bindings::cr_hdr_aio,
    pub(super) size: usize,
}

impl Aio {
    /// Makes one of the bytes of the structure.
    pub fn from_bytes(bytes: &[u8], size: usize) -> Result<Self> {
        Ok(Self {
            aio: of_bytes(bytes)?,
            size,
        })
    }

    /// Returns the bytes of the structure.
    pub fn bytes(&self) -> &[u8] {
        bytes_of(&self.aio)
    }

    /// Returns how many bytes its ring has.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// Address spaces that are saved, each with the number of the task that it comes with.
///
/// # Invariants
///
/// `raw` has the pointer of each of `spaces`, and is sorted by them unless `unsorted` is set.
#[derive(Default)]
pub struct Spaces {
    raw: KVVec<bindings::checkpoint_space>,
    spaces: KVVec<ARef<MmWithUser>>,
    unsorted: bool,
}

impl Spaces {
    /// Adds one.
    pub fn add(&mut self, space: &AddressSpace, task: u32) -> Result {
        self.spaces.push(space.mm.clone(), GFP_KERNEL_ACCOUNT)?;
        // INVARIANT: The order is said to be none. Should this fail, no pointer is without its
        // address space.
        self.unsorted = true;
        Ok(self.raw.push(
            bindings::checkpoint_space {
                mm: space.mm.as_raw(),
                task,
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }

    /// Has them looked for from now on.
    pub fn sort(&mut self) {
        self.raw.sort_unstable_by_key(|space| space.mm.addr());
        // INVARIANT: Just sorted.
        self.unsorted = false;
    }
}

/// Pages that an address space shares with others, ascending by their addresses.
///
/// # Invariants
///
/// They ascend, and none is in two of the extents.
#[derive(Default)]
pub struct SharedPages(KVVec<bindings::cr_shared_extent>);

impl SharedPages {
    /// Iterates over as many extents as one record has, as bytes: each a `struct cr_shared_extent`.
    pub fn chunks(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.0
            .chunks(bindings::CR_EXTENTS_MAX as usize)
            .map(|extents| {
                // SAFETY: All of `extents` is initialized, and the structure has no padding.
                let bytes = unsafe {
                    slice::from_raw_parts(extents.as_ptr().cast(), core::mem::size_of_val(extents))
                };

                // As many as there are in a chunk.
                (extents.len() as u32, bytes)
            })
    }
}

/// The address space of a process.
pub struct AddressSpace {
    mm: ARef<MmWithUser>,
}

impl AddressSpace {
    /// Takes a reference on the address space of `task`, if it has one.
    #[doc(alias = "get_task_mm")]
    pub fn of(task: &Task) -> Option<Self> {
        // SAFETY: `task` is a valid task; the function takes the lock that it needs.
        let mm = NonNull::new(unsafe { bindings::get_task_mm(task.as_ptr()) })?;

        Some(Self {
            // SAFETY: The reference that the function took is handed over. `MmWithUser` is a
            // transparent wrapper of `struct mm_struct`.
            mm: unsafe { ARef::from_raw(mm.cast()) },
        })
    }

    /// Tells whether more than `known` tasks have the address space.
    pub fn is_shared(&self, known: usize) -> bool {
        let known = c_uint::try_from(known).unwrap_or(c_uint::MAX - 1);

        // SAFETY: The pointer is valid.
        unsafe { bindings::checkpoint_mm_shared(self.mm.as_raw(), known) }
    }

    /// Returns what keeps the address space of `task` from being saved, if anything does. Neither
    /// who else has it nor the mappings are looked at.
    pub fn refused(&self, task: &Task) -> Option<&'static str> {
        // SAFETY: Both pointers are valid.
        let what = unsafe { bindings::checkpoint_mm_refused(task.as_ptr(), self.mm.as_raw()) };

        // SAFETY: The function returns a string literal, or null.
        unsafe { literal(what) }
    }

    /// Describes all but the mappings.
    pub fn describe(&self, task: &Task) -> Description {
        let mut mm = MaybeUninit::uninit();
        let mut context = MaybeUninit::uninit();
        let mut auxv = [0; bindings::AT_VECTOR_SIZE as usize];

        // SAFETY: All pointers are valid, and the last is that of an array of the right length. The
        // function initializes both structures.
        unsafe {
            bindings::checkpoint_mm_describe(
                task.as_ptr(),
                self.mm.as_raw(),
                mm.as_mut_ptr(),
                context.as_mut_ptr(),
                auxv.as_mut_ptr(),
            );
            Description {
                mm: mm.assume_init(),
                context: context.assume_init(),
                auxv,
            }
        }
    }

    /// Tells whether it is that of a 32-bit program.
    pub fn is_ia32(&self) -> bool {
        // SAFETY: The pointer is valid.
        unsafe { bindings::checkpoint_mm_is_ia32(self.mm.as_raw()) }
    }

    /// Returns the descriptors that modify_ldt(2) made, none if it was not called.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there are more of them all of a sudden: the process does not stand still.
    pub fn ldt(&self) -> Result<KVVec<u64>> {
        let mm = self.mm.as_raw();
        // SAFETY: The pointer is valid. The function writes nothing if there is room for nothing.
        let nr = unsafe { bindings::checkpoint_ldt_get(mm, core::ptr::null_mut(), 0) };
        let mut ldt = KVVec::from_elem(0u64, nr as usize, GFP_KERNEL_ACCOUNT)?;

        // SAFETY: The pointer is valid, and the vector has room for so many.
        if unsafe { bindings::checkpoint_ldt_get(mm, ldt.as_mut_ptr(), nr) } != nr {
            return Err(EAGAIN);
        }
        Ok(ldt)
    }

    /// Returns the file that `/proc/PID/exe` shows.
    #[doc(alias = "get_mm_exe_file")]
    pub fn exe(&self) -> Option<ARef<File>> {
        // SAFETY: The pointer is valid.
        let file = NonNull::new(unsafe { bindings::get_mm_exe_file(self.mm.as_raw()) })?;

        // SAFETY: The reference that the function took is handed over. No `fdget_pos()` of this
        // task has to do with it.
        Some(unsafe { ARef::from_raw(file.cast()) })
    }

    /// Describes the first mapping that ends above `addr`.
    ///
    /// # Errors
    ///
    /// `EINTR` on a fatal signal.
    pub fn mapping_above(&self, addr: u64) -> Result<Option<Mapping>> {
        let mut found = MaybeUninit::uninit();

        // SAFETY: Both pointers are valid.
        let result = crate::error::to_result(unsafe {
            bindings::checkpoint_mapping_find(self.mm.as_raw(), addr as usize, found.as_mut_ptr())
        });
        result?;
        // SAFETY: The function has initialized all of it: zeros, if there is no mapping.
        let found = unsafe { found.assume_init() };
        if found.vma.end == 0 {
            return Ok(None);
        }
        Ok(Some(Mapping {
            // SAFETY: The function took a reference on the file, if there is one, which is handed
            // over. No `fdget_pos()` of this task has to do with it.
            file: NonNull::new(found.file).map(|file| unsafe { ARef::from_raw(file.cast()) }),
            // SAFETY: The member is a string literal, or null.
            refused: unsafe { literal(found.refused) },
            vma: found.vma,
            name: found.name,
        }))
    }

    /// Finds the first guard region that is at `addr` or above it.
    ///
    /// # Errors
    ///
    /// `EINTR` on a fatal signal.
    pub fn guard_above(&self, addr: u64) -> Result<Option<Guard>> {
        let mut found = MaybeUninit::uninit();

        // SAFETY: Both pointers are valid.
        crate::error::to_result(unsafe {
            bindings::checkpoint_guard_find(self.mm.as_raw(), addr as usize, found.as_mut_ptr())
        })?;
        // SAFETY: The function has initialized all of it: zeros, if there is none.
        let found = unsafe { found.assume_init() };

        Ok((found.end != 0).then_some(Guard(found)))
    }

    /// Describes the policy of the first mapping that has one and ends above `addr`.
    ///
    /// # Errors
    ///
    /// `EINTR` on a fatal signal.
    pub fn policy_above(&self, addr: u64) -> Result<Option<Policy>> {
        let mut found = MaybeUninit::zeroed();

        // SAFETY: Both pointers are valid.
        crate::error::to_result(unsafe {
            bindings::checkpoint_policy_find(self.mm.as_raw(), addr as usize, found.as_mut_ptr())
        })?;
        // SAFETY: All members may be 0, which they are if the function has not filled it in.
        let found: bindings::cr_hdr_policy = unsafe { found.assume_init() };

        Ok((found.end != 0).then_some(Policy(found)))
    }

    /// Describes a context of io_setup(2): the first in the kernel's table from `slot` on, which
    /// becomes the place where to look for the next.
    ///
    /// # Errors
    ///
    /// `EBUSY` if a request is under way.
    pub fn next_aio(&self, slot: &mut c_uint) -> Result<Option<Aio>> {
        let mut aio = MaybeUninit::zeroed();
        let mut size = 0;

        // SAFETY: All pointers are valid.
        crate::error::to_result(unsafe {
            bindings::checkpoint_aio_find(self.mm.as_raw(), slot, aio.as_mut_ptr(), &raw mut size)
        })?;
        // SAFETY: All members may be 0, which they are if the function has not filled it in.
        let aio: bindings::cr_hdr_aio = unsafe { aio.assume_init() };

        Ok((aio.id != 0).then_some(Aio { aio, size }))
    }

    /// Looks for pages that are those of one of `spaces` with a smaller number than `task`, too: by
    /// the time this is asked, and so for as long as both processes stand still.
    ///
    /// # Errors
    ///
    /// `EINTR` on a fatal signal.
    pub fn shared_pages(&self, task: u32, spaces: &Spaces) -> Result<SharedPages> {
        let mut shared = SharedPages::default();
        let mut next = 0;

        if spaces.unsorted {
            return Err(EINVAL);
        }
        if !spaces.raw.iter().any(|space| space.task < task) {
            return Ok(shared);
        }
        while next != usize::MAX {
            shared
                .0
                .reserve(bindings::CR_EXTENTS_MAX as usize, GFP_KERNEL_ACCOUNT)?;
            let mut raw = bindings::checkpoint_shared {
                extents: shared.0.spare_capacity_mut().as_mut_ptr().cast(),
                nr_extents: 0,
                next,
            };

            // SAFETY: All pointers are valid. By the type invariants of `spaces` it is sorted. There
            // is room for `CR_EXTENTS_MAX` extents.
            crate::error::to_result(unsafe {
                bindings::checkpoint_shared_collect(
                    self.mm.as_raw(),
                    task,
                    spaces.raw.as_ptr(),
                    spaces.raw.len() as c_uint,
                    &raw mut raw,
                )
            })?;
            // INVARIANT: The walk goes from front to back, and on from where it ended.
            // SAFETY: The function has filled in so many, for which there is room.
            unsafe { shared.0.inc_len(raw.nr_extents as usize) };
            next = raw.next;
        }
        Ok(shared)
    }

    /// Collects pages that are nowhere but in this address space, or not in `shared`, from `from` on,
    /// into an empty batch. Returns the address where to go on; the batch stays empty if there are
    /// no more.
    ///
    /// # Errors
    ///
    /// - `EINTR` on a fatal signal.
    /// - Any other if a page that is swapped out cannot be brought in.
    pub fn collect_pages(
        &self,
        from: usize,
        shared: &SharedPages,
        batch: &mut PageBatch,
    ) -> Result<usize> {
        batch.clear();
        // SAFETY: The function counts what it has filled in, as there is room, with a reference for
        // each bvec, which it makes of pages in a row of one folio. What is skipped ascends, by the
        // type invariants of `shared`.
        let (result, next) = unsafe {
            batch.with_raw(from, |raw| {
                (*raw).skip = shared.0.as_ptr();
                (*raw).nr_skip = shared.0.len() as c_uint;
                bindings::checkpoint_pages_collect(self.mm.as_raw(), raw)
            })
        };

        result.map(|()| next)
    }
}

/// Makes a reference of a string literal of C.
///
/// # Safety
///
/// `text` must be null or a string that lives forever.
unsafe fn literal(text: *const c_char) -> Option<&'static str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: By the safety requirements.
    let text = unsafe { CStr::from_char_ptr(text) };

    Some(text.to_str().unwrap_or("something"))
}

/// What an address space is, but for its mappings.
pub struct Description {
    mm: bindings::cr_hdr_mm,
    context: bindings::cr_hdr_mm_context,
    auxv: [c_ulong; bindings::AT_VECTOR_SIZE as usize],
}

impl Description {
    /// Returns the `struct cr_hdr_mm`, in which what the image numbers is 0.
    pub fn mm(&self) -> &[u8] {
        bytes_of(&self.mm)
    }

    /// Returns the `struct cr_hdr_mm_context`, in which the checksum is 0.
    pub fn context(&self) -> &[u8] {
        bytes_of(&self.context)
    }

    /// Returns the auxiliary vector, up to `AT_NULL`.
    pub fn auxv(&self) -> &[u8] {
        let entries = self
            .auxv
            .chunks_exact(2)
            .position(|entry| entry.first() == Some(&0))
            .map_or(self.auxv.len() / 2, |last| last + 1);

        // SAFETY: There are so many entries of two numbers each, which have no padding.
        unsafe {
            slice::from_raw_parts(
                self.auxv.as_ptr().cast(),
                entries * 2 * size_of::<c_ulong>(),
            )
        }
    }
}

/// A mapping.
pub struct Mapping {
    vma: bindings::cr_hdr_vma,
    file: Option<ARef<File>>,
    refused: Option<&'static str>,
    name: [u8; 80],
}

impl Mapping {
    /// Returns the `struct cr_hdr_vma`, in which what the image numbers is 0.
    pub fn vma(&self) -> &[u8] {
        bytes_of(&self.vma)
    }

    /// Returns where the mapping begins.
    pub fn start(&self) -> u64 {
        self.vma.start
    }

    /// Returns where the mapping ends.
    pub fn end(&self) -> u64 {
        self.vma.end
    }

    /// Returns its file.
    pub fn file(&self) -> Option<&ARef<File>> {
        self.file.as_ref()
    }

    /// Returns what makes it one that cannot be saved, if anything does.
    pub fn refused(&self) -> Option<&'static str> {
        self.refused
    }

    /// Returns the name that prctl(`PR_SET_VMA_ANON_NAME`) gave, empty if there is none.
    pub fn name(&self) -> &[u8] {
        self.name
            .get(..self.vma.name_len as usize)
            .unwrap_or(&self.name)
    }
}

/// The vDSO of 64-bit processes, or that of 32-bit ones.
pub struct Vdso {
    /// Its code.
    pub code: &'static [u8],
    /// Bytes of the kernel's data that is mapped right before it.
    pub vvar_size: u64,
}

impl Vdso {
    /// Returns that which the running kernel has for 64-bit processes, or for 32-bit ones.
    pub fn running(ia32: bool) -> Self {
        let mut vdso = bindings::checkpoint_vdso {
            data: core::ptr::null(),
            size: 0,
            vvar_size: 0,
        };

        // SAFETY: The pointer is valid.
        unsafe { bindings::checkpoint_vdso(&raw mut vdso, ia32) };
        Self {
            // SAFETY: The function has set both to a part of the kernel's image, which does not
            // change once the machine has started.
            code: unsafe { slice::from_raw_parts(vdso.data.cast(), vdso.size) },
            vvar_size: vdso.vvar_size as u64,
        }
    }
}
