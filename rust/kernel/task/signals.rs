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
    /// Any thread of the process may take it.
    pub shared: bool,
    /// The id of the timer that sent it.
    pub timer: Option<i32>,
    /// `siginfo_t`
    pub info: [u64; INFO_WORDS],
}

/// Which signals are blocked, and whether one has stopped the process.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct State {
    /// The signals that are blocked now: bit 0 is signal 1.
    pub blocked: u64,
    /// Those to be blocked when the system call is over, if that makes a difference.
    pub saved: Option<u64>,
    /// The signal that stopped the process.
    pub stop: Option<u32>,
}

/// All that signals are to a task.
pub struct Signals {
    /// Which signals are blocked, and whether one has stopped the process.
    pub state: State,
    /// What each signal does; that of signal 1 comes first.
    pub actions: KVec<Action>,
    /// The pending signals in the order of delivery, those of the thread before those of the process.
    pub pending: KVVec<Pending>,
    /// The timers of setitimer(2) at the same moment. The clocks are 0.
    pub itimers: timers::Process,
}

impl Task {
    /// Returns all that signals are to the task. Pending signals may become more meanwhile; the rest
    /// changes only if the task runs.
    ///
    /// The signal of a timer that was deleted or set anew since is not pending: it is never delivered.
    ///
    /// # Errors
    ///
    /// `ESRCH` if the task is about to die.
    pub fn signals(&self) -> Result<Signals> {
        let mut raw = KVVec::<[u64; 1 + INFO_WORDS]>::new();
        let mut words = KVec::from_elem([0u64; 4], NSIG, GFP_KERNEL_ACCOUNT)?;
        let mut masks = [0u64; 2];
        let mut flags = 0u32;
        let mut stop = 0u32;
        let mut itimers = timers::Process::default();

        loop {
            // SAFETY: `self` is a valid task, the out pointers are those of local variables of the
            // types and lengths that the function expects, and `raw` has as many places as it is
            // told. Both types of the last are made of one declaration.
            let count = unsafe {
                bindings::checkpoint_signals_get(
                    self.as_ptr(),
                    masks.as_mut_ptr(),
                    &mut flags,
                    &mut stop,
                    words.as_mut_ptr(),
                    raw.as_mut_ptr(),
                    raw.len() as c_int,
                    (&raw mut itimers).cast(),
                )
            };
            to_result(count.min(0))?;
            let count = count as usize;
            if count <= raw.len() {
                raw.truncate(count);
                break;
            }
            raw = KVVec::from_elem([0; 1 + INFO_WORDS], count, GFP_KERNEL_ACCOUNT)?;
        }

        let mut actions = KVec::with_capacity(NSIG, GFP_KERNEL_ACCOUNT)?;
        for action in words {
            actions.push(Action::from_words(action), GFP_KERNEL_ACCOUNT)?;
        }
        let mut pending = KVVec::with_capacity(raw.len(), GFP_KERNEL_ACCOUNT)?;
        for [kind, info @ ..] in raw {
            let timer = kind & u64::from(bindings::CHECKPOINT_PENDING_TIMER) != 0;

            pending.push(
                Pending {
                    shared: kind & u64::from(bindings::CHECKPOINT_PENDING_SHARED) != 0,
                    // It was put there as 32 bits.
                    timer: timer.then_some((kind >> bindings::CHECKPOINT_PENDING_ID_SHIFT) as i32),
                    info,
                },
                GFP_KERNEL_ACCOUNT,
            )?;
        }
        Ok(Signals {
            state: State {
                blocked: masks[0],
                saved: (flags & uapi::CR_SIGNALS_RESTORE_MASK != 0).then_some(masks[1]),
                stop: (flags & uapi::CR_SIGNALS_STOPPED != 0).then_some(stop),
            },
            actions,
            pending,
            itimers,
        })
    }
}

/// Signals that are ready to become pending for the current task, and the timers that have sent
/// some of them. They count towards its `RLIMIT_SIGPENDING`.
///
/// # Invariants
///
/// The first two vectors have the same length; the entries of the first are owned, on no list, and
/// different. Those of timers have a reference on theirs, whose ids are in `sent`.
#[derive(Default)]
pub struct Queue {
    entries: KVVec<NonNull<bindings::sigqueue>>,
    shared: KVVec<bool>,
    sent: RBTree<i32, ()>,
    timers: Timers,
}

impl Queue {
    /// No signals yet, and all timers.
    pub fn new(timers: Timers) -> Self {
        let mut queue = Self::default();

        // INVARIANT: There are no entries.
        queue.timers = timers;
        queue
    }

