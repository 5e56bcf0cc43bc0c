// SPDX-License-Identifier: GPL-2.0

//! Reading and writing an open file from the kernel.
//!
//! A [`StreamFile`] moves bytes between kernel memory and an open file as read(2) and write(2)
//! would: at the file's position, which moves on, with the file's flags. It adds one thing: a wait
//! ends only when the file is ready or a fatal signal arrives. Other signals stay pending for the
//! exit to user mode. That makes a transfer of many pieces as whole as one that never sleeps, and a
//! non-blocking file as good as a blocking one.
//!
//! # Locking
//!
//! `f_pos_lock` is taken for the time of one transfer on files that have a position to protect, as
//! read(2) and write(2) take it. Nothing is held while waiting.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/poll.h`](srctree/include/linux/poll.h),
//! [`include/linux/uio.h`](srctree/include/linux/uio.h)

use super::{
    file::flags,
    File,
    LocalFile, //
};
use crate::{
    bindings,
    error::to_result,
    mm::batch::PageBatch,
    prelude::*,
    sync::aref::ARef,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};
use core::{
    cell::UnsafeCell,
    marker::PhantomPinned,
    mem::offset_of,
    ptr::{
        self,
        addr_of, //
    },
};

/// The most that is moved at once through a file that cannot be told not to wait: a pipe that is
/// ready takes or gives this much without.
const READY_CHUNK: usize = bindings::PIPE_BUF as usize;

/// Wait queues that one file may put a waiter on; a terminal and a datagram socket use two.
const MAX_QUEUES: usize = 4;

/// The way that bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the file into memory.
    Read,
    /// From memory into the file.
    Write,
}

/// Why a file descriptor cannot be a [`StreamFile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no such descriptor, or the file is not open for the direction.
    NotOpen(Direction),
    /// The file is a directory.
    Directory,
    /// The file is open with `O_DIRECT`, which needs aligned memory or, for a pipe, makes packets.
    Direct,
    /// The file is a socket that makes packets.
    Packets,
    /// The file takes and gives user memory only.
    UserMemoryOnly,
}

impl From<Unfit> for Error {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::NotOpen(_) => EBADF,
            Unfit::Directory => EISDIR,
            Unfit::Direct | Unfit::Packets | Unfit::UserMemoryOnly => EINVAL,
        }
    }
}

impl core::fmt::Display for Unfit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Unfit::NotOpen(Direction::Read) => "not open for reading",
            Unfit::NotOpen(Direction::Write) => "not open for writing",
            Unfit::Directory => "is a directory",
            Unfit::Direct => "O_DIRECT makes no stream of bytes",
            Unfit::Packets => "a socket that makes packets makes no stream of bytes",
            Unfit::UserMemoryOnly => "the kernel cannot read or write such a file",
        })
    }
}

/// An open file through which bytes are streamed from or to the kernel.
pub struct StreamFile {
    file: ARef<File>,
    direction: Direction,
    /// Whether the file can tell when it is ready. One that cannot is a regular file or a plain
    /// device, whose waits are short, or killable.
    can_poll: bool,
    regular: bool,
    rwf: bindings::rwf_t,
}

