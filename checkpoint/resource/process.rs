// SPDX-License-Identifier: GPL-2.0

//! Signals of a process: what each does, which wait for any thread, and whether one stopped it.
//!
//! Two processes may have one table of actions. It comes with the first.

use kernel::{
    prelude::*,
    task::{
        park::Park,
        signals::{
            Action,
            JobControl,
            ProcessSignals,
            Queue,
            RawActions,
            SharedActions, //
        },
        thread::runs_ia32,
        timers::{
            self,
            Timers, //
        },
        CurrentTask,
        Task, //
    },
};

use crate::{
    image::{
        self,
        Item, //
    },
    resource::{
        outside,
        signals,
        Collect,
        Prepare,
        Resource,
        Saving,
        Scope, //
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

pub(crate) struct ProcessState;

/// What an image says: nothing, or all of it.
#[derive(Default)]
pub(crate) struct Image {
    process: Option<image::Process>,
    actions: KVVec<image::SigAction>,
    pending: KVVec<image::SigInfo>,
    /// Number of the process before it that has the same table of actions, 0 if none has.
    sighand: u32,
}

/// What is committed.
pub(crate) struct Prepared {
    control: JobControl,
    /// [`None`] if they are those of another process, which has them by now.
    actions: Option<RawActions>,
    queue: Queue,
    timers: Timers,
}

/// What was found.
pub(crate) struct Found {
    signals: ProcessSignals,
    /// The ids of all timers, ascending.
    timers: KVVec<i32>,
    /// The actions are those of another process.
    shares_actions: bool,
}

impl Found {
    /// The timers of setitimer(2).
    pub(super) fn itimers(&self) -> &timers::Process {
        &self.signals.itimers
    }

    /// The signals with an action that is saved, with their numbers.
    fn actions(&self) -> impl Iterator<Item = (u32, &Action)> + '_ {
        set_actions(&self.signals).filter(|_| !self.shares_actions)
    }

    /// Makes a record of all but actions and pending signals.
    fn record(&self) -> image::Process {
        let control = self.signals.control;

        image::Process {
            flags: control.flags,
            stop_signal: control.signal,
            nr_actions: self.actions().count() as u32,
            nr_pending: self.signals.pending.len() as u32,
        }
    }
}

/// The signals with an action that is not the default, with their numbers.
fn set_actions(signals: &ProcessSignals) -> impl Iterator<Item = (u32, &Action)> + '_ {
    (1..)
        .zip(signals.actions.iter())
        .filter(|(_, action)| **action != Action::default())
}

/// How often to look again who has a table of actions.
const LOOKS: u32 = 20;

/// Tells whether no more than `known` tasks have the table of actions of `task`. A thread that has
/// ended lets go of it a moment after it is seen to have ended.
fn comes_down_to(task: &Task, known: usize) -> Result<bool> {
    let mut micros = 0;

    for _ in 0..LOOKS {
        if task.sighand_users() <= known {
            return Ok(true);
        }
        Park::pause(&mut micros)?;
    }
    Ok(false)
}

/// Looks at the signals of a process that has `cx.timers`.
///
/// A timer that was armed when it was looked at has sent no signal by then.
pub(super) fn look(cx: &mut Collect<'_>) -> Result<Found> {
    let member = cx.member()?;
    let known = cx.tree.users(&member.kin, |kin| kin.sighand);
    // Threads that have ended have none, but for a leader.
    let known = known + usize::from(member.is_outlived());

    if !comes_down_to(cx.task, known)? {
        outside::refuse_table(cx, member.kin.sighand, "signal handlers that are shared")?;
    }
    let mut found = cx
        .task
        .process_signals()
        .map_err(|e| signals::fail(cx, e))?;
    let timers = signals::sort_out(&mut found.pending, &cx.timers)?;

    Ok(Found {
        signals: found,
        timers,
        shares_actions: member.sighand != 0,
    })
}

impl Resource for ProcessState {
    const SCOPE: Scope = Scope::Process;

    type Found = Found;
    type Image = Image;
    type Prepared = Option<Prepared>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        // There are none in a check that found timers that cannot be saved.
        let found = match cx.process.take() {
            Some(found) => found,
            None => look(cx)?,
        };

