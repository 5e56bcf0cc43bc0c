// SPDX-License-Identifier: GPL-2.0

//! Making tasks stand still at the edge of user mode.
//!
//! A [`Park`] asks tasks by task work to stop where they would return to user mode. There their
//! registers are final, nothing of the kernel is in the middle of anything on their behalf, and an
//! interrupted system call has left its `-ERESTART*` in the registers, to be re-issued afterwards. No
//! signal is involved, so the tasks do not notice.
//!
//! A task that job control has stopped stays where it is, with its work pending: should somebody
//! continue or kill it meanwhile, it runs the work before anything else.
//!
//! A task in vfork(2) does nothing until its child is done. It stands still when that does, with its
//! work pending likewise.
//!
//! A task that sleeps in a system call which does nothing when it is interrupted, as futex(2) that
//! waits, is left to sleep, with its work pending likewise. As long as it is held, its registers say
//! that the call was interrupted. Who wakes it up meanwhile has it come to the edge of user mode.
//!
//! Parking has three parts. As long as not all have come, a task that stands still may be killed, as
//! execve(2) of another thread does. From [`Park::hold`] to [`Park::let_die`] not even `SIGKILL` moves
//! a task, so that all of its state can be looked at; that part does no I/O. After it tasks may be
//! killed, and what was looked at must be held by references. Dropping the [`Park`] lets all go on.
//!
//! # Locking
//!
//! None is held while a task is parked. The callback takes the lock of the [`Gate`], which is a leaf.
//! Whether a task sleeps is looked at under those of the scheduler.
//!
//! C headers: [`include/linux/task_work.h`](srctree/include/linux/task_work.h),
//! [`include/linux/completion.h`](srctree/include/linux/completion.h)

use super::Task;
use crate::{
    bindings,
    error::to_result,
    new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        SpinLock, //
    },
    time::{
        msecs_to_jiffies,
        Delta,
        Instant,
        Jiffies,
        Monotonic,
        Msecs, //
    },
    types::Opaque,
};
use core::{
    mem::offset_of,
    sync::atomic::{
        AtomicBool,
        AtomicUsize,
        Ordering, //
    },
};

/// How long one look at the state of a task is apart from the next.
const POLL_MS: Msecs = 2;

/// How long the first pause is, in microseconds.
const PAUSE_US: usize = 20;

/// How many looks at a task that is on its way are no longer apart than it takes.
const LOOKS: u32 = 100;

/// What all tasks of a [`Park`] have in common.
#[pin_data]
struct Gate {
    /// How many tasks have been asked and have not come.
    missing: AtomicUsize,
    /// A task has come that was the last of those missing.
    #[pin]
    arrived: Opaque<bindings::completion>,
    /// Tasks may be killed.
    #[pin]
    seen: Opaque<bindings::completion>,
    /// Tasks may go on.
    #[pin]
    release: Opaque<bindings::completion>,
    /// Tasks may not even be killed. A task that is killed before looks at this, and says that it
    /// goes, under the lock.
    #[pin]
    held: SpinLock<bool>,
}

// SAFETY: The completions are made to be used from several tasks.
unsafe impl Send for Gate {}
// SAFETY: Likewise.
unsafe impl Sync for Gate {}

impl Gate {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            missing: AtomicUsize::new(0),
            arrived <- completion(),
            seen <- completion(),
            release <- completion(),
            held <- new_spinlock!(false),
        })
    }

    /// Notes that a task has come.
    fn arrive(&self) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: The completion was initialized in `new()`.
            unsafe { bindings::complete(self.arrived.get()) };
        }
    }
}

/// What a task and who parks it share.
#[pin_data]
struct Request {
    /// On the list of the task, until the task runs it or [`Park`] takes it back. One reference of
    /// the [`Arc`] belongs to it.
    #[pin]
    work: Opaque<bindings::callback_head>,
    /// That nobody else parks the task.
    #[pin]
    claim: Opaque<bindings::checkpoint_claim>,
    gate: Arc<Gate>,
    /// The task is one of those missing: it was interrupted, so that it comes.
    missing: bool,
    /// The task has come to the edge of user mode.
    arrived: AtomicBool,
    /// The task was killed, or was about to exit when it ran the work.
    gone: AtomicBool,
}

