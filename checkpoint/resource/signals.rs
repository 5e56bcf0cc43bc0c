// SPDX-License-Identifier: GPL-2.0

//! Signals: what is blocked, what each does, which are pending, and whether one stopped the process.
//!
//! Pending signals of the caller of restart(2) are dropped at the commit, except `SIGKILL`: they were
//! meant for the program that it was. Those of the image count towards the caller's
//! `RLIMIT_SIGPENDING` as any other.

use kernel::{
    prelude::*,
    task::{
        signals::{
            Action,
            Pending,
            Queue,
            RawActions,
            Signals,
            State, //
        },
        thread::runs_ia32,
        timers::{
            Process,
            Setting, //
        },
        CurrentTask, //
    },
};

use crate::{
    image::{
        self,
        Item, //
    },
    resource::{
        Collect,
        Prepare,
        Resource,
        Saving, //
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
    uapi, //
};

/// `SIGSTOP`, `SIGTSTP`, `SIGTTIN`, `SIGTTOU`: the signals that stop a process.
const STOP_SIGNALS: core::ops::RangeInclusive<u32> = 19..=22;

pub(crate) struct SignalState;

/// What an image says: nothing, or all of it.
#[derive(Default)]
pub(crate) struct Image {
    signals: Option<image::Signals>,
    /// The ids of all timers.
    timers: KVVec<i32>,
    actions: KVVec<image::SigAction>,
    pending: KVVec<Pending>,
}

/// What is committed.
pub(crate) struct Prepared {
    state: State,
    actions: RawActions,
    queue: Queue,
}

/// The signals with an action that is not the default, with their numbers.
fn set_actions(signals: &Signals) -> impl Iterator<Item = (u32, &Action)> + '_ {
    (1..)
        .zip(signals.actions.iter())
        .filter(|(_, action)| **action != Action::default())
}

/// Makes a record of all but actions and pending signals.
fn record(signals: &Signals) -> image::Signals {
    let state = &signals.state;
    let mut flags = 0;

    if state.saved.is_some() {
        flags |= uapi::CR_SIGNALS_RESTORE_MASK;
    }
    if state.stop.is_some() {
        flags |= uapi::CR_SIGNALS_STOPPED;
    }
    image::Signals {
        blocked: state.blocked,
        saved_blocked: state.saved.unwrap_or(0),
        flags,
        stop_signal: state.stop.unwrap_or(0),
        nr_actions: set_actions(signals).count() as u32,
        nr_pending: signals.pending.len() as u32,
    }
}

/// The other way round.
fn state(record: &image::Signals) -> State {
    State {
        blocked: record.blocked,
        saved: (record.flags & uapi::CR_SIGNALS_RESTORE_MASK != 0).then_some(record.saved_blocked),
        stop: (record.flags & uapi::CR_SIGNALS_STOPPED != 0).then_some(record.stop_signal),
    }
}

/// What was found.
pub(crate) struct Found {
    signals: Signals,
    /// The ids of all timers, ascending.
    timers: KVVec<i32>,
}

impl Found {
    /// The timers of setitimer(2).
    pub(super) fn itimers(&self) -> &Process {
        &self.signals.itimers
    }
}

/// Looks at the signals of a task that has `timers`, ascending by id.
///
/// A timer that was armed when it was looked at has sent no signal by then.
pub(super) fn look(cx: &mut Collect<'_>, timers: &[Setting]) -> Result<Found> {
    let mut signals = cx.task.signals().map_err(|e| {
        if e == ESRCH {
            cx.fail(e, format_args!("the task is about to die"))
        } else {
            cx.fail(e, format_args!("signals: {e:?}"))
        }
    })?;
    let mut ids = KVVec::with_capacity(timers.len(), GFP_KERNEL_ACCOUNT)?;

    signals.pending.retain(|pending| {
        pending.timer.is_none_or(|id| {
            timers
                .binary_search_by_key(&id, |timer| timer.id)
                .ok()
                .and_then(|place| timers.get(place))
                .is_some_and(|timer| timer.flags & uapi::CR_TIMER_ARMED == 0)
        })
    });
    for timer in timers {
        ids.push(timer.id, GFP_KERNEL_ACCOUNT)?;
    }
    Ok(Found {
        signals,
        timers: ids,
    })
}

impl Resource for SignalState {
    type Found = Found;
    type Image = Image;
    type Prepared = Option<Prepared>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        // There are none in a check that found timers that cannot be saved.
        let found = match cx.signals.take() {
            Some(found) => found,
            None => look(cx, &[])?,
        };
        let pending = found.signals.pending.len();

        if pending > uapi::CR_PENDING_MAX as usize {
            return Err(cx.refuse(format_args!("having {pending} pending signals")));
        }
        Ok(found)
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        let signals = &found.signals;