        signals::check_number(cx, found.signals.pending.len())?;
        Ok(found)
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        to.record(&found.record())?;
        for (signal, action) in found.actions() {
            to.record(&image::SigAction {
                signal,
                reserved: 0,
                handler: action.handler,
                flags: action.flags,
                restorer: action.restorer,
                mask: action.mask,
            })?;
        }
        signals::save_pending(&found.signals.pending, &found.timers, to)
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        match item {
            Item::Task(task) => image.sighand = task.sighand,
            Item::Process(process) => image.process = Some(*process),
            Item::SigAction(action) => image.actions.push(*action, GFP_KERNEL_ACCOUNT)?,
            // Those before are of the thread.
            Item::SigInfo(record) if image.process.is_some() => {
                image.pending.push(*record, GFP_KERNEL_ACCOUNT)?;
            }
            _ => (),
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let Some(process) = image.process else {
            return Ok(None);
        };

        if cx.is_root() && cx.caller.sighand_users() > 1 {
            return Err(cx.fail(
                EINVAL,
                format_args!("the caller shares its signal handlers with another process"),
            ));
        }
        let mut control = JobControl {
            flags: process.flags,
            signal: process.stop_signal,
        };
        if control.flags & uapi::CR_PROCESS_STOPPED != 0 && !STOP_SIGNALS.contains(&control.signal)
        {
            return Err(cx.fail(
                EINVAL,
                format_args!("signals: signal {} does not stop a process", control.signal),
            ));
        }
        // The parent of the first is another one, which hears of a stop as of any.
        if cx.is_root() {
            control.flags &= uapi::CR_PROCESS_STOPPED;
        }

        if image.sighand == 0 {
            let shared = SharedActions::of_current(cx.caller)?;

            cx.actions
                .try_create_and_insert(cx.number, shared, GFP_KERNEL_ACCOUNT)?;
        } else {
            // Before there are other threads.
            let joined = match cx.actions.get(&image.sighand) {
                Some(shared) => shared.join(cx.caller),
                None => Err(EINVAL),
            };

            joined.map_err(|e| {
                cx.fail(
                    e,
                    format_args!("signals: task {} has no table of actions", image.sighand),
                )
            })?;
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

        Ok(Some(Prepared {
            control,
            actions: (image.sighand == 0).then_some(actions),
            queue: signals::prepare_queue(cx, &image.pending, None)?,
            timers: core::mem::take(&mut cx.timers),
        }))
    }

    fn complete(prepared: &mut Self::Prepared, cx: &mut Prepare<'_>) -> Result {
        if let Some(prepared) = prepared {
            signals::complete_queue(cx, &mut prepared.queue);
        }
        Ok(())
    }

    /// Other threads may have signals of timers.
    const LATE: bool = true;

    fn ready(prepared: &mut Self::Prepared, caller: &CurrentTask) {
        if let Some(prepared) = prepared {
            caller.set_process_signals(
                prepared.control,
                prepared.actions.as_ref(),
                core::mem::take(&mut prepared.queue),
                &prepared.timers,
            );
        }
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(prepared) = prepared {
            caller.start_timers(prepared.timers);
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_process)]
mod tests {
    use super::*;

    #[test]
    fn only_actions_that_are_set_are_saved() -> Result {
        let mut signals = current!().group().process_signals()?;

        for action in signals.actions.iter_mut() {
            *action = Action::default();
        }
        signals.actions[0].handler = 1;
        signals.actions[63].flags = 0x1000_0000;
        let mut found = Found {
            signals,
            timers: KVVec::new(),
            shares_actions: false,
        };
        assert!(found.actions().map(|(signal, _)| signal).eq([1, 64]));
        assert!(found.record().nr_actions == 2);

        // They are with the process that has them, too.
        found.shares_actions = true;
        assert!(found.record().nr_actions == 0);
        Ok(())
    }

    #[test]
    fn a_process_says_what_stopped_it() -> Result {
        let mut signals = current!().group().process_signals()?;

        signals.control = JobControl {
            flags: uapi::CR_PROCESS_STOPPED | uapi::CR_PROCESS_STOP_TOLD,
            signal: 20,
        };
        let record = Found {
            signals,
            timers: KVVec::new(),
            shares_actions: false,
        }
        .record();
        assert!(record.flags == 3 && record.stop_signal == 20);
        Ok(())
    }
}