// SAFETY: The work and the claim are made to be used from several tasks.
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
    fn new(gate: Arc<Gate>, missing: bool) -> impl PinInit<Self> {
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
            claim <- Opaque::ffi_init(|slot: *mut bindings::checkpoint_claim| {
                // SAFETY: `slot` is valid memory for a `struct checkpoint_claim`, for which zeros
                // will do.
                unsafe { slot.write_bytes(0, 1) }
            }),
            gate,
            missing,
            arrived: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        })
    }

    /// Runs in the task that parks.
    ///
    /// # Safety
    ///
    /// `work` must be that of a `Request` that [`Park::add`] put on the list of the current task.
    unsafe extern "C" fn run(work: *mut bindings::callback_head) {
        // SAFETY: By the safety requirements this is the field of a `Request` in an `Arc`, of which
        // one reference belongs to the work, and the work is run once. `Opaque` is transparent.
        let request =
            unsafe { Arc::from_raw(work.byte_sub(offset_of!(Request, work)).cast::<Request>()) };
        let gate = &request.gate;

        // SAFETY: The current task is valid, and changes its own flags only.
        let exits = unsafe { (*bindings::get_current()).flags } & bindings::PF_EXITING != 0;
        if exits {
            request.gone.store(true, Ordering::Release);
        } else {
            super::regs::reissue_interrupted();
        }
        request.arrived.store(true, Ordering::Release);
        if request.missing {
            gate.arrive();
        }
        if exits {
            return;
        }

        // SAFETY: The completions were initialized in `Gate::new()`. The current task holds no lock:
        // task work runs at the edge of user mode.
        unsafe {
            let killable = bindings::TASK_KILLABLE | bindings::TASK_FREEZABLE;

            if bindings::wait_for_completion_state(gate.release.get(), killable) == 0 {
                return;
            }
            // It is being killed, but does not move while it is looked at.
            let held = {
                let held = gate.held.lock();

                request.gone.store(!*held, Ordering::Release);
                *held
            };

            if held {
                bindings::wait_for_completion_state(
                    gate.seen.get(),
                    bindings::TASK_UNINTERRUPTIBLE | bindings::TASK_FREEZABLE,
                );
                request.gone.store(true, Ordering::Release);
            }
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
    /// The freezer has caught the task in the middle of a system call.
    Frozen,
    /// Somebody else parks the task.
    Taken,
    /// restart(2) has not let the task go yet.
    Restarting,
    /// The caller got a fatal signal.
    Interrupted,
    /// There is no memory.
    NoMemory,
}

impl From<Unparked> for Error {
    fn from(why: Unparked) -> Self {
        match why {
            Unparked::Gone => ESRCH,
            Unparked::Late | Unparked::Frozen | Unparked::Taken | Unparked::Restarting => EBUSY,
            Unparked::Interrupted => EINTR,
            Unparked::NoMemory => ENOMEM,
        }
    }
}

/// A task that has been asked to stand still.
struct Member {
    task: ARef<Task>,
    request: Arc<Request>,
    /// It is the current task, which has not been asked.
    is_caller: bool,
    /// It slept when it was asked, and was left to.
    quiet: bool,
    /// Its registers say that it has been interrupted, as long as it sleeps.
    asleep: bool,
    /// It stands still.
    still: bool,
    /// It lived when [`Park::hold`] began.
    held: bool,
}

/// Where a task is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It is on its way.
    None,
    /// It stands still at the edge of user mode.
    Edge,
    /// It stands still in vfork(2), as long as its child does, which has this number.
    Vfork(usize),
    /// It stands still in the middle of a system call, until somebody thaws it.
    Midway,
    /// It has ended, or is about to.
    Ending,
}

/// Tells whether a task sleeps where it can be left.
fn sleeps(task: &Task) -> bool {
    // SAFETY: `task` is valid; no lock is held.
    unsafe { bindings::checkpoint_sleeps(task.as_ptr()) }
}

impl Member {
    /// Finds out where the task is now.
    fn rest(&self) -> Rest {
        if self.is_caller || self.quiet && sleeps(&self.task) {
            return Rest::Edge;
        }
        let arrived = self.request.arrived.load(Ordering::Acquire);
        if self.request.gone.load(Ordering::Acquire) || self.task.has_ended() {
            return Rest::Ending;
        }
        if let Some(child) = self.vfork() {
            // SAFETY: `task` is valid; no lock is held. A state that does not match is an answer at
            // once.
            let still = unsafe {
                bindings::wait_task_inactive(
                    self.task.as_ptr(),
                    bindings::TASK_UNINTERRUPTIBLE | bindings::TASK_FROZEN,
                )
            };

            return match still {
                0 => Rest::None,
                _ => Rest::Vfork(child),
            };
        }
        // Its registers are in memory when it has left the processor.
        //
        // SAFETY: `task` is valid; no lock is held.
        match unsafe { bindings::checkpoint_rest_of(self.task.as_ptr(), arrived) } as c_uint {
            bindings::CHECKPOINT_REST_EDGE => Rest::Edge,
            bindings::CHECKPOINT_REST_MIDWAY => Rest::Midway,
            _ => Rest::None,
        }
    }

