// SPDX-License-Identifier: GPL-2.0

//! The signals of a task: what is blocked, what each does, which are pending.
//!
//! C headers: [`include/linux/signal.h`](srctree/include/linux/signal.h),
//! [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    timers::{
        self,
        ForThreads,
        Timers, //
    },
    CurrentTask,
    Pid,
    Task, //
};
use crate::{
    bindings,
    error::to_result,
    prelude::*,
    rbtree::RBTree,
    uapi, //
};
use core::{
    mem::size_of,
    ptr::NonNull, //
};

/// How many signals there are; the first is 1.
pub const NSIG: usize = bindings::_NSIG as usize;

/// Words of a `siginfo_t`.
pub const INFO_WORDS: usize = bindings::CHECKPOINT_SIGINFO_WORDS as usize;

/// Words of a `siginfo_t` that the kernel keeps: the rest is zeros.
const KEPT_WORDS: usize = size_of::<bindings::kernel_siginfo>() / size_of::<u64>();

/// What a signal does.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Action {
    /// Address of the handler, `SIG_DFL` or `SIG_IGN`.
    pub handler: u64,
    /// `SA_*`
    pub flags: u64,
    /// Address of the code that returns from the handler.
    pub restorer: u64,
    /// Signals that are blocked in the handler.
    pub mask: u64,
}

impl Action {
    fn from_words([handler, flags, restorer, mask]: [u64; 4]) -> Self {
        Self {
            handler,
            flags,
            restorer,
            mask,
        }
    }

    fn to_words(self) -> [u64; 4] {
        [self.handler, self.flags, self.restorer, self.mask]
    }
}

/// A pending signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// The id of the timer that sent it.
    pub timer: Option<i32>,
    /// `siginfo_t`
    pub info: [u64; INFO_WORDS],
}

/// Which signals a thread blocks.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Masks {
    /// The signals that are blocked now: bit 0 is signal 1.
    pub blocked: u64,
    /// Those to be blocked when the system call is over, if that makes a difference.
    pub saved: Option<u64>,
}

/// All that signals are to a thread alone.
pub struct Signals {
    /// Which signals are blocked.
    pub masks: Masks,
    /// The signals that wait for this thread, in the order of delivery.
    pub pending: KVVec<Pending>,
}

/// What job control did to a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobControl {
    /// `CR_PROCESS_*`
    pub flags: u32,
    /// The signal that stopped the process; 0 if it is not stopped.
    pub signal: u32,
}

/// All that signals are to a process.
pub struct ProcessSignals {
    /// What job control did to the process.
    pub control: JobControl,
    /// What each signal does; that of signal 1 comes first.
    pub actions: KVec<Action>,
    /// The signals that wait for any thread, in the order of delivery.
    pub pending: KVVec<Pending>,
    /// The timers of setitimer(2) at the same moment. The clocks are 0.
    pub itimers: timers::Process,
}

/// What C says of a pending signal: the first word, then `siginfo_t`.
type RawPending = [u64; 1 + INFO_WORDS];

