// SPDX-License-Identifier: GPL-2.0

//! Building an address space for the current task, as an image says.
//!
//! A [`Rebuild`] switches the current task to a new, empty address space, and back when it is
//! dropped. In between, what the methods do is what system calls of the task would do there, with
//! the same checks and limits.
//!
//! # Locking
//!
//! Each method takes the locks of the system call that it stands for, and holds none when it
//! returns. Switching takes `exec_update_lock`, then `mmap_lock` of the address space that is left,
//! then `task_lock()`, as execve(2) does. No method may be called with `mmap_lock` held.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    batch::PageBatch,
    policy::Policy,
    snapshot::{
        of_bytes,
        Aio,
        Guard, //
    },
    MmWithUser, //
};
use crate::{
    bindings,
    error::to_result,
    fs::File,
    prelude::*,
    sync::aref::ARef,
    task::CurrentTask,
    types::NotThreadSafe, //
};
use core::{
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    },
    ptr,
    ptr::NonNull, //
};

/// An address space as a whole: a `struct cr_hdr_mm`.
pub struct Layout(bindings::cr_hdr_mm);

impl Layout {
    /// Makes one of the bytes of the structure.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(Self(of_bytes(bytes)?))
    }
}

/// What the architecture knows of an address space: a `struct cr_hdr_mm_context`.
pub struct Context(bindings::cr_hdr_mm_context);

impl Context {
    /// Makes one of the bytes of the structure.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(Self(of_bytes(bytes)?))
    }
}

/// A mapping: a `struct cr_hdr_vma`.
///
/// # Invariants
///
/// The end is above the start.
pub struct Vma(bindings::cr_hdr_vma);

impl Vma {
    /// Makes one of the bytes of the structure.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let vma: bindings::cr_hdr_vma = of_bytes(bytes)?;

        if vma.end <= vma.start {
            return Err(EINVAL);
        }
        // INVARIANT: Just checked.
        Ok(Self(vma))
    }
}

/// Some pages in a row that another address space has: a `struct cr_shared_extent`.
pub struct SharedExtent(bindings::cr_shared_extent);

impl SharedExtent {
    /// Makes one of the bytes of the structure.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(Self(of_bytes(bytes)?))
    }
}

/// What kind of program an address space is for.
///
/// # Invariants
///
/// `checkpoint_ldt_fit()` finds nothing in `ldt` that modify_ldt(2) would not have made.
pub struct Program {
    flags: u32,
    personality: u32,
    ldt: KVVec<u64>,
}

impl Program {
    /// Makes one of the `CR_THREAD_*` and the personality of its task, and of the descriptors that
    /// modify_ldt(2) made for it.
    ///
    /// # Errors
    ///
    /// The place of the first descriptor that modify_ldt(2) would not make.
    pub fn new(flags: u32, personality: u32, ldt: KVVec<u64>) -> Result<Self, usize> {
        let nr = c_uint::try_from(ldt.len()).unwrap_or(c_uint::MAX);
        // SAFETY: The vector has at least `nr` descriptors; the function looks at no more of them.
        let fit = unsafe { bindings::checkpoint_ldt_fit(ldt.as_ptr(), nr) } as usize;

        if fit != ldt.len() {
            return Err(fit);
        }
        // INVARIANT: Just checked.
        Ok(Self {
            flags,
            personality,
            ldt,
        })
    }
}

/// A new address space, which the current task has while it is built.
///
/// User memory of the task's is out of reach as long as this lives. Dropping it gives the task its
/// own address space back, as if nothing had been.
///
/// # Invariants
///
/// `swap` is what `checkpoint_swap_begin()` filled in for the current task, and `swap.mm` is the
/// address space of the task.
pub struct Rebuild {
    swap: bindings::checkpoint_swap,
    /// It is about the current task.
    _not_send: NotThreadSafe,
}

