// SPDX-License-Identifier: GPL-2.0

//! The signals of a task: what is blocked, what each does, which are pending.
//!
//! C headers: [`include/linux/signal.h`](srctree/include/linux/signal.h),
//! [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    CurrentTask,
    Task, //
};
use crate::{
    bindings,
    error::to_result,
    prelude::*,
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
}

impl Task {
    /// Returns all that signals are to the task. Pending signals may become more meanwhile; the rest
    /// changes only if the task runs.
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

        loop {
            // SAFETY: `self` is a valid task, the out pointers are those of local variables of the
            // types and lengths that the function expects, and `raw` has as many places as it is
            // told.
            let count = unsafe {
                bindings::checkpoint_signals_get(
                    self.as_ptr(),
                    masks.as_mut_ptr(),
                    &mut flags,
                    &mut stop,
                    words.as_mut_ptr(),
                    raw.as_mut_ptr(),
                    raw.len() as c_int,
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
        for [shared, info @ ..] in raw {
            pending.push(
                Pending {
                    shared: shared != 0,
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
        })
    }
}

/// Signals that are ready to become pending for the current task. They count towards its
/// `RLIMIT_SIGPENDING`.
///
/// # Invariants
///
/// Both vectors have the same length; the entries of the first are owned, and on no list.
#[derive(Default)]
pub struct Queue {
    entries: KVVec<NonNull<bindings::sigqueue>>,
    shared: KVVec<bool>,
}

impl Queue {
    /// Adds a signal for the current task.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the signal is none that can be queued, or the kernel cannot keep all that is known
    /// of it; `EAGAIN` if there are too many, or there is no memory.
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

        // SAFETY: The array has as many words as the function reads, and begins with the number of a
        // signal.
        let entry =
            NonNull::new(unsafe { bindings::checkpoint_sigqueue_alloc(signal.info.as_ptr()) })
                .ok_or(EAGAIN)?;
        // INVARIANT: The entry is new. There is room in both vectors, so that neither fails.
        self.entries.push(entry, GFP_KERNEL_ACCOUNT)?;
        self.shared.push(signal.shared, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        for entry in self.entries.iter() {
            // SAFETY: By the invariant of the type the entry is owned, and on no list.
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
    }
}