    /// Has the task come, if it was left to sleep and does not.
    fn rouse(&mut self) {
        if core::mem::take(&mut self.quiet) {
            // SAFETY: `task` is valid.
            unsafe { bindings::checkpoint_rouse(self.task.as_ptr()) };
        }
    }

    /// Begins to hold a task that was left to sleep. Returns whether it stands still, as all others
    /// do.
    fn begin(&mut self) -> bool {
        if !self.quiet || self.task.has_ended() {
            return true;
        }
        // SAFETY: `task` is valid, and no lock is held. `end()` follows before the work is taken back.
        self.asleep = unsafe { bindings::checkpoint_sleep_begin(self.task.as_ptr()) };
        self.asleep || self.rest() == Rest::Edge
    }

    /// Ends that.
    fn end(&mut self) {
        if core::mem::take(&mut self.asleep) {
            // SAFETY: `task` is valid, and no lock is held. `begin()` was before.
            unsafe { bindings::checkpoint_sleep_end(self.task.as_ptr()) };
        }
    }

    /// Tells whether the task has been killed, whether or not it knows.
    fn is_killed(&self) -> bool {
        !self.is_caller
            && (self.request.gone.load(Ordering::Acquire)
                || self.task.has_ended()
                || self.task.is_killed())
    }

    /// Returns what a task that has not come waits for in vfork(2).
    fn vfork(&self) -> Option<usize> {
        if self.request.arrived.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: `task` is valid, and not current. The function takes the locks that it needs.
        let child = unsafe { bindings::checkpoint_vfork_child(self.task.as_ptr()) };

        (!child.is_null()).then_some(child as usize)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Who was interrupted and is on its way runs the work, which lets it go at once: that its
        // system call is done again is up to that.
        let runs = self.is_caller || !self.quiet && !self.still && self.rest() == Rest::None;
        // SAFETY: The claim was made in `Park::add()`, and `task` is valid. Whether the work is
        // still on its list is what the function finds out.
        let cancelled = unsafe {
            bindings::checkpoint_unclaim(self.request.claim.get());
            !runs && bindings::task_work_cancel(self.task.as_ptr(), self.request.work.get())
        };
        if cancelled {
            // SAFETY: The work will not run, so its reference is given back here.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(&self.request)) });
        }
    }
}

/// Tasks that stand still; dropping this lets them go on.
pub struct Park {
    gate: Arc<Gate>,
    members: KVVec<Member>,
    vforks: KVVec<(usize, usize)>,
}

impl Park {
    /// No tasks yet.
    pub fn new() -> Result<Self> {
        Ok(Self {
            gate: Arc::pin_init(Gate::new(), GFP_KERNEL_ACCOUNT)?,
            members: KVVec::new(),
            vforks: KVVec::new(),
        })
    }

