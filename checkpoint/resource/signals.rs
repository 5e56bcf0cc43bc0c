// SPDX-License-Identifier: GPL-2.0

//! Signals of a thread: what is blocked, and which wait for it.
//!
//! Pending signals of a task that a restart makes another one are dropped at the commit, except
//! `SIGKILL`: they were meant for the program that it was. Those of the image count towards the
//! caller's `RLIMIT_SIGPENDING` as any other. What signals do, and those that wait for any thread of a
//! process, are in [`process`](super::process).

use kernel::{
    prelude::*,
    task::{
        signals::{
            Masks,
            Pending,
            Queue,
            Signals, //
        },
        timers::Setting,
        CurrentTask,
        Pid, //
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

pub(crate) struct SignalState;

/// What an image says: nothing, or all of it.
#[derive(Default)]
pub(crate) struct Image {
    signals: Option<image::Signals>,
    pending: KVVec<image::SigInfo>,
    tid: Pid,
    /// The next signals wait for the thread.
    own: bool,
}

/// What is committed.
pub(crate) struct Prepared {
    masks: Masks,
    queue: Queue,
}

/// What was found.
pub(crate) struct Found {
    signals: Signals,
    /// The ids of all timers of the process, ascending.
    timers: KVVec<i32>,
}

/// Makes a record of all but pending signals.
fn record(signals: &Signals) -> image::Signals {
    let masks = &signals.masks;

    image::Signals {
        blocked: masks.blocked,
        saved_blocked: masks.saved.unwrap_or(0),
        flags: match masks.saved {
            Some(_) => uapi::CR_SIGNALS_RESTORE_MASK,
            None => 0,
        },
        nr_pending: signals.pending.len() as u32,
    }
}

/// The other way round.
fn masks(record: &image::Signals) -> Masks {
    Masks {
        blocked: record.blocked,
        saved: (record.flags & uapi::CR_SIGNALS_RESTORE_MASK != 0).then_some(record.saved_blocked),
    }
}

/// Logs why there are no signals.
pub(super) fn fail(cx: &mut Collect<'_>, error: Error) -> Error {
    if error == ESRCH {
        cx.fail(error, format_args!("the task is about to die"))
    } else {
        cx.fail(error, format_args!("signals: {error:?}"))
    }
}

/// Forgets what timers, ascending by id, have sent that were armed when they were looked at. Returns
/// the ids of all.
pub(super) fn sort_out(pending: &mut KVVec<Pending>, timers: &[Setting]) -> Result<KVVec<i32>> {
    let mut ids = KVVec::with_capacity(timers.len(), GFP_KERNEL_ACCOUNT)?;

    pending.retain(|pending| {
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
    Ok(ids)
}

/// Refuses more pending signals than an image may have.
pub(super) fn check_number(cx: &mut Collect<'_>, pending: usize) -> Result {
    if pending > uapi::CR_PENDING_MAX as usize {
        return Err(cx.refuse(format_args!("having {pending} pending signals")));
    }
    Ok(())
}

/// Writes pending signals. `timers` are the ids of all timers, ascending.
pub(super) fn save_pending<T: Transport>(
    pending: &[Pending],
    timers: &[i32],
    to: &mut ImageWriter<'_, T>,
) -> Result<(), Failure> {
    for pending in pending {
        let timer = match pending.timer {
            None => 0,
            // Counted from 1; at most CR_TIMERS_MAX.
            Some(id) => timers.binary_search(&id).map_err(|_| EINVAL)? as u32 + 1,
        };
        to.record(&image::SigInfo::new(timer, pending.info))?;
    }
    Ok(())
}

/// Makes pending signals say who has sent them, when all tasks have their numbers.
pub(super) fn complete_queue(cx: &Prepare<'_>, queue: &mut Queue) {
    queue.translate(|pid| cx.tasks.get(&pid).map(|task| task.vpid()));
}

/// Gets pending signals ready, some of which the timers of the process have sent. They are for the
/// thread that an image has with a number, or for any.
pub(super) fn prepare_queue(
    cx: &mut Prepare<'_>,
    pending: &[image::SigInfo],
    thread: Option<Pid>,
) -> Result<Queue> {
    let mut queue = Queue::new(thread);

    for (i, record) in pending.iter().enumerate() {
        let timers = cx.process_timers();
        let timer = match record.timer.checked_sub(1) {
            None => Ok(None),
            Some(place) => timers
                .and_then(|timers| timers.id(place as usize))
                .map(Some)
                .ok_or(EINVAL),
        };
        let pushed = timer.and_then(|timer| {
            let info = record.info;

            queue.push(&Pending { timer, info }, timers)
        });

        pushed.map_err(|e| {
            if e == EAGAIN {
                cx.fail(
                    e,
                    format_args!(
                        "signals: {} of {} pending signals fit below RLIMIT_SIGPENDING",
                        i,
                        pending.len()
                    ),
                )
            } else if e == EINVAL {
                cx.fail(
                    e,
                    format_args!(
                        "signals: pending signal {i}: not one that can be queued, or not its timer's"
                    ),
                )
            } else {
                e
            }
        })?;
    }
    Ok(queue)
}

impl Resource for SignalState {
    const SCOPE: Scope = Scope::Thread;

    type Found = Found;
    type Image = Image;
    type Prepared = Option<Prepared>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        let mut signals = cx.task.signals().map_err(|e| fail(cx, e))?;
        let timers = sort_out(&mut signals.pending, &cx.timers)?;

        check_number(cx, signals.pending.len())?;
        Ok(Found { signals, timers })
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        to.record(&record(&found.signals))?;
        save_pending(&found.signals.pending, &found.timers, to)
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        match item {
            Item::Task(task) => image.tid = task.pid,
            Item::Signals(signals) => {
                image.signals = Some(*signals);
                image.own = true;
            }
            Item::SigInfo(record) if image.own => {
                image.pending.push(*record, GFP_KERNEL_ACCOUNT)?;
            }
            _ => image.own = false,
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let Some(signals) = image.signals else {
            return Ok(None);
        };

        Ok(Some(Prepared {
            masks: masks(&signals),
            queue: prepare_queue(cx, &image.pending, Some(image.tid))?,
        }))
    }

    fn complete(prepared: &mut Self::Prepared, cx: &mut Prepare<'_>) -> Result {
        if let Some(prepared) = prepared {
            complete_queue(cx, &mut prepared.queue);
        }
        Ok(())
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(prepared) = prepared {
            caller.set_signals(&prepared.masks, prepared.queue);
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
        Queue::new(None).push(&Pending { timer: None, info }, None)
    }

    #[test]
    fn masks_survive_the_record() {
        for before in [
            Masks::default(),
            Masks {
                blocked: 0x4002,
                saved: Some(0),
            },
        ] {
            let record = image::Signals {
                blocked: before.blocked,
                saved_blocked: before.saved.unwrap_or(0),
                flags: u32::from(before.saved.is_some()),
                ..Default::default()
            };
            assert!(masks(&record) == before);
        }
    }

    #[test]
    fn only_signals_behind_the_record_are_those_of_the_thread() -> Result {
        let mut image = Image::default();
        let signal = |number| Item::SigInfo(image::SigInfo::new(0, info(number, 1, 0)));

        for item in [
            Item::Signals(image::Signals::default()),
            signal(10),
            Item::Process(image::Process::default()),
            signal(12),
        ] {
            SignalState::take(&mut image, &item)?;
        }
        assert!(image.pending.len() == 1);
        assert!(image
            .pending
            .first()
            .is_some_and(|first| first.info[0] == 10));
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