impl Rebuild {
    /// Switches the caller to an address space without mappings, of which `/proc/PID/exe` shows
    /// `exe`, for a program of the kind of `program`. Without `exe`, that is for
    /// [`set_exe`](Self::set_exe).
    ///
    /// # Errors
    ///
    /// - `EACCES` or `EPERM`: the caller could not execute the file.
    /// - `EOPNOTSUPP`: there are protection keys that the processor has not, or the caller is a
    ///   32-bit process or has a shadow stack.
    /// - `EINTR`: a fatal signal arrived.
    pub fn begin(
        _caller: &CurrentTask,
        layout: &Layout,
        context: &Context,
        exe: Option<&File>,
        program: &Program,
    ) -> Result<Self> {
        let mut swap = MaybeUninit::zeroed();
        let program = bindings::checkpoint_program {
            flags: program.flags,
            personality: program.personality,
            // By the invariants of the type, there are not many.
            nr_ldt: program.ldt.len() as c_uint,
            ldt: program.ldt.as_ptr(),
        };

        // SAFETY: All pointers are valid. The caller is the current task. By the invariants of
        // `Program`, the descriptors have been checked.
        to_result(unsafe {
            bindings::checkpoint_swap_begin(
                swap.as_mut_ptr(),
                &raw const layout.0,
                &raw const context.0,
                exe.map_or(ptr::null_mut(), |exe| exe.as_ptr()),
                &raw const program,
            )
        })?;
        // INVARIANT: The function has just filled it in. Nobody else switches address spaces.
        Ok(Self {
            // SAFETY: The function has filled it in, over zeros, which all members may be.
            swap: unsafe { swap.assume_init() },
            _not_send: NotThreadSafe,
        })
    }

    /// Makes `/proc/PID/exe` show a file that nobody writes to any more.
    ///
    /// # Errors
    ///
    /// `EACCES` or `EPERM`: the caller could not execute the file.
    pub fn set_exe(&mut self, exe: &File) -> Result {
        // SAFETY: By the type invariants, this is about the new address space. `exe` is a valid
        // file.
        to_result(unsafe { bindings::checkpoint_swap_exe(exe.as_ptr()) })
    }

    /// Maps the vDSO at `addr`, and the kernel's data before it.
    pub fn map_vdso(&mut self, addr: u64) -> Result {
        // SAFETY: By the type invariants, this is about the new address space. The function checks
        // the address.
        to_result(unsafe { bindings::checkpoint_map_vdso(addr as usize) })
    }

    /// Makes a mapping, as mmap(2), madvise(2) and prctl(2) do.
    pub fn map(&mut self, vma: &Vma, file: Option<&File>, name: Option<&CStr>) -> Result {
        let file = file.map_or(ptr::null_mut(), |file| file.as_ptr());
        let name = name.map_or(ptr::null(), |name| name.as_char_ptr());

        // SAFETY: By the type invariants, this is about the new address space. The pointers are
        // valid, or null. The calls that the function stands for check all values.
        to_result(unsafe { bindings::checkpoint_map(&raw const vma.0, file, name) })
    }

    /// Makes a context of io_setup(2), with its ring where it was.
    ///
    /// # Errors
    ///
    /// - `EAGAIN` if it is for more events than the system allows.
    /// - `EINVAL` if its ring would have another size.
    pub fn aio_create(&mut self, aio: &Aio) -> Result {
        // SAFETY: By the type invariants, this is about the new address space. The pointer is valid.
        to_result(unsafe { bindings::checkpoint_aio_create(&raw const aio.aio, aio.size) })
    }

    /// Lets a context go on where that of the image was, once its ring is filled.
    pub fn aio_finish(&mut self, aio: &Aio) -> Result {
        // SAFETY: As above. The function checks all values.
        to_result(unsafe { bindings::checkpoint_aio_finish(&raw const aio.aio) })
    }

    /// Gives memory a policy, as mbind(2) does.
    pub fn set_policy(&mut self, policy: &Policy) -> Result {
        // SAFETY: By the type invariants, this is about the new address space. The function checks
        // what mbind(2) does.
        to_result(unsafe { bindings::checkpoint_policy_set(&raw const policy.0) })
    }

    /// Installs a guard region, as madvise(2) does.
    pub fn guard(&mut self, guard: &Guard) -> Result {
        // SAFETY: As above.
        to_result(unsafe { bindings::checkpoint_guard_install(&raw const guard.0) })
    }