    /// Returns how many tasks there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Tells whether there are no tasks.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Asks a task to stand still. The caller itself is noted only, so that nobody else parks it.
    ///
    /// # Errors
    ///
    /// [`Unparked::Taken`] if somebody else parks the task, [`Unparked::Restarting`] if restart(2) has
    /// not let it go yet, [`Unparked::Gone`] if it is beyond user mode.
    pub fn add(&mut self, task: ARef<Task>) -> Result<(), Unparked> {
        let is_caller = task.as_ptr() == current!().as_ptr();
        let quiet = !is_caller && sleeps(&task);
        let missing = !is_caller && !quiet;

        self.members
            .reserve(1, GFP_KERNEL_ACCOUNT)
            .map_err(|_| Unparked::NoMemory)?;
        let request = Request::new(self.gate.clone(), missing);
        let request = Arc::pin_init(request, GFP_KERNEL_ACCOUNT).map_err(|_| Unparked::NoMemory)?;

        // SAFETY: The claim is zeros and pinned; `task` is valid as long as its reference is, which
        // is kept beside the claim.
        let claimed =
            unsafe { bindings::checkpoint_claim(request.claim.get(), task.as_ptr(), false) };
        match to_result(claimed) {
            Ok(()) => (),
            Err(e) if e == EAGAIN => return Err(Unparked::Restarting),
            Err(_) => return Err(Unparked::Taken),
        }
        let member = Member {
            task,
            request,
            is_caller,
            quiet,
            asleep: false,
            still: is_caller,
            held: false,
        };
        if !is_caller {
            let work = Arc::into_raw(member.request.clone());

            let notify = match missing {
                true => bindings::task_work_notify_mode_TWA_SIGNAL,
                false => bindings::task_work_notify_mode_TWA_RESUME,
            };

            self.gate
                .missing
                .fetch_add(missing.into(), Ordering::AcqRel);
            // SAFETY: `task` is valid. The work lives as long as the reference just given up, which
            // `run()` or the drop of the member takes back.
            let added = unsafe {
                bindings::task_work_add(member.task.as_ptr(), (*work).work.get(), notify)
            };
            if added != 0 {
                self.gate
                    .missing
                    .fetch_sub(missing.into(), Ordering::AcqRel);
                // SAFETY: The pointer is from `into_raw()`, and the work did not take it over.
                drop(unsafe { Arc::from_raw(work) });
                return Err(Unparked::Gone);
            }
        }
        self.members
            .push(member, GFP_KERNEL_ACCOUNT)
            .map_err(|_| Unparked::NoMemory)
    }

    /// Waits until all tasks stand still, and those that are about to exit have, until `limit` has
    /// gone by `since` then.
    ///
    /// # Errors
    ///
    /// [`Unparked::Late`] with a task that does not come in time: it sleeps uninterruptibly. At once,
    /// [`Unparked::Frozen`] with one that does not before somebody else wants it to.
    pub fn settle(
        &mut self,
        since: Instant<Monotonic>,
        limit: Delta,
    ) -> Result<(), (Option<ARef<Task>>, Unparked)> {
        let step: Jiffies = msecs_to_jiffies(POLL_MS);
        let mut looks = 0u32;
        // Where nobody is missing, nobody is going to tell.
        let mut waits = self.gate.missing.load(Ordering::Acquire) != 0;

        loop {
            let done = match core::mem::replace(&mut waits, true) {
                // SAFETY: The completion was initialized in `Gate::new()`.
                true => unsafe {
                    bindings::wait_for_completion_killable_timeout(
                        self.gate.arrived.get(),
                        step.max(1),
                    )
                },
                false => 0,
            };
            if done < 0 {
                return Err((None, Unparked::Interrupted));
            }

            let mut late = None;
            let mut vforks = false;
            for member in self.members.iter_mut().filter(|member| !member.still) {
                let rest = member.rest();

                member.still = match rest {
                    Rest::Edge => true,
                    Rest::None => {
                        member.rouse();
                        false
                    }
                    Rest::Vfork(_) => {
                        vforks = true;
                        continue;
                    }
                    Rest::Midway => return Err((Some(member.task.clone()), Unparked::Frozen)),
                    // Until it has ended it may change what others see.
                    Rest::Ending => member.task.has_ended(),
                };
                if !member.still && late.is_none() {
                    late = Some(member.task.clone());
                }
            }
            if late.is_none() && vforks {
                // Their children stand still by now; before that, one may have let its parent go.
                late = self
                    .members
                    .iter()
                    .filter(|member| !member.still)
                    .find(|member| !matches!(member.rest(), Rest::Vfork(_)))
                    .map(|member| member.task.clone());
            }
            let Some(late) = late else {
                return Ok(());
            };
            if self.gate.missing.load(Ordering::Acquire) == 0 && looks < LOOKS {
                // All have come, and some have not left the processor.
                looks += 1;
                // SAFETY: May be called by any task that may sleep.
                unsafe {
                    bindings::usleep_range_state(5, 20, bindings::TASK_UNINTERRUPTIBLE);
                    bindings::complete(self.gate.arrived.get());
                }
                continue;
            }
            looks = 0;
            if since.elapsed() > limit {
                return Err((Some(late), Unparked::Late));
            }
        }
    }

    /// Waits for a moment, which is longer the next time.
    ///
    /// # Errors
    ///
    /// [`Unparked::Interrupted`] on a fatal signal.
    pub fn pause(micros: &mut usize) -> Result<(), Unparked> {
        *micros = (*micros).clamp(PAUSE_US, 1000 * POLL_MS as usize) * 2;
        // SAFETY: Both may be called by any task that may sleep.
        let killed = unsafe {
            bindings::usleep_range_state(*micros / 2, *micros, bindings::TASK_KILLABLE);
            bindings::fatal_signal_pending(bindings::get_current()) != 0
        };

        match killed {
            true => Err(Unparked::Interrupted),
            false => Ok(()),
        }
    }

