// SPDX-License-Identifier: GPL-2.0

//! Making another task stand still at the edge of user mode.
//!
//! A [`Park`] asks a task by task work to stop where it would return to user mode. There its
//! registers are final, nothing of the kernel is in the middle of anything on its behalf, and an
//! interrupted system call has left its `-ERESTART*` in the registers, to be re-issued afterwards. No
//! signal is involved, so the task does not notice.
//!
//! A task that job control has stopped stays where it is, with its work pending: should somebody
//! continue or kill it meanwhile, it runs the work before anything else.
//!
//! Parking has two halves. Up to [`Park::let_die`] not even `SIGKILL` moves the task, so that all of
//! its state can be looked at; that half does no I/O. After it the task may be killed, and what was
//! looked at must be held by references. Dropping the [`Park`] lets the task go on.
//!
//! # Locking
//!
//! None is held while a task is parked. The callback takes none.
//!
//! C headers: [`include/linux/task_work.h`](srctree/include/linux/task_work.h),
//! [`include/linux/completion.h`](srctree/include/linux/completion.h)

use super::Task;
use crate::{
    bindings,
    error::to_result,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    time::{
        msecs_to_jiffies,
        Jiffies,
        Msecs, //
    },
    types::Opaque,
};
use core::{
    mem::offset_of,
    sync::atomic::{
        AtomicBool,
        Ordering, //
    },
};

/// How long one look at the state of a task is apart from the next.
const POLL_MS: Msecs = 2;

/// What the two tasks share.
#[pin_data]
struct Request {
    /// On the list of the task, until the task runs it or [`Park`] takes it back. One reference of
    /// the [`Arc`] belongs to it.
    #[pin]
    work: Opaque<bindings::callback_head>,
    /// The task has come to the edge of user mode.
    #[pin]
    arrived: Opaque<bindings::completion>,
    /// The task may be killed.
    #[pin]
    seen: Opaque<bindings::completion>,
    /// The task may go on.
    #[pin]
    release: Opaque<bindings::completion>,
    /// The task was killed, or was about to exit when it ran the work.
    gone: AtomicBool,
}

// SAFETY: The completions and the work are made to be used from several tasks.
unsafe impl Send for Request {}
// SAFETY: Likewise.
unsafe impl Sync for Request {}

fn completion() -> impl PinInit<Opaque<bindings::completion>> {
    Opaque::ffi_init(|slot| {
        // SAFETY: `slot` is valid memory for a completion, and pinned.
        unsafe { bindings::init_completion(slot) }
    })
}

impl Request {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            work <- Opaque::ffi_init(|slot: *mut bindings::callback_head| {
                // SAFETY: `slot` is valid memory for a `struct callback_head`.
                unsafe {
                    slot.write(bindings::callback_head {
                        next: core::ptr::null_mut(),
                        func: Some(Self::run),
                    })
                }
            }),
            arrived <- completion(),
            seen <- completion(),
            release <- completion(),
            gone: AtomicBool::new(false),
        })
    }

    /// Runs in the task that parks.
    ///
    /// # Safety
    ///
    /// `work` must be that of a `Request` that [`Park::new`] put on the list of the current task.
    unsafe extern "C" fn run(work: *mut bindings::callback_head) {
        // SAFETY: By the safety requirements this is the field of a `Request` in an `Arc`, of which
        // one reference belongs to the work, and the work is run once. `Opaque` is transparent.
        let request =
            unsafe { Arc::from_raw(work.byte_sub(offset_of!(Request, work)).cast::<Request>()) };

        // SAFETY: The current task is valid, and changes its own flags only.
        if unsafe { (*bindings::get_current()).flags } & bindings::PF_EXITING != 0 {
            request.gone.store(true, Ordering::Release);
        } else {
            super::regs::reissue_interrupted();
        }
        // SAFETY: The completion was initialized in `new()`.
        unsafe { bindings::complete_all(request.arrived.get()) };
        if request.gone.load(Ordering::Acquire) {
            return;
        }

        // SAFETY: The completions were initialized in `new()`. The current task holds no lock: task
        // work runs at the edge of user mode.
        let killed = unsafe {
            bindings::wait_for_completion_state(
                request.seen.get(),
                bindings::TASK_UNINTERRUPTIBLE | bindings::TASK_FREEZABLE,
            );
            bindings::wait_for_completion_state(
                request.release.get(),
                bindings::TASK_KILLABLE | bindings::TASK_FREEZABLE,
            )
        };
        if killed != 0 {
            request.gone.store(true, Ordering::Release);
        }
    }
}