    /// Adds a signal for the current task.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the signal is none that can be queued, the kernel cannot keep all that is known of
    /// it, or it is not what its timer has sent; `EAGAIN` if there are too many, or there is no
    /// memory.
    pub fn push(&mut self, signal: &Pending) -> Result {
        let [a, b, c, d, ..] = signal.info[0].to_ne_bytes();
        let number = u32::from_ne_bytes([a, b, c, d]);

        if number == 0 || number as usize > NSIG || number == bindings::SIGKILL {
            return Err(EINVAL);
        }
        if signal.info.iter().skip(KEPT_WORDS).any(|word| *word != 0) {
            return Err(EINVAL);
        }
        self.entries.reserve(1, GFP_KERNEL_ACCOUNT)?;
        self.shared.reserve(1, GFP_KERNEL_ACCOUNT)?;

        let entry = match signal.timer {
            Some(id) => self.sent_by(id, number, signal.shared)?,
            None => {
                // SAFETY: The array has as many words as the function reads, and begins with the
                // number of a signal.
                let entry = unsafe { bindings::checkpoint_sigqueue_alloc(signal.info.as_ptr()) };
                NonNull::new(entry).ok_or(EAGAIN)?
            }
        };
        // INVARIANT: The entry is new, or that of another timer than any before. There is room in
        // both vectors, so that neither fails.
        self.entries.push(entry, GFP_KERNEL_ACCOUNT)?;
        self.shared.push(signal.shared, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    /// Returns the signal that a timer has sent, once, with a reference on the timer.
    fn sent_by(
        &mut self,
        id: i32,
        number: u32,
        shared: bool,
    ) -> Result<NonNull<bindings::sigqueue>> {
        if self.sent.get(&id).is_some() {
            return Err(EINVAL);
        }
        self.sent
            .try_create_and_insert(id, (), GFP_KERNEL_ACCOUNT)?;

        let (setting, entry) = self.timers.sent(id)?;
        let to_thread = setting.notify & bindings::SIGEV_THREAD_ID != 0;
        if setting.signal != number as i32 || to_thread == shared {
            // SAFETY: It is owned, and on no list: the function drops the reference.
            unsafe { bindings::checkpoint_sigqueue_free(entry.as_ptr()) };
            return Err(EINVAL);
        }
        Ok(entry)
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
    /// Tells whether another task has the same table of actions as the current one.
    pub fn shares_signal_handlers(&self) -> bool {
        // SAFETY: `self` is the current task.
        unsafe { bindings::checkpoint_shares_sighand(self.as_ptr()) }
    }

    /// Replaces all that signals are to the current task, which is the only one of its process, and
    /// shares its table of actions with nobody.
    ///
    /// Signals that are pending are dropped, but not `SIGKILL`. Masks and actions are made such as
    /// system calls would make them: nothing blocks or handles `SIGKILL` and `SIGSTOP`. A process that
    /// was stopped stops before it is back in user mode.
    ///
    /// All timers of the process are replaced by those of the queue, and started.
    pub fn set_signals(&self, state: &State, actions: &RawActions, mut queue: Queue) {
        let masks = [state.blocked, state.saved.unwrap_or(0)];
        let mut flags = 0;
        if state.saved.is_some() {
            flags |= uapi::CR_SIGNALS_RESTORE_MASK;
        }
        // Other signals do not stop a process.
        let stop = state.stop.filter(|stop| {
            matches!(
                *stop,
                bindings::SIGSTOP | bindings::SIGTSTP | bindings::SIGTTIN | bindings::SIGTTOU
            )
        });
        if stop.is_some() {
            flags |= uapi::CR_SIGNALS_STOPPED;
        }

        queue.timers.add();
        // SAFETY: The arrays have the lengths that the function expects, that of actions by the
        // invariant of its type. It takes over the entries of the queue, as many as it is told, which
        // are owned and on no list. It changes the current task.
        unsafe {
            bindings::checkpoint_signals_set(
                masks.as_ptr(),
                flags,
                stop.unwrap_or(0),
                actions.0.as_ptr(),
                queue.entries.as_ptr().cast_mut().cast(),
                queue.shared.as_ptr(),
                queue.entries.len() as c_int,
            )
        };
        // INVARIANT: The entries are on the lists of the task now.
        queue.entries.clear();
        queue.shared.clear();
        // What a timer sends from now on is not dropped any more.
        core::mem::take(&mut queue.timers).start();
    }
}
