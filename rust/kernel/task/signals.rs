// SPDX-License-Identifier: GPL-2.0

//! The signals of a task: what is blocked, what each does, which are pending.
//!
//! C headers: [`include/linux/signal.h`](srctree/include/linux/signal.h),
//! [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    timers::{
        self,
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

/// All that signals are to a process.
pub struct ProcessSignals {
    /// The signal that stopped the process.
    pub stop: Option<u32>,
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
        let mut stop = 0u32;
        let pending = all_pending(|raw, len| {
            // SAFETY: As in `signals()`. Both types of the last are made of one declaration.
            unsafe {
                bindings::checkpoint_process_get(
                    self.as_ptr(),
                    &mut stop,
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
            stop: (stop != 0).then_some(stop),
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
    /// Any thread of the process may take them.
    shared: bool,
    sent: RBTree<i32, ()>,
}

impl Queue {
    /// No signals yet for any thread of a process if `shared`, else for one.
    pub fn new(shared: bool) -> Self {
        let mut queue = Self::default();

        // INVARIANT: There are no entries.
        queue.shared = shared;
        queue
    }

    /// Adds a signal, which one of `timers` may have sent.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the signal is none that can be queued, the kernel cannot keep all that is known of
    /// it, or it is not what its timer has sent; `EAGAIN` if there are too many, or there is no
    /// memory.
    pub fn push(&mut self, signal: &Pending, timers: &Timers) -> Result {
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
            Some(id) => self.sent_by(id, number, timers)?,
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
        timers: &Timers,
    ) -> Result<NonNull<bindings::sigqueue>> {
        if self.sent.get(&id).is_some() {
            return Err(EINVAL);
        }
        self.sent
            .try_create_and_insert(id, (), GFP_KERNEL_ACCOUNT)?;

        let (setting, entry) = timers.sent(id)?;
        let to_thread = setting.notify & bindings::SIGEV_THREAD_ID != 0;
        if setting.signal != number as i32 || to_thread == self.shared {
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

impl CurrentTask {
    /// Replaces all that signals are to the current process, of which no other thread is in user mode;
    /// without `actions`, these stay. All timers of the process are replaced, and started.
    ///
    /// Signals that are pending are dropped, but not `SIGKILL`. Actions are made such as system calls
    /// would make them: nothing handles `SIGKILL` and `SIGSTOP`. A process that was stopped stops before
    /// it is back in user mode.
    pub fn set_process_signals(
        &self,
        stop: Option<u32>,
        actions: Option<&RawActions>,
        mut queue: Queue,
        timers: Timers,
    ) {
        // Other signals do not stop a process.
        let stop = stop.filter(|stop| {
            matches!(
                *stop,
                bindings::SIGSTOP | bindings::SIGTSTP | bindings::SIGTTIN | bindings::SIGTTOU
            )
        });
        let (entries, nr) = queue.as_raw();

        timers.add();
        // SAFETY: The array of actions has the length that the function expects by the invariant of
        // its type. It takes over the entries of the queue, as many as it is told, which are owned
        // and on no list. It changes the current task.
        unsafe {
            bindings::checkpoint_process_set(
                stop.unwrap_or(0),
                actions.map_or(core::ptr::null(), |actions| actions.0.as_ptr()),
                entries,
                nr,
            )
        };
        // INVARIANT: The entries are on the list of the process now.
        queue.entries.clear();
        // What a timer sends from now on is not dropped any more.
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