        to.record(&record(signals))?;
        for (signal, action) in set_actions(signals) {
            to.record(&image::SigAction {
                signal,
                reserved: 0,
                handler: action.handler,
                flags: action.flags,
                restorer: action.restorer,
                mask: action.mask,
            })?;
        }
        for pending in &signals.pending {
            let timer = match pending.timer {
                None => 0,
                // Counted from 1; at most CR_TIMERS_MAX.
                Some(id) => found.timers.binary_search(&id).map_err(|_| EINVAL)? as u32 + 1,
            };
            to.record(&image::SigInfo::new(pending.shared, timer, pending.info))?;
        }
        Ok(())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        match item {
            Item::Signals(signals) => image.signals = Some(*signals),
            Item::SigAction(action) => image.actions.push(*action, GFP_KERNEL_ACCOUNT)?,
            Item::Timer(timer) => image.timers.push(timer.id, GFP_KERNEL_ACCOUNT)?,
            Item::SigInfo(pending) => {
                let timer = match pending.timer.checked_sub(1) {
                    None => None,
                    Some(place) => Some(*image.timers.get(place as usize).ok_or(EINVAL)?),
                };

                image.pending.push(
                    Pending {
                        shared: pending.shared != 0,
                        timer,
                        info: pending.info,
                    },
                    GFP_KERNEL_ACCOUNT,
                )?;
            }
            _ => (),
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let Some(signals) = image.signals else {
            return Ok(None);
        };
        let state = state(&signals);

        if cx.caller.shares_signal_handlers() {
            return Err(cx.fail(
                EINVAL,
                format_args!("the caller shares its signal handlers with another process"),
            ));
        }
        if let Some(stop) = state.stop.filter(|stop| !STOP_SIGNALS.contains(stop)) {
            return Err(cx.fail(
                EINVAL,
                format_args!("signals: signal {stop} does not stop a process"),
            ));
        }

        let mut actions = RawActions::new()?;
        for action in &image.actions {
            // The frame of such a handler is one that only 32-bit system calls know.
            if action.flags & u64::from(uapi::CR_SA_IA32) != 0 && !runs_ia32() {
                return Err(cx.fail(
                    EINVAL,
                    format_args!(
                        "signals: the handler of signal {} is that of a 32-bit program",
                        action.signal
                    ),
                ));
            }
            actions.set(
                action.signal,
                Action {
                    handler: action.handler,
                    flags: action.flags,
                    restorer: action.restorer,
                    mask: action.mask,
                },
            );
        }

        let mut queue = Queue::new(core::mem::take(&mut cx.timers));
        for (i, pending) in image.pending.iter().enumerate() {
            queue.push(pending).map_err(|e| {
                if e == EAGAIN {
                    cx.fail(
                        e,
                        format_args!(
                            "signals: {} of {} pending signals fit below RLIMIT_SIGPENDING",
                            i,
                            image.pending.len()
                        ),
                    )
                } else if e == EINVAL {
                    cx.fail(
                        e,
                        format_args!(
                            "signals: pending signal {i}: not one that can be queued, or not its \
                             timer's"
                        ),
                    )
                } else {
                    e
                }
            })?;
        }

        Ok(Some(Prepared {
            state,
            actions,
            queue,
        }))
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(prepared) = prepared {
            caller.set_signals(&prepared.state, &prepared.actions, prepared.queue);
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_signals)]
mod tests {
    use super::*;

    /// A siginfo_t that begins with a number, and has another word at some place.
    fn info(number: u64, place: usize, word: u64) -> [u64; 16] {
        let mut info = [0; 16];

        info[0] = number;
        info[place] |= word;
        info
    }

    fn push(info: [u64; 16]) -> Result {
        Queue::default().push(&Pending {
            shared: true,
            timer: None,
            info,
        })
    }

    #[test]
    fn state_survives_the_record() {
        for before in [
            State::default(),
            State {
                blocked: 0x4002,
                saved: Some(0),
                stop: None,
            },
            State {
                blocked: 0,
                saved: None,
                stop: Some(20),
            },
        ] {
            let record = image::Signals {
                blocked: before.blocked,
                saved_blocked: before.saved.unwrap_or(0),
                flags: u32::from(before.saved.is_some()) | u32::from(before.stop.is_some()) << 1,
                stop_signal: before.stop.unwrap_or(0),
                ..Default::default()
            };
            assert!(state(&record) == before);
        }
    }

    #[test]
    fn only_actions_that_are_set_are_saved() -> Result {
        let mut signals = current!().signals()?;
        for action in signals.actions.iter_mut() {
            *action = Action::default();
        }
        signals.actions[0].handler = 1;
        signals.actions[63].flags = 0x1000_0000;

        assert!(set_actions(&signals).map(|(signal, _)| signal).eq([1, 64]));
        assert!(record(&signals).nr_actions == 2);
        Ok(())
    }

    #[test]
    fn signals_that_are_none_are_refused() {
        // 0, SIGKILL, one too large, and one that the kernel would cut.
        assert!(push(info(0, 1, 0)) == Err(EINVAL));
        assert!(push(info(9, 1, 0)) == Err(EINVAL));
        assert!(push(info(65, 1, 0)) == Err(EINVAL));
        assert!(push(info(10, 15, 1)) == Err(EINVAL));
        assert!(push(info(10, 2, 1)).is_ok());
    }
}
