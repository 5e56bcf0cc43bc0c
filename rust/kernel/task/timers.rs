// SPDX-License-Identifier: GPL-2.0

//! Clocks and timers of a process: timer_create(2), setitimer(2), time namespaces.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    regs::name,
    CurrentTask,
    Pid,
    Task, //
};
use crate::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    uapi, //
};
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};

/// What one timer of timer_create(2) is: see `struct cr_hdr_timer`.
pub type Setting = uapi::cr_hdr_timer;

/// What a process has of clocks and timers: see `struct cr_hdr_timers`.
pub type Process = uapi::cr_hdr_timers;

impl Task {
    /// Returns the clocks as the task sees them: the first three members.
    pub fn clocks(&self) -> Process {
        let mut clocks = Process::default();

        // SAFETY: `self` is a valid task, and both types are made of one declaration. The function
        // takes the lock that it needs.
        unsafe { bindings::checkpoint_clocks_get(self.as_ptr(), (&raw mut clocks).cast()) };
        clocks
    }

    /// Returns the timers of the task, ascending by id. The task must stand still.
    ///
    /// # Errors
    ///
    /// The inner one is the name of something that an image cannot hold.
    pub fn timers(&self) -> Result<Result<KVVec<Setting>, &'static str>> {
        let mut timers = KVVec::<Setting>::new();

        loop {
            let mut refused = core::ptr::null();
            // SAFETY: `self` is a valid task, both types of a timer are made of one declaration, and
            // `timers` has as many places as the function is told.
            let count = unsafe {
                bindings::checkpoint_timers_get(
                    self.as_ptr(),
                    timers.as_mut_ptr().cast(),
                    timers.len() as c_int,
                    &mut refused,
                )
            };
            // SAFETY: The function sets it to null or a string literal, and it was null before.
            if let (Some(what), true) = (unsafe { name(refused) }, count < 0) {
                return Ok(Err(what));
            }
            to_result(count.min(0))?;
            let count = count as usize;
            if count <= timers.len() {
                timers.truncate(count);
                break;
            }
            timers = KVVec::from_elem(Setting::default(), count, GFP_KERNEL_ACCOUNT)?;
        }
        timers.sort_unstable_by_key(|timer| timer.id);
        Ok(Ok(timers))
    }
}

/// Tells whether a timer repeats, and has sent its signal and waits for it to be delivered.
fn waits(setting: &Setting) -> bool {
    setting.flags & uapi::CR_TIMER_ARMED == 0 && setting.interval != 0
}

/// Tells whether a clock is that of the processor time of a thread.
fn is_of_thread(clock: i32) -> bool {
    clock == bindings::CLOCK_THREAD_CPUTIME_ID as i32 || (clock < 0 && clock & PER_THREAD != 0)
}

/// `CPUCLOCK_PERTHREAD_MASK`
const PER_THREAD: i32 = 4;

/// Returns the thread whose processor time a timer counts, by the number that an image has for it;
/// [`None`] if that is the leader, or no thread.
fn clock_tid(setting: &Setting) -> Option<Pid> {
    let tid = !(setting.clock >> 3);

    (setting.clock < 0 && setting.clock & PER_THREAD != 0 && tid > 0).then_some(tid)
}

/// How many expirations a timer may have missed: as many as leave room for more.
const OVERRUN: core::ops::RangeInclusive<i64> = -1..=i64::MAX / 2;

/// Tells whether numbers are in the ranges of their fields.
fn is_sound(setting: &Setting) -> bool {
    let notify = match setting.notify {
        bindings::SIGEV_NONE => !waits(setting),
        bindings::SIGEV_SIGNAL | bindings::SIGEV_THREAD | bindings::SIGEV_THREAD_ID => {
            (1..=bindings::_NSIG as i32).contains(&setting.signal)
        }
        _ => false,
    };
    let mut known = uapi::CR_TIMER_ARMED | uapi::CR_TIMER_ABSTIME;
    if setting.notify == bindings::SIGEV_THREAD_ID && setting.tid == 0 {
        known |= uapi::CR_TIMER_THREAD_ENDED;
    }
    if is_of_thread(setting.clock) && clock_tid(setting).is_none() {
        known |= uapi::CR_TIMER_CLOCK_ENDED;
    }
    let set = setting.flags & uapi::CR_TIMER_ARMED != 0 || setting.interval != 0;

    notify
        && setting.flags & !known == 0
        && setting.id >= 0
        && setting.interval >= 0
        && setting.expires >= i64::from(set)
        && OVERRUN.contains(&setting.overrun)
        && OVERRUN.contains(&setting.overrun_last)
}