    /// Sets the addresses that prctl(`PR_SET_MM_MAP`) sets, and the auxiliary vector.
    pub fn layout(&mut self, layout: &Layout, auxv: &[c_ulong]) -> Result {
        let entries = c_uint::try_from(auxv.len()).map_err(|_| EINVAL)?;

        // SAFETY: By the type invariants, this is about the new address space. `auxv` is valid for
        // reads of that many entries.
        to_result(unsafe {
            bindings::checkpoint_layout(&raw const layout.0, auxv.as_ptr(), entries)
        })
    }

    /// Allocates pages for the extents of `batch`. Their contents are not defined: all of them have
    /// to be filled before [`Self::install`]. Those of huge pages from a pool, and of rings of
    /// io_setup(2), are mapped already.
    ///
    /// # Errors
    ///
    /// `EINVAL` if an extent is not in a mapping of the kind that can have pages of its own.
    pub fn alloc(&mut self, batch: &mut PageBatch) -> Result {
        if !batch.is_empty() || batch.nr_pages() != 0 {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants, this is about the new address space. The function counts
        // what it has filled in, for which there is room, with a reference for each bvec, which is
        // all of one folio.
        unsafe { batch.with_raw(0, |raw| bindings::checkpoint_pages_alloc(raw)) }.0?;
        // SAFETY: The function has just done that.
        unsafe { batch.set_fresh() };
        Ok(())
    }

    /// Maps the pages of `batch`, which [`Self::alloc`] made, and takes them out of it.
    ///
    /// # Errors
    ///
    /// - `EINVAL` if the batch was not made so, an extent is not in a mapping of the kind that can
    ///   have pages of its own, or there is a page already.
    /// - `EFAULT` if the process is being killed for its memory.
    pub fn install(&mut self, batch: &mut PageBatch) -> Result {
        if !batch.is_fresh() {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants, this is about the new address space, and by those of
        // `batch` the pages were made for the extents. The function takes the bvecs out whose
        // references it uses up, and leaves the others.
        unsafe { batch.with_raw(0, |raw| bindings::checkpoint_pages_install(raw)) }.0
    }

    /// Returns a reference on the new address space, for others to take pages of it.
    pub fn mm(&self) -> ARef<MmWithUser> {
        // SAFETY: By the type invariants, the pointer is valid, and the task has a reference for as
        // long as `self` lives. `MmWithUser` is a transparent wrapper of `struct mm_struct`.
        unsafe {
            NonNull::new_unchecked(self.swap.mm)
                .cast::<MmWithUser>()
                .as_ref()
        }
        .into()
    }

    /// Maps the first pages of `extent`, which `from` has, as fork(2) does. Returns how many were
    /// mapped, and how many after these shall be copied: both may be 0, if there is more to come.
    ///
    /// # Errors
    ///
    /// - `ENOENT` if `from` has no private page there.
    /// - `EINVAL` if private pages cannot be here, or there is a page already.
    /// - `EFAULT` if a process is being killed for its memory.
    pub fn share(&mut self, from: &MmWithUser, extent: &SharedExtent) -> Result<(u32, u32)> {
        let (mut shared, mut copy) = (0, 0);

        // SAFETY: By the type invariants, this is about the new address space. All pointers are
        // valid.
        to_result(unsafe {
            bindings::checkpoint_pages_share(
                from.as_raw(),
                &raw const extent.0,
                &raw mut shared,
                &raw mut copy,
            )
        })?;
        Ok((shared, copy))
    }

    /// Fills the pages of `batch`, which [`Self::alloc`] made for extents that are not huge, with those
    /// that `from` has from `start` on.
    ///
    /// # Errors
    ///
    /// `ENOENT` if `from` has no private page there.
    pub fn copy(&mut self, from: &MmWithUser, start: u64, batch: &mut PageBatch) -> Result {
        if !batch.is_fresh() || batch.bvecs().len() != batch.nr_pages() as usize {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants, this is about the new address space. Each bvec is one page,
        // as there are as many of both. The function leaves them as they are.
        unsafe {
            batch.with_raw(0, |raw| {
                bindings::checkpoint_pages_copy(from.as_raw(), start as usize, raw)
            })
        }
        .0?;
        // SAFETY: They still are what they were.
        unsafe { batch.set_fresh() };
        Ok(())
    }

    /// Gives a mapping its last protection, as pkey_mprotect(2) does.
    pub fn protect(&mut self, vma: &Vma) -> Result {
        // SAFETY: By the type invariants, this is about the new address space.
        to_result(unsafe { bindings::checkpoint_protect(&raw const vma.0) })
    }

    /// Locks a mapping that was locked, as mlock2(2) does.
    pub fn lock(&mut self, vma: &Vma) -> Result {
        // SAFETY: By the type invariants, this is about the new address space.
        to_result(unsafe { bindings::checkpoint_lock(&raw const vma.0) })
    }

    /// Seals a mapping that was sealed, as mseal(2) does.
    pub fn seal(&mut self, vma: &Vma) -> Result {
        // SAFETY: By the type invariants, this is about the new address space.
        to_result(unsafe { bindings::checkpoint_seal(&raw const vma.0) })
    }

    /// Sets what applies to all of the address space, as mlockall(2) and prctl(2) do.
    pub fn finish(&mut self, layout: &Layout) -> Result {
        // SAFETY: By the type invariants, this is about the new address space.
        to_result(unsafe { bindings::checkpoint_mm_finish(&raw const layout.0) })
    }

    /// Returns the address space for another task.
    pub fn shared(&self) -> SharedSpace {
        let mut space = bindings::checkpoint_shared_mm::default();

        // SAFETY: By the type invariants. The function fills in the other.
        unsafe { bindings::checkpoint_swap_share(&raw const self.swap, &raw mut space) };
        // INVARIANT: The references have just been taken.
        SharedSpace(space)
    }

    /// Lets the caller keep the new address space, and drops its old one as execve(2) does.
    pub fn commit(self, _caller: &CurrentTask) {
        let mut this = ManuallyDrop::new(self);

        // SAFETY: By the type invariants. It is not used again: the destructor does not run.
        unsafe { bindings::checkpoint_swap_commit(&raw mut this.swap) };
    }
}

impl Drop for Rebuild {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. It is not used again.
        unsafe { bindings::checkpoint_swap_abort(&raw mut self.swap) };
    }
}

/// An address space that another task has, too.
///
/// # Invariants
///
/// It is valid, and this has the references on what it is of.
pub struct SharedSpace(bindings::checkpoint_shared_mm);

// SAFETY: The references are counted, and any task may give them back.
unsafe impl Send for SharedSpace {}

impl SharedSpace {
    /// Returns the address space for one more task.
    pub fn share(&self) -> Self {
        let mut space = bindings::checkpoint_shared_mm::default();

        // SAFETY: By the type invariants. The function fills in the other.
        unsafe { bindings::checkpoint_shared_mm_get(&raw const self.0, &raw mut space) };
        // INVARIANT: The references have just been taken.
        Self(space)
    }

    /// Switches the caller to the address space, if it has not come with it.
    pub fn join(self, _caller: &CurrentTask) -> Joined {
        let this = ManuallyDrop::new(self);
        let mut join = bindings::checkpoint_join::default();

        // SAFETY: By the type invariants. The destructor does not run: the references go to `join`,
        // which the function fills in.
        unsafe { bindings::checkpoint_join_begin(&raw mut join, &raw const this.0) };
        // INVARIANT: The function has just filled it in.
        Joined {
            join,
            _not_send: NotThreadSafe,
        }
    }
}

impl Drop for SharedSpace {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. They are not used again.
        unsafe { bindings::checkpoint_shared_mm_put(&raw mut self.0) };
    }
}

/// The address space of another task, which the current one has, too. Dropping it gives the task back
/// what it came with.
///
/// # Invariants
///
/// `join` is what `checkpoint_join_begin()` filled in for the current task.
pub struct Joined {
    join: bindings::checkpoint_join,
    /// It is about the current task.
    _not_send: NotThreadSafe,
}

impl Joined {
    /// Lets the caller keep the address space.
    pub fn commit(self, _caller: &CurrentTask) {
        let mut this = ManuallyDrop::new(self);

        // SAFETY: By the type invariants. It is not used again: the destructor does not run.
        unsafe { bindings::checkpoint_join_commit(&raw mut this.join) };
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. It is not used again.
        unsafe { bindings::checkpoint_join_abort(&raw mut self.join) };
    }
}