    /// Notes what tasks in vfork(2) wait for: see [`Self::vforks`]. All tasks that they may wait for
    /// have been asked, and stand still.
    ///
    /// # Errors
    ///
    /// The first that waits for a task which has not been asked, and so may go at any time;
    /// [`None`] if there is no memory.
    pub fn find_vforks(&mut self) -> Result<(), Option<ARef<Task>>> {
        self.vforks.clear();
        for member in self.members.iter().filter(|member| !member.still) {
            let child = member.vfork().filter(|child| {
                self.members
                    .iter()
                    .any(|other| other.task.id() == *child && !other.task.has_ended())
            });
            let Some(child) = child else {
                return Err(Some(member.task.clone()));
            };

            self.vforks
                .push((member.task.id(), child), GFP_KERNEL_ACCOUNT)
                .map_err(|_| None)?;
        }
        Ok(())
    }

    /// Returns the tasks in vfork(2), each with what it waits for, by the numbers of
    /// [`Kin`](super::tree::Kin).
    pub fn vforks(&self) -> &[(usize, usize)] {
        &self.vforks
    }

    /// Begins the part of parking in which no task can die.
    ///
    /// Returns whether all tasks stand still that have not ended; otherwise one has been killed
    /// meanwhile, and has to be waited for.
    pub fn hold(&mut self) -> bool {
        // Nobody else is there to wake up who sleeps but strangers, which do later what they do now.
        if !self.members.iter_mut().all(Member::begin) {
            self.let_go();
            return false;
        }
        let mut held = self.gate.held.lock();
        let all = self
            .members
            .iter()
            .all(|member| member.task.has_ended() || !member.request.gone.load(Ordering::Acquire));

        *held = all;
        drop(held);
        if all {
            for member in self.members.iter_mut() {
                member.held = !member.task.has_ended();
            }
        } else {
            self.let_go();
        }
        all
    }

    /// Looks again who stands still that did.
    fn let_go(&mut self) {
        for member in self.members.iter_mut() {
            member.end();
            member.still = member.still && member.rest() == Rest::Edge;
        }
    }

    /// Ends the part of parking in which no task can die.
    pub fn let_die(&self) {
        // SAFETY: The completion was initialized in `Gate::new()`.
        unsafe { bindings::complete_all(self.gate.seen.get()) };
    }

    /// Returns a task that has been killed since, if there is one. What an image has of its memory
    /// may be wrong: the killer for lack of memory takes that away before the task has gone.
    pub fn killed(&self) -> Option<&Task> {
        self.members
            .iter()
            .find(|member| member.held && member.is_killed())
            .map(|member| &*member.task)
    }

    /// Returns a task that somebody traces since, if there is one.
    pub fn traced(&self) -> Option<&Task> {
        self.members
            .iter()
            .find(|member| !member.is_caller && member.task.is_traced())
            .map(|member| &*member.task)
    }

    /// Sends every process a signal as the kernel itself does; it acts when the tasks go on, and
    /// before they are in user mode. To be used with `SIGKILL` and `SIGSTOP`, which concern all of a
    /// process.
    pub fn signal(&self, signal: u32) -> Result {
        let signal = c_int::try_from(signal).map_err(|_| EINVAL)?;

        for member in &self.members {
            let task = member.task.as_ptr();

            // SAFETY: `task` is valid, and so is the leader of its group, as long as it is. The
            // function takes the locks that it needs.
            let sent = unsafe {
                let leader = (*task).group_leader;
                // One that has ended before its threads was not asked, and gets none.
                if leader != task && !bindings::checkpoint_has_ended(leader) {
                    continue;
                }
                bindings::send_sig(signal, task, 1)
            };

            match to_result(sent) {
                // That of another, its leader or its parent, may have ended it by now.
                Err(e) if e == ESRCH => (),
                result => result?,
            }
        }
        Ok(())
    }
}

impl Drop for Park {
    fn drop(&mut self) {
        // As long as nobody who has come can have gone on, and sleep somewhere else.
        self.members.iter_mut().for_each(Member::end);
        // SAFETY: The completions were initialized in `Gate::new()`.
        unsafe {
            bindings::complete_all(self.gate.seen.get());
            bindings::complete_all(self.gate.release.get());
        }
        // The members take back what has not been run.
    }
}