/// Kernel memory at one end of a transfer. For pages, the number is that of the bytes to leave out
/// at their beginning.
enum Memory<'a> {
    To(&'a mut [u8]),
    From(&'a [u8]),
    ToPages(&'a mut PageBatch, usize),
    FromPages(&'a PageBatch, usize),
}

impl StreamFile {
    /// Takes a file of the current task that is open for `direction`.
    pub fn from_fd(fd: c_int, direction: Direction) -> Result<Self, Unfit> {
        let not_open = Unfit::NotOpen(direction);
        let fd = u32::try_from(fd).map_err(|_| not_open)?;
        let file = LocalFile::fget(fd).map_err(|_| not_open)?;

        // SAFETY: A system call that works through this type does not also use `fdget_pos()`, and
        // the reference just taken makes any other user of the file take `f_pos_lock`.
        let file = unsafe { LocalFile::assume_no_fdget_pos(file) };
        let wanted = match direction {
            Direction::Read => bindings::FMODE_READ,
            Direction::Write => bindings::FMODE_WRITE,
        };
        if f_mode(&file) & wanted == 0 {
            return Err(not_open);
        }

        // SAFETY: `file` is a valid file; what is looked at here never changes.
        let (socket, kind, has_iter, can_poll) = unsafe {
            let op = (*file.as_ptr()).f_op;

            (
                bindings::file_socket_type(file.as_ptr()),
                u32::from(bindings::file_inode_mode(file.as_ptr())) & bindings::S_IFMT,
                match direction {
                    Direction::Read => (*op).read_iter.is_some(),
                    Direction::Write => (*op).write_iter.is_some(),
                },
                bindings::file_can_poll(file.as_ptr()),
            )
        };
        if kind == bindings::S_IFDIR {
            return Err(Unfit::Directory);
        }
        if file.flags() & flags::O_DIRECT != 0 {
            return Err(Unfit::Direct);
        }
        if socket != 0 && socket != bindings::sock_type_SOCK_STREAM as c_int {
            return Err(Unfit::Packets);
        }
        if !has_iter {
            return Err(Unfit::UserMemoryOnly);
        }

        Ok(Self {
            file,
            direction,
            can_poll: can_poll && kind != bindings::S_IFREG,
            regular: kind == bindings::S_IFREG,
            rwf: 0,
        })
    }

    /// Makes writing to a pipe or socket without a reader an `EPIPE` only, with no `SIGPIPE`.
    pub fn without_sigpipe(mut self) -> Self {
        self.rwf |= bindings::RWF_NOSIGNAL;
        self
    }

    /// Returns the file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Reads some bytes; 0 is the end of the file.
    ///
    /// # Errors
    ///
    /// `EINTR` if a fatal signal is pending; otherwise those of read(2). `EAGAIN` means that
    /// [`Self::wait`] is next, whether the file is a blocking one or not.
    pub fn read(&self, to: &mut [u8]) -> Result<usize> {
        self.transfer(Memory::To(to))
    }

    /// Writes some bytes, and returns how many.
    ///
    /// # Errors
    ///
    /// `EINTR` if a fatal signal is pending; otherwise those of write(2). `EAGAIN` means that
    /// [`Self::wait`] is next, whether the file is a blocking one or not. `EPIPE` comes with
    /// `SIGPIPE`, as in write(2), unless [`Self::without_sigpipe`] was asked for.
    pub fn write(&self, from: &[u8]) -> Result<usize> {
        self.transfer(Memory::From(from))
    }

    /// Reads some bytes into `pages`, from their byte `at` on; like [`Self::read`], without a copy
    /// through other memory.
    pub fn read_pages(&self, pages: &mut PageBatch, at: usize) -> Result<usize> {
        self.transfer(Memory::ToPages(pages, at))
    }

    /// Writes some bytes of `pages`, from their byte `at` on; like [`Self::write`].
    pub fn write_pages(&self, pages: &PageBatch, at: usize) -> Result<usize> {
        self.transfer(Memory::FromPages(pages, at))
    }

    /// Tells whether [`Self::unread`] can be used: the file is a regular one, with a position.
    pub fn can_unread(&self) -> bool {
        self.regular && f_mode(&self.file) & bindings::FMODE_LSEEK != 0
    }

    /// Moves the position back by the `len` bytes that were read last, so that the next to read the
    /// file has them again; if [`Self::can_unread`].
    pub fn unread(&self, len: usize) {
        let position = Position::lock(&self.file);
        let at = position.as_ptr();

        if !at.is_null() {
            // SAFETY: It is the position of a valid file. It is locked if it is protected.
            unsafe { *at = (*at).saturating_sub_unsigned(len as u64).max(0) };
        }
    }

    /// Sleeps until the file is ready for its direction, or has an error or a hang-up to report.
    ///
    /// # Errors
    ///
    /// - `EINTR`: a fatal signal arrived.
    /// - `EAGAIN`: the file has no way to tell when it will be ready.
    pub fn wait(&self) -> Result {
        if !self.can_poll {
            return Err(EAGAIN);
        }
        let events = match self.direction {
            Direction::Read => bindings::EPOLLIN,
            Direction::Write => bindings::EPOLLOUT,
        };
        pin_init::stack_pin_init!(let waiter = PollWaiter::new(&self.file, events));

        waiter.as_ref().wait()
    }

    fn transfer(&self, memory: Memory<'_>) -> Result<usize> {
        if fatal_signal_pending() {
            return Err(EINTR);
        }
        // Looked at each time: splice(2) clears the flag for good.
        let nowait = || self.can_poll && f_mode(&self.file) & bindings::FMODE_NOWAIT != 0;
        let result = if nowait() {
            self.transfer_once(memory, usize::MAX, bindings::RWF_NOWAIT)
        } else if self.can_poll {
            self.wait()?;
            self.transfer_once(memory, READY_CHUNK, 0)
        } else {
            self.transfer_once(memory, usize::MAX, 0)
        };

        match result {
            // splice(2) was faster.
            Err(e) if e == EOPNOTSUPP && self.can_poll && !nowait() => Err(EAGAIN),
            // The file insists on the signal being seen first. The codes that re-issue a system
            // call must not leave the kernel here: part of the call's work is done.
            Err(e)
                if e == ERESTARTSYS
                    || e == ERESTARTNOINTR
                    || e == ERESTARTNOHAND
                    || e == ERESTART_RESTARTBLOCK =>
            {
                Err(EINTR)
            }
            result => result,
        }
    }

    /// Moves at most `limit` bytes at the file's position.
    fn transfer_once(
        &self,
        memory: Memory<'_>,
        limit: usize,
        rwf: bindings::rwf_t,
    ) -> Result<usize> {
        let iter = Opaque::<bindings::iov_iter>::uninit();
        let mut vec = bindings::kvec::default();
        let source = matches!(memory, Memory::From(_) | Memory::FromPages(..));
        let direction = if source {
            bindings::ITER_SOURCE
        } else {
            bindings::ITER_DEST
        };
        let mut of_bytes = |base: *mut c_void, len: usize| {
            vec = bindings::kvec {
                iov_base: base,
                iov_len: len.min(limit),
            };
            // SAFETY: `vec` describes memory that `memory` borrows: mutably if it is the
            // destination. It and `iter` live until the end of the function, and nobody keeps them.
            unsafe { bindings::iov_iter_kvec(iter.get(), direction, &raw mut vec, 1, vec.iov_len) };
        };
        let of_pages = |pages: &PageBatch, at: usize| {
            let bvecs = pages.bvecs();

            // SAFETY: The array has `bvecs.len()` members of `pages.bytes()` bytes in all. It and
            // the pages, which `memory` borrows mutably if they are the destination, live longer
            // than `iter`. The iterator is not advanced beyond its end.
            unsafe {
                bindings::iov_iter_bvec(
                    iter.get(),
                    direction,
                    bvecs.as_ptr(),
                    bvecs.len(),
                    pages.bytes(),
                );
                bindings::iov_iter_advance(iter.get(), at.min(pages.bytes()));
                bindings::iov_iter_truncate(iter.get(), limit as u64);
            }
        };
        match memory {
            Memory::To(to) => of_bytes(to.as_mut_ptr().cast(), to.len()),
            Memory::From(from) => of_bytes(from.as_ptr().cast_mut().cast(), from.len()),
            Memory::ToPages(pages, at) => of_pages(pages, at),
            Memory::FromPages(pages, at) => of_pages(pages, at),
        }
        let position = Position::lock(&self.file);
        let file = self.file.as_ptr();

        // SAFETY: `file` is a valid file, `iter` was just initialized with the right direction, and
        // `position` is locked, or null for a file that has none.
        let moved = unsafe {
            if source {
                bindings::vfs_iter_write(file, iter.get(), position.as_ptr(), self.rwf | rwf)
            } else {
                bindings::vfs_iter_read(file, iter.get(), position.as_ptr(), self.rwf | rwf)
            }
        };
        // SAFETY: The function adds to counters of the current task.
        unsafe { bindings::account_transfer(source, moved.max(0)) };
        usize::try_from(moved).map_err(|_| Error::from_errno(moved as c_int))
    }
}

fn f_mode(file: &File) -> bindings::fmode_t {
    // SAFETY: `file` is a valid file. What is looked at in `f_mode` is set before the file is
    // installed; splice may clear FMODE_NOWAIT meanwhile, by an atomic operation.
    unsafe { addr_of!((*file.as_ptr()).f_mode).read_volatile() }
}

fn fatal_signal_pending() -> bool {
    // SAFETY: The current task is a valid task.
    unsafe { bindings::fatal_signal_pending(bindings::get_current()) != 0 }
}

/// The position of a file, locked if the file has one that is protected.
struct Position<'a> {
    file: &'a File,
    locked: bool,
    _not_send: NotThreadSafe,
}

impl<'a> Position<'a> {
    fn lock(file: &'a File) -> Self {
        let locked = f_mode(file) & bindings::FMODE_ATOMIC_POS != 0;

        if locked {
            // SAFETY: `file` is a valid file, and a file with FMODE_ATOMIC_POS has its lock
            // initialized. It is not held: by the invariants of `File` this task is in no
            // `fdget_pos()` of it, and `Position` lives for one transfer.
            unsafe {
                bindings::mutex_lock(
                    addr_of!((*file.as_ptr()).__bindgen_anon_2.f_pos_lock).cast_mut(),
                )
            };
        }
        Self {
            file,
            locked,
            _not_send: NotThreadSafe,
        }
    }

    /// Returns where the position is kept; null for a stream, which has none.
    fn as_ptr(&self) -> *mut bindings::loff_t {
        if f_mode(self.file) & bindings::FMODE_STREAM != 0 {
            return ptr::null_mut();
        }
        // SAFETY: `file` is a valid file; no reference to the field is made.
        unsafe { &raw mut (*self.file.as_ptr()).f_pos }
    }
}

impl Drop for Position<'_> {
    fn drop(&mut self) {
        if self.locked {
            // SAFETY: This task took the lock in `lock()`.
            unsafe {
                bindings::mutex_unlock(
                    addr_of!((*self.file.as_ptr()).__bindgen_anon_2.f_pos_lock).cast_mut(),
                )
            };
        }
    }
}

/// What a waiter has put on one wait queue.
#[repr(C)]
struct Entry {
    wait: bindings::wait_queue_entry,
    /// The queue.
    head: *mut bindings::wait_queue_head,
    /// What to complete when one of `events` happens.
    ready: *mut bindings::completion,
    events: bindings::__poll_t,
}

/// Waits for a file to become ready, with only a fatal signal to end the wait early.
///
/// select(2) waits interruptibly, and its queue entries wake only a task that sleeps so. This
/// waiter's entries complete a completion, which wakes a task in any state.
///
/// # Invariants
///
/// The first `used` entries are on the wait queue that their `head` names, where `file` keeps it
/// alive; the rest are not on any.
#[pin_data(PinnedDrop)]
struct PollWaiter<'a> {
    file: &'a File,
    table: Opaque<bindings::poll_table>,
    #[pin]
    ready: Opaque<bindings::completion>,
    entries: UnsafeCell<[Entry; MAX_QUEUES]>,
    used: UnsafeCell<usize>,
    overflow: UnsafeCell<bool>,
    events: bindings::__poll_t,
    #[pin]
    _pin: PhantomPinned,
}