/// Why a task could not be parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparked {
    /// The task is about to exit, or has.
    Gone,
    /// The task did not come within the time limit.
    Late,
    /// The caller got a fatal signal.
    Interrupted,
    /// There is no memory.
    NoMemory,
}

impl From<Unparked> for Error {
    fn from(why: Unparked) -> Self {
        match why {
            Unparked::Gone => ESRCH,
            Unparked::Late => EBUSY,
            Unparked::Interrupted => EINTR,
            Unparked::NoMemory => ENOMEM,
        }
    }
}

/// A task that stands still; dropping this lets it go on.
pub struct Park {
    task: ARef<Task>,
    request: Arc<Request>,
}

impl Park {
    /// Parks `task`, which must not be the current task.
    ///
    /// # Errors
    ///
    /// [`Unparked::Late`] if the task does not come within `limit` milliseconds: it is in an
    /// uninterruptible sleep.
    pub fn new(task: ARef<Task>, limit: Msecs) -> Result<Self, Unparked> {
        let request =
            Arc::pin_init(Request::new(), GFP_KERNEL_ACCOUNT).map_err(|_| Unparked::NoMemory)?;

        let work = Arc::into_raw(request.clone());
        // SAFETY: `task` is valid. The work lives as long as the reference just given up, which
        // `run()` or the drop of `Park` takes back.
        let added = unsafe {
            bindings::task_work_add(
                task.as_ptr(),
                (*work).work.get(),
                bindings::task_work_notify_mode_TWA_SIGNAL,
            )
        };
        if added != 0 {
            // SAFETY: The pointer is from `into_raw()`, and the work did not take it over.
            drop(unsafe { Arc::from_raw(work) });
            return Err(Unparked::Gone);
        }

        let park = Self { task, request };
        park.arrive(limit)?;
        Ok(park)
    }

    /// Waits until the task stands still.
    fn arrive(&self, limit: Msecs) -> Result<(), Unparked> {
        let step: Jiffies = msecs_to_jiffies(POLL_MS);
        let mut left = limit;

        loop {
            // SAFETY: The completion was initialized in `Request::new()`.
            let done = unsafe {
                bindings::wait_for_completion_killable_timeout(
                    self.request.arrived.get(),
                    step.max(1),
                )
            };
            if done < 0 {
                return Err(Unparked::Interrupted);
            }
            if self.request.gone.load(Ordering::Acquire) {
                return Err(Unparked::Gone);
            }
            let state = if done > 0 {
                bindings::TASK_UNINTERRUPTIBLE
            } else {
                // Stopped by job control: the work is run when that ends.
                bindings::__TASK_STOPPED
            };
            // Its registers are in memory when it has left the processor. A state that does not
            // match, as that of a task which has not come to its sleep yet, is an answer at once.
            //
            // SAFETY: `task` is valid; no lock is held.
            if unsafe { bindings::wait_task_inactive(self.task.as_ptr(), state) } != 0 {
                return Ok(());
            }
            left = left.checked_sub(POLL_MS).ok_or(Unparked::Late)?;
            if done > 0 {
                // The completion does not make this loop wait any more.
                // SAFETY: May be called by any task that may sleep.
                unsafe { bindings::schedule_timeout_uninterruptible(1) };
            }
        }
    }

    /// Ends the half of parking in which the task cannot die.
    pub fn let_die(&self) {
        // SAFETY: The completion was initialized in `Request::new()`.
        unsafe { bindings::complete_all(self.request.seen.get()) };
    }

    /// Tells whether the task is still there.
    pub fn is_alive(&self) -> bool {
        !self.request.gone.load(Ordering::Acquire) && self.task.life().exit_state == 0
    }

    /// Sends the task a signal as the kernel itself does; it acts when the task goes on, and before
    /// that is in user mode. `SIGKILL` and `SIGSTOP` concern all of its thread group.
    pub fn signal(&self, signal: u32) -> Result {
        let signal = c_int::try_from(signal).map_err(|_| EINVAL)?;

        // SAFETY: `task` is valid. The function takes the locks that it needs.
        to_result(unsafe { bindings::send_sig(signal, self.task.as_ptr(), 1) })
    }
}

impl Drop for Park {
    fn drop(&mut self) {
        // SAFETY: The completions were initialized in `Request::new()`. `task` is valid; whether the
        // work is still on its list is what the function finds out.
        let cancelled = unsafe {
            bindings::complete_all(self.request.seen.get());
            bindings::complete_all(self.request.release.get());
            bindings::task_work_cancel(self.task.as_ptr(), self.request.work.get())
        };
        if cancelled {
            // SAFETY: The work will not run, so its reference is given back here.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(&self.request)) });
        }
    }
}