/// Has `get` write as many pending signals as there is room for, until there is room for all. It
/// returns how many there are, or an error.
fn all_pending(mut get: impl FnMut(*mut RawPending, c_int) -> c_int) -> Result<KVVec<Pending>> {
    let mut raw = KVVec::<RawPending>::new();

    loop {
        let count = get(raw.as_mut_ptr(), raw.len() as c_int);
        to_result(count.min(0))?;
        let count = count as usize;
        if count <= raw.len() {
            raw.truncate(count);
            break;
        }
        raw = KVVec::from_elem([0; 1 + INFO_WORDS], count, GFP_KERNEL_ACCOUNT)?;
    }

    let mut pending = KVVec::with_capacity(raw.len(), GFP_KERNEL_ACCOUNT)?;
    for [kind, info @ ..] in raw {
        let timer = kind & u64::from(bindings::CHECKPOINT_PENDING_TIMER) != 0;

        pending.push(
            Pending {
                // It was put there as 32 bits.
                timer: timer.then_some((kind >> bindings::CHECKPOINT_PENDING_ID_SHIFT) as i32),
                info,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
    }
    Ok(pending)
}

impl Task {
    /// Returns all that signals are to the thread. Pending signals may become more meanwhile; the rest
    /// changes only if the task runs.
    ///
    /// The signal of a timer that was deleted or set anew since is not pending: it is never delivered.
    ///
    /// # Errors
    ///
    /// `ESRCH` if the task is about to die.
    pub fn signals(&self) -> Result<Signals> {
        let mut masks = [0u64; 2];
        let mut flags = 0u32;
        let pending = all_pending(|raw, len| {
            // SAFETY: `self` is a valid task, the out pointers are those of local variables of the
            // types and lengths that the function expects, and `raw` has as many places as it is
            // told.
            unsafe {
                bindings::checkpoint_signals_get(
                    self.as_ptr(),
                    masks.as_mut_ptr(),
                    &mut flags,
                    raw,
                    len,
                )
            }
        })?;

        Ok(Signals {
            masks: Masks {
                blocked: masks[0],
                saved: (flags & uapi::CR_SIGNALS_RESTORE_MASK != 0).then_some(masks[1]),
            },
            pending,
        })
    }

    /// Returns how many tasks have the table of actions of this one.
    pub fn sighand_users(&self) -> usize {
        // SAFETY: `self` is a valid task. The function takes the RCU lock that it needs.
        unsafe { bindings::checkpoint_sighand_users(self.as_ptr()) as usize }
    }

    /// Returns all that signals are to the process that the task leads; it may have ended if another
    /// thread lives.
    ///
    /// # Errors
    ///
    /// As of [`Self::signals`].
    pub fn process_signals(&self) -> Result<ProcessSignals> {
        let mut words = KVec::from_elem([0u64; 4], NSIG, GFP_KERNEL_ACCOUNT)?;
        let mut itimers = timers::Process::default();
        let mut control = uapi::cr_hdr_process::default();
        let pending = all_pending(|raw, len| {
            // SAFETY: As in `signals()`. Both types of the second and of the last are made of one
            // declaration.
            unsafe {
                bindings::checkpoint_process_get(
                    self.as_ptr(),
                    (&raw mut control).cast(),
                    words.as_mut_ptr(),
                    raw,
                    len,
                    (&raw mut itimers).cast(),
                )
            }
        })?;

        let mut actions = KVec::with_capacity(NSIG, GFP_KERNEL_ACCOUNT)?;
        for action in words {
            actions.push(Action::from_words(action), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(ProcessSignals {
            control: JobControl {
                flags: control.flags,
                signal: control.stop_signal,
            },
            actions,
            pending,
            itimers,
        })
    }
}

/// Signals that are ready to become pending for the current task or its process. They count towards its
/// `RLIMIT_SIGPENDING`.
///
/// # Invariants
///
/// The entries are owned, on no list, and different. Those of timers have a reference on theirs,
/// whose ids are in `sent`.
#[derive(Default)]
pub struct Queue {
    entries: KVVec<NonNull<bindings::sigqueue>>,
    /// The thread that they are for, by the number that an image has for it; [`None`] if any of the
    /// process may take them.
    thread: Option<Pid>,
    sent: RBTree<i32, ()>,
}

impl Queue {
    /// No signals yet for a thread, which is known by the number that an image has for it; [`None`] is
    /// any of the process.
    pub fn new(thread: Option<Pid>) -> Self {
        let mut queue = Self::default();

        // INVARIANT: There are no entries.
        queue.thread = thread;
        queue
    }

    /// Adds a signal, which one of `timers` may have sent.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the signal is none that can be queued, the kernel cannot keep all that is known of
    /// it, or it is not what its timer has sent; `EAGAIN` if there are too many, or there is no
    /// memory.
    pub fn push(&mut self, signal: &Pending, timers: Option<&ForThreads>) -> Result {
        let [a, b, c, d, ..] = signal.info[0].to_ne_bytes();
        let number = u32::from_ne_bytes([a, b, c, d]);

        if number == 0 || number as usize > NSIG || number == bindings::SIGKILL {
            return Err(EINVAL);
        }
        if signal.info.iter().skip(KEPT_WORDS).any(|word| *word != 0) {
            return Err(EINVAL);
        }
        self.entries.reserve(1, GFP_KERNEL_ACCOUNT)?;

        let entry = match signal.timer {
            Some(id) => self.sent_by(id, number, timers.ok_or(EINVAL)?)?,
            None => {
                // SAFETY: The array has as many words as the function reads, and begins with the
                // number of a signal.
                let entry = unsafe { bindings::checkpoint_sigqueue_alloc(signal.info.as_ptr()) };
                NonNull::new(entry).ok_or(EAGAIN)?
            }
        };
        // INVARIANT: The entry is new, or that of another timer than any before. There is room, so
        // that this does not fail.
        self.entries.push(entry, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    /// Returns the signal that a timer has sent, once, with a reference on the timer.
    fn sent_by(
        &mut self,
        id: i32,
        number: u32,
        timers: &ForThreads,
    ) -> Result<NonNull<bindings::sigqueue>> {
        if self.sent.get(&id).is_some() {
            return Err(EINVAL);
        }
        self.sent
            .try_create_and_insert(id, (), GFP_KERNEL_ACCOUNT)?;

        let (setting, entry) = timers.sent(id)?;
        let to_thread = setting.notify & bindings::SIGEV_THREAD_ID != 0;
        // That of one timer is in one queue.
        if setting.signal != number as i32 || self.thread != to_thread.then_some(setting.tid) {
            // SAFETY: It is owned, and on no list: the function drops the reference.
            unsafe { bindings::checkpoint_sigqueue_free(entry.as_ptr()) };
            return Err(EINVAL);
        }
        Ok(entry)
    }

    /// Replaces the number of the process that has sent a signal by what `pid_of` makes of it.
    pub fn translate(&mut self, pid_of: impl Fn(Pid) -> Option<Pid>) {
        for entry in self.entries.iter() {
            // SAFETY: By the invariant of the type the entry is owned.
            let sender = unsafe { bindings::checkpoint_sigqueue_sender(entry.as_ptr()) };

            // SAFETY: The function returns null, or a pointer into the entry, which is on no list.
            if let Some(sender) = unsafe { sender.as_mut() } {
                *sender = pid_of(*sender).unwrap_or(*sender);
            }
        }
    }

    /// Returns the entries as C takes them, with their number.
    fn as_raw(&self) -> (*mut *mut bindings::sigqueue, c_int) {
        (
            self.entries.as_ptr().cast_mut().cast(),
            self.entries.len() as c_int,
        )
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        for entry in self.entries.iter() {
            // SAFETY: By the invariant of the type the entry is owned, and on no list. Of that of a
            // timer the function drops the reference.
            unsafe { bindings::checkpoint_sigqueue_free(entry.as_ptr()) };
        }
    }
}

/// The actions of all signals as C takes them, so that nothing has to be allocated to set them.
///
/// # Invariants
///
/// There are `NSIG` of them.
pub struct RawActions(KVec<[u64; 4]>);

impl RawActions {
    /// Makes room for the actions of all signals, which are the default.
    pub fn new() -> Result<Self> {
        // INVARIANT: So many are made.
        Ok(Self(KVec::from_elem([0; 4], NSIG, GFP_KERNEL_ACCOUNT)?))
    }

    /// Sets the action of a signal. Nothing happens if there is no such signal.
    pub fn set(&mut self, signal: u32, action: Action) {
        let words = (signal as usize)
            .checked_sub(1)
            .and_then(|i| self.0.get_mut(i));

        if let Some(words) = words {
            *words = action.to_words();
        }
    }
}

/// The table of actions that some processes have.
///
/// # Invariants
///
/// The pointer is to a valid `sighand_struct`, and this is a reference to it.
pub struct SharedActions(NonNull<bindings::sighand_struct>);

// SAFETY: The references are counted, and any task may give one back.
unsafe impl Send for SharedActions {}

impl SharedActions {
    /// Returns the table of the current process.
    pub fn of_current(_caller: &CurrentTask) -> Result<Self> {
        // SAFETY: The function takes a reference on what the current task has.
        let sighand = unsafe { bindings::checkpoint_sighand_get() };

        // INVARIANT: The reference has just been taken.
        Ok(Self(NonNull::new(sighand).ok_or(EINVAL)?))
    }

    /// Gives the table to the current process, which must not have another thread yet.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it has.
    pub fn join(&self, _caller: &CurrentTask) -> Result {
        // SAFETY: By the type invariant. The function takes a reference for the task, and the locks
        // that it needs.
        to_result(unsafe { bindings::checkpoint_sighand_join(self.0.as_ptr()) })
    }
}

impl Drop for SharedActions {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is a reference.
        unsafe { bindings::__cleanup_sighand(self.0.as_ptr()) };
    }
}

impl CurrentTask {
    /// Replaces all that signals are to the current process, of which no other thread is in user mode;
    /// without `actions`, these stay. All timers of the process are replaced, and are to be started by
    /// [`Self::start_timers`].
    ///
    /// Signals that are pending are dropped, but not `SIGKILL`. Actions are made such as system calls
    /// would make them: nothing handles `SIGKILL` and `SIGSTOP`. A process that was stopped stops before
    /// it is back in user mode.
    pub fn set_process_signals(
        &self,
        control: JobControl,
        actions: Option<&RawActions>,
        mut queue: Queue,
        timers: &Timers,
    ) {
        let mut control = uapi::cr_hdr_process {
            flags: control.flags,
            stop_signal: control.signal,
            ..Default::default()
        };
        // Other signals do not stop a process.
        if !matches!(
            control.stop_signal,
            bindings::SIGSTOP | bindings::SIGTSTP | bindings::SIGTTIN | bindings::SIGTTOU
        ) {
            control.flags &= !uapi::CR_PROCESS_STOPPED;
        }
        let (entries, nr) = queue.as_raw();

        timers.add();
        // SAFETY: Both types of the first are made of one declaration. The array of actions has the
        // length that the function expects by the invariant of its type. It takes over the entries of the queue, as many as it is told, which are owned
        // and on no list. It changes the current task.
        unsafe {
            bindings::checkpoint_process_set(
                (&raw const control).cast(),
                actions.map_or(core::ptr::null(), |actions| actions.0.as_ptr()),
                entries,
                nr,
            )
        };
        // INVARIANT: The entries are on the list of the process now.
        queue.entries.clear();
    }

    /// Starts timers that were set by [`Self::set_process_signals`], when the signals of all threads of
    /// the process have been set: what a timer sends is not dropped any more, and what it has sent is
    /// pending.
    pub fn start_timers(&self, timers: Timers) {
        timers.start();
    }

    /// Replaces all that signals are to the current thread.
    ///
    /// Signals that are pending are dropped, but not `SIGKILL`. Nothing blocks `SIGKILL` and
    /// `SIGSTOP`.
    pub fn set_signals(&self, masks: &Masks, mut queue: Queue) {
        let words = [masks.blocked, masks.saved.unwrap_or(0)];
        let mut flags = 0;
        if masks.saved.is_some() {
            flags |= uapi::CR_SIGNALS_RESTORE_MASK;
        }
        let (entries, nr) = queue.as_raw();

        // SAFETY: The array has the length that the function expects. It takes over the entries of
        // the queue, as many as it is told, which are owned and on no list. It changes the current
        // task.
        unsafe { bindings::checkpoint_signals_set(words.as_ptr(), flags, entries, nr) };
        // INVARIANT: The entries are on the list of the task now.
        queue.entries.clear();
    }
}