impl<'a> PollWaiter<'a> {
    fn new(file: &'a File, events: bindings::__poll_t) -> impl PinInit<Self> + 'a {
        let events = events | bindings::EPOLLERR | bindings::EPOLLHUP;

        pin_init!(Self {
            file,
            table: Opaque::new(bindings::poll_table {
                _qproc: Some(Self::enqueue),
                _key: events,
            }),
            ready <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is valid memory for a completion, and pinned.
                unsafe { bindings::init_completion(slot) }
            }),
            entries: UnsafeCell::new(core::array::from_fn(|_| Entry {
                wait: pin_init::zeroed(),
                head: ptr::null_mut(),
                ready: ptr::null_mut(),
                events,
            })),
            // INVARIANT: No entry is on a wait queue.
            used: UnsafeCell::new(0),
            overflow: UnsafeCell::new(false),
            events,
            _pin: PhantomPinned,
        })
    }

    /// Called by a file's poll operation: puts an entry on one of its wait queues.
    ///
    /// # Safety
    ///
    /// `table` must be that of a pinned `PollWaiter` on which `wait()` is running, and `head` a wait
    /// queue that lives as long as its file.
    unsafe extern "C" fn enqueue(
        _file: *mut bindings::file,
        head: *mut bindings::wait_queue_head,
        table: *mut bindings::poll_table,
    ) {
        // SAFETY: By the safety requirements, `table` is the field of a `PollWaiter`. `Opaque` is a
        // transparent wrapper.
        let waiter = unsafe { &*table.byte_sub(offset_of!(Self, table)).cast::<Self>() };

        // SAFETY: Only the task in `wait()` runs this function, so nothing else uses these cells.
        let (used, overflow) = unsafe { (&mut *waiter.used.get(), &mut *waiter.overflow.get()) };
        if *used >= MAX_QUEUES {
            *overflow = true;
            return;
        }

        // SAFETY: `used` is less than `MAX_QUEUES`, so the pointer is to an entry that is on no wait
        // queue, by the type invariant. The entry is pinned with the waiter, whose drop takes it off
        // the queue again.
        // INVARIANT: The entry is on a wait queue, and `used` counts it.
        unsafe {
            let entry = waiter.entries.get().cast::<Entry>().add(*used);

            (*entry).head = head;
            (*entry).ready = waiter.ready.get();
            bindings::init_waitqueue_func_entry(&raw mut (*entry).wait, Some(Self::wake));
            bindings::add_wait_queue(head, &raw mut (*entry).wait);
        }
        *used += 1;
    }

    /// Called by whoever wakes one of the wait queues.
    ///
    /// # Safety
    ///
    /// `wait` must be that of an [`Entry`] which `enqueue()` put on a wait queue.
    unsafe extern "C" fn wake(
        wait: *mut bindings::wait_queue_entry,
        _mode: c_uint,
        _flags: c_int,
        key: *mut c_void,
    ) -> c_int {
        // SAFETY: By the safety requirements `wait` is in an `Entry`. It is on the queue, whose
        // lock the caller holds, so the waiter is still there, and nothing writes to the entry.
        let entry = unsafe { &*wait.byte_sub(offset_of!(Entry, wait)).cast::<Entry>() };

        // A key tells which events there are; without one it may be any.
        if key.is_null() || key as usize & entry.events as usize != 0 {
            // SAFETY: The completion was initialized in `new()`, and lives as long as the entry.
            unsafe { bindings::complete(entry.ready) };
        }
        0
    }

    fn wait(self: Pin<&Self>) -> Result {
        const STATE: u32 = bindings::TASK_KILLABLE | bindings::TASK_FREEZABLE;
        let mut table = self.table.get();

        loop {
            // SAFETY: `file` is a valid file. `table` is that of this waiter, which is pinned, or
            // null.
            let ready = unsafe { bindings::vfs_poll(self.file.as_ptr(), table) };
            if ready & self.events != 0 {
                return Ok(());
            }

            // SAFETY: Only `enqueue()`, which runs in this task, writes the cell.
            if unsafe { *self.overflow.get() } {
                return Err(EINVAL);
            }

            // The entries stay on their queues until drop: from here on poll only looks.
            table = ptr::null_mut();

            // SAFETY: The completion was initialized in `new()`.
            let woken = unsafe { bindings::wait_for_completion_state(self.ready.get(), STATE) };
            to_result(woken).map_err(|_| EINTR)?;
        }
    }
}

#[pinned_drop]
impl PinnedDrop for PollWaiter<'_> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: No call of `enqueue()` is running: it takes a shared borrow to wait.
        let used = unsafe { *self.used.get() };

        for i in 0..used {
            // SAFETY: By the type invariant `i` is the index of an entry that is on the wait queue
            // behind `head`, which `file` keeps alive. The function takes the queue's lock, so
            // `wake()` is not running on the entry afterwards.
            unsafe {
                let entry = self.entries.get().cast::<Entry>().add(i);

                bindings::remove_wait_queue((*entry).head, &raw mut (*entry).wait);
            }
        }
    }
}