/// Timers that are ready to become those of the current process. They count towards its
/// `RLIMIT_SIGPENDING`.
///
/// # Invariants
///
/// - Both vectors have the same length. Each entry of the first is owned, was made of that of the
///   second by `checkpoint_timer_create()`, and is known to nobody.
/// - Ids ascend, and all numbers are in the ranges of their fields.
#[derive(Default)]
pub struct Timers {
    process: Process,
    entries: KVVec<NonNull<bindings::k_itimer>>,
    settings: KVVec<Setting>,
}

impl Timers {
    /// No timers of timer_create(2), and those of setitimer(2) that `process` says.
    ///
    /// # Errors
    ///
    /// `EINVAL` if a number is out of range.
    pub fn new(process: Process) -> Result<Self> {
        let times = [
            process.real_left,
            process.real_interval,
            process.virtual_left,
            process.virtual_interval,
            process.prof_left,
            process.prof_interval,
            process.next_id.into(),
        ];

        if times.iter().any(|time| *time < 0) {
            return Err(EINVAL);
        }
        let mut timers = Self::default();
        // INVARIANT: There are no entries, and the numbers have just been checked.
        timers.process = process;
        Ok(timers)
    }

    /// Adds a timer, which no process has yet. If it is for a thread, that claims it later.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: a number out of range, an id that is not above the last, or no such clock.
    /// - `EOPNOTSUPP`: a clock that has no timers.
    /// - `EPERM`: a clock that wakes the machine, and the caller may not.
    /// - `EAGAIN`: too many timers and signals.
    pub fn push(&mut self, setting: Setting) -> Result {
        if !is_sound(&setting)
            || self
                .settings
                .last()
                .is_some_and(|last| last.id >= setting.id)
        {
            return Err(EINVAL);
        }
        self.entries.reserve(1, GFP_KERNEL_ACCOUNT)?;
        self.settings.reserve(1, GFP_KERNEL_ACCOUNT)?;

        // SAFETY: Both types are made of one declaration, and the numbers are in their ranges.
        let timer = from_err_ptr(unsafe {
            bindings::checkpoint_timer_create((&raw const setting).cast())
        })?;
        let timer = NonNull::new(timer).ok_or(EAGAIN)?;
        // INVARIANT: The timer is new. There is room in both vectors, so that neither fails.
        self.entries.push(timer, GFP_KERNEL_ACCOUNT)?;
        self.settings.push(setting, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    /// Returns what the threads of the process share until the timers are started.
    pub fn share(&self) -> Result<ForThreads> {
        let mut shared = ForThreads {
            entries: KVVec::with_capacity(self.entries.len(), GFP_KERNEL_ACCOUNT)?,
            settings: KVVec::new(),
            threads: KVVec::new(),
        };

        shared
            .settings
            .extend_from_slice(&self.settings, GFP_KERNEL_ACCOUNT)?;
        for (place, (timer, setting)) in self.entries.iter().zip(&self.settings).enumerate() {
            let of_clock = clock_tid(setting);

            if setting.tid != 0 {
                shared
                    .threads
                    .push((setting.tid, place), GFP_KERNEL_ACCOUNT)?;
            }
            if let Some(tid) = of_clock.filter(|tid| *tid != setting.tid) {
                shared.threads.push((tid, place), GFP_KERNEL_ACCOUNT)?;
            }
            // There is room.
            shared.entries.push(*timer, GFP_KERNEL_ACCOUNT)?;
            // SAFETY: By the type invariants it is a timer of which there is a reference.
            unsafe { bindings::checkpoint_timer_hold(timer.as_ptr()) };
        }
        shared.threads.sort_unstable();
        // INVARIANT: One reference was taken of each, and those that name threads are sorted.
        Ok(shared)
    }

    /// Replaces all timers of the current process by these, none of which is started.
    pub(super) fn add(&self) {
        // SAFETY: By the type invariants the timers are fit for the function, which takes them over:
        // `start()` gives up the entries. Both types of the structures are made of one declaration.
        unsafe {
            bindings::checkpoint_timers_add(
                (&raw const self.process).cast(),
                self.entries.as_ptr().cast_mut().cast(),
                self.settings.as_ptr().cast(),
                self.entries.len() as c_uint,
            )
        };
    }

    /// Starts these timers, which [`Self::add`] made those of the current process.
    pub(super) fn start(mut self) {
        // SAFETY: As for `add()`; nobody but the current process could have removed one since.
        unsafe {
            bindings::checkpoint_timers_start(
                (&raw const self.process).cast(),
                self.entries.as_ptr().cast_mut().cast(),
                self.settings.as_ptr().cast(),
                self.entries.len() as c_uint,
            )
        };
        // INVARIANT: They are the process's now.
        self.entries.clear();
        self.settings.clear();
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        for timer in self.entries.iter() {
            // SAFETY: By the type invariants it is owned, and known to nobody.
            unsafe { bindings::checkpoint_timer_free(timer.as_ptr()) };
        }
    }
}

/// The timers of a process that is made, for its threads: each that a timer is for says so. By that
/// time, nobody else knows the timers.
///
/// # Invariants
///
/// The first two vectors have the same length once it is made, and ids ascend. Of each timer there is
/// a reference. `threads` has the places of those that name threads, ascending by these.
pub struct ForThreads {
    entries: KVVec<NonNull<bindings::k_itimer>>,
    settings: KVVec<Setting>,
    threads: KVVec<(Pid, usize)>,
}

// SAFETY: A timer may be used, and dropped, by any task.
unsafe impl Send for ForThreads {}

impl ForThreads {
    /// Returns the id of the timer at a place.
    pub fn id(&self, place: usize) -> Option<i32> {
        self.settings.get(place).map(|setting| setting.id)
    }

    /// Makes the current task, a thread of the process, what the timers are for that name it by `tid`,
    /// the number that an image has for it. They must not be started yet.
    pub fn claim(&mut self, _thread: &CurrentTask, tid: Pid) {
        let first = self.threads.partition_point(|(named, _)| *named < tid);
        let own = self.threads.iter().skip(first);

        for (_, place) in own.take_while(|(named, _)| *named == tid) {
            let Some((setting, timer)) = self.settings.get(*place).zip(self.entries.get(*place))
            else {
                continue;
            };
            let (signal, clock) = (setting.tid == tid, clock_tid(setting) == Some(tid));

            // SAFETY: By the type invariants the timer is valid. Nobody else looks at it meanwhile, and
            // it has a clock of processor time if that has a thread.
            unsafe { bindings::checkpoint_timer_for(timer.as_ptr(), signal, clock) };
        }
    }

    /// Returns a timer that names a thread for which `is_thread` is false, and that thread.
    pub fn unclaimed(&self, is_thread: impl Fn(Pid) -> bool) -> Option<(i32, Pid)> {
        let (tid, place) = self.threads.iter().find(|(tid, _)| !is_thread(*tid))?;

        Some((self.id(*place)?, *tid))
    }

    /// Tells whether any timer names a thread.
    pub fn names_threads(&self) -> bool {
        !self.threads.is_empty()
    }

    /// Returns the setting of the timer with an id, and its signal with a reference, for a list of
    /// pending signals. The caller sees to it that each is asked for once.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is none, or it has not sent a signal.
    pub(super) fn sent(&self, id: i32) -> Result<(&Setting, NonNull<bindings::sigqueue>)> {
        let place = self
            .settings
            .binary_search_by_key(&id, |setting| setting.id)
            .map_err(|_| EINVAL)?;
        let (setting, timer) = self
            .settings
            .get(place)
            .zip(self.entries.get(place))
            .ok_or(EINVAL)?;

        if setting.flags & uapi::CR_TIMER_ARMED != 0 || setting.notify == bindings::SIGEV_NONE {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants it is a timer of which there is a reference.
        let signal = NonNull::new(unsafe { bindings::checkpoint_timer_signal(timer.as_ptr()) });
        Ok((setting, signal.ok_or(EINVAL)?))
    }
}

impl Drop for ForThreads {
    fn drop(&mut self) {
        for timer in self.entries.iter() {
            // SAFETY: By the type invariants there is a reference.
            unsafe { bindings::checkpoint_timer_put(timer.as_ptr()) };
        }
    }
}

/// A time namespace that the current task can enter.
///
/// # Invariants
///
/// It is what `checkpoint_timens_create()` returned, and owned.
pub struct TimeNamespace(NonNull<bindings::nsproxy>);

impl TimeNamespace {
    /// Makes a time namespace in which `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME` are at least as late as
    /// said, in nanoseconds, and as late as the caller has them.
    ///
    /// # Errors
    ///
    /// - `EPERM`: the caller lacks `CAP_SYS_ADMIN` or `CAP_SYS_TIME`.
    /// - `ERANGE`: a time that no clock reaches.
    /// - `ENOSPC`: there are too many namespaces.
    /// - `EOPNOTSUPP`: the kernel has no time namespaces.
    pub fn new(_caller: &CurrentTask, monotonic: i64, boottime: i64) -> Result<Self> {
        // SAFETY: The function has no requirements. The caller is the current task.
        let ns = from_err_ptr(unsafe { bindings::checkpoint_timens_create(monotonic, boottime) })?;

        // INVARIANT: Just returned.
        Ok(Self(NonNull::new(ns).ok_or(ENOMEM)?))
    }

    /// Lets the caller enter it.
    pub fn enter(self, _caller: &CurrentTask) {
        let this = ManuallyDrop::new(self);

        // SAFETY: By the type invariants. The function takes it over: the destructor does not run.
        unsafe { bindings::checkpoint_timens_switch(this.0.as_ptr()) };
    }
}

impl Drop for TimeNamespace {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, nobody has entered it.
        unsafe { bindings::checkpoint_timens_free(self.0.as_ptr()) };
    }
}
