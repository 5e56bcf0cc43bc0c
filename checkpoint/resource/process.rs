// SPDX-License-Identifier: GPL-2.0

//! Signals of a process: what each does, which wait for any thread, and whether one stopped it.
//!
//! Two processes may have one table of actions. It comes with the first.

use kernel::{
    prelude::*,
    task::{
        signals::{
            Action,
            Pending,
            ProcessSignals,
            Queue,
            RawActions, //
        },
        thread::runs_ia32,
        timers::{
            self,
            Timers, //
        },
        CurrentTask, //
    },
};

use crate::{
    image::{
        self,
        Item, //
    },
    outside,
    resource::{
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
    /// The ids of all timers.
    timers: KVVec<i32>,
    actions: KVVec<image::SigAction>,
    pending: KVVec<Pending>,
    /// The actions are those of another process.
    shares_actions: bool,
}

/// What is committed.
pub(crate) struct Prepared {
    stop: Option<u32>,
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
        let stop = self.signals.stop;

        image::Process {
            flags: match stop {
                Some(_) => uapi::CR_PROCESS_STOPPED,
                None => 0,
            },
            stop_signal: stop.unwrap_or(0),
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

/// Looks at the signals of a process that has `cx.timers`.
///
/// A timer that was armed when it was looked at has sent no signal by then.
pub(super) fn look(cx: &mut Collect<'_>) -> Result<Found> {
    let member = cx.member()?;
    let known = cx.tree.users(&member.kin, |kin| kin.sighand);
    // Threads that have ended have none, but for a leader.
    let known = known + usize::from(member.is_outlived());

    if cx.task.sighand_users() > known {
        outside::refuse_table(cx, member.kin.sighand, "signal handlers that are shared")?;
    }
    let mut found = cx.task.process_signals().map_err(|e| signals::fail(cx, e))?;
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
            Item::Task(task) => image.shares_actions = task.sighand != 0,
            Item::Timer(timer) => image.timers.push(timer.id, GFP_KERNEL_ACCOUNT)?,
            Item::Process(process) => image.process = Some(*process),
            Item::SigAction(action) => image.actions.push(*action, GFP_KERNEL_ACCOUNT)?,
            // Those before are of the thread.
            Item::SigInfo(record) if image.process.is_some() => {
                image
                    .pending
                    .push(signals::pending(record, &image.timers)?, GFP_KERNEL_ACCOUNT)?;
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
        let stop = (process.flags & uapi::CR_PROCESS_STOPPED != 0).then_some(process.stop_signal);
        if let Some(stop) = stop.filter(|stop| !STOP_SIGNALS.contains(stop)) {
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

        Ok(Some(Prepared {
            stop,
            actions: (!image.shares_actions).then_some(actions),
            queue: signals::prepare_queue(cx, &image.pending, true)?,
            timers: core::mem::take(&mut cx.timers),
        }))
    }

    fn complete(prepared: &mut Self::Prepared, cx: &mut Prepare<'_>) -> Result {
        if let Some(prepared) = prepared {
            signals::complete_queue(cx, &mut prepared.queue);
        }
        Ok(())
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(prepared) = prepared {
            caller.set_process_signals(
                prepared.stop,
                prepared.actions.as_ref(),
                prepared.queue,
                prepared.timers,
            );
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

        signals.stop = Some(20);
        let record = Found {
            signals,
            timers: KVVec::new(),
            shares_actions: false,
        }
        .record();
        assert!(record.flags == uapi::CR_PROCESS_STOPPED && record.stop_signal == 20);
        Ok(())
    }
}
