// SPDX-License-Identifier: GPL-2.0

//! Timers: alarm(2), setitimer(2), timer_create(2).
//!
//! A timer that was set for a while goes on with what was left of it, one that was set to a point in
//! time stays so. Processor time begins anew, so that its timers always go on with what was left.
//!
//! What timers have sent is pending, and is saved and restored with the other
//! [`signals`](super::process), in its place among them. To have both as of one moment, signals are
//! looked at here: what a timer sends that was armed before is not in the image, and that timer
//! expires after the restart.

use kernel::{
    prelude::*,
    task::{
        timers::{
            Process,
            Setting,
            Timers, //
        },
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
        process,
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

pub(crate) struct TimerState;

/// What was found.
pub(crate) struct Found {
    process: image::Timers,
    timers: KVVec<Setting>,
}

/// What an image says: nothing, or all of it.
#[derive(Default)]
pub(crate) struct Image {
    process: Option<image::Timers>,
    timers: KVVec<image::Timer>,
    /// Of the task in the image.
    tid: Pid,
    tgid: Pid,
}

/// Makes a record of what the kernel says: clocks of one, the rest of the other.
fn record(clocks: &Process, itimers: &Process, nr_timers: u32) -> image::Timers {
    image::Timers {
        realtime: clocks.realtime,
        monotonic: clocks.monotonic,
        boottime: clocks.boottime,
        real_left: itimers.real_left,
        real_interval: itimers.real_interval,
        virtual_left: itimers.virtual_left,
        virtual_interval: itimers.virtual_interval,
        prof_left: itimers.prof_left,
        prof_interval: itimers.prof_interval,
        flags: itimers.flags,
        nr_timers,
        next_id: itimers.next_id,
        reserved: 0,
    }
}

/// The other way round.
fn process(from: &image::Timers) -> Process {
    Process {
        realtime: from.realtime,
        monotonic: from.monotonic,
        boottime: from.boottime,
        real_left: from.real_left,
        real_interval: from.real_interval,
        virtual_left: from.virtual_left,
        virtual_interval: from.virtual_interval,
        prof_left: from.prof_left,
        prof_interval: from.prof_interval,
        flags: from.flags,
        nr_timers: from.nr_timers,
        next_id: from.next_id,
        reserved: 0,
    }
}

/// Makes a record of a timer.
fn timer_record(from: &Setting) -> image::Timer {
    image::Timer {
        id: from.id,
        clock: from.clock,
        notify: from.notify,
        signal: from.signal,
        value: from.value,
        tid: from.tid,
        flags: from.flags,
        expires: from.expires,
        interval: from.interval,
        overrun: from.overrun,
        overrun_last: from.overrun_last,
    }
}

/// The other way round.
fn setting(from: &image::Timer) -> Setting {
    Setting {
        id: from.id,
        clock: from.clock,
        notify: from.notify,
        signal: from.signal,
        value: from.value,
        tid: from.tid,
        flags: from.flags,
        expires: from.expires,
        interval: from.interval,
        overrun: from.overrun,
        overrun_last: from.overrun_last,
    }
}

/// Gets the timers of a process ready.
fn prepare_all(cx: &mut Prepare<'_>, said: &image::Timers, all: &[image::Timer]) -> Result<Timers> {
    let mut timers = Timers::new(process(said))?;

    for timer in all {
        let id = timer.id;

        timers.push(setting(timer)).map_err(|e| {
            if e == EAGAIN {
                cx.fail(
                    e,
                    format_args!("timer {id}: too many for RLIMIT_SIGPENDING"),
                )
            } else {
                cx.fail(
                    e,
                    format_args!(
                        "timer {id}: it cannot be created: clock {}: {e:?}",
                        timer.clock
                    ),
                )
            }
        })?;
    }
    Ok(timers)
}

impl Resource for TimerState {
    const SCOPE: Scope = Scope::Process;

    type Found = Found;
    type Image = Image;
    /// They are committed with the signals.
    type Prepared = ();

    fn collect(cx: &mut Collect<'_>) -> Result<Found> {
        let timers = match cx.task.timers()? {
            Ok(timers) => timers,
            Err(what) => return Err(cx.refuse(format_args!("{what}"))),
        };
        if timers.len() > uapi::CR_TIMERS_MAX as usize {
            return Err(cx.refuse(format_args!("having {} timers", timers.len())));
        }

        cx.timers.clear();
        cx.timers.extend_from_slice(&timers, GFP_KERNEL_ACCOUNT)?;
        let signals = process::look(cx)?;
        let process = record(
            &cx.task.clocks(),
            signals.itimers(),
            timers.len() as u32, // At most CR_TIMERS_MAX.
        );
        cx.process = Some(signals);
        Ok(Found { process, timers })
    }

    fn save<T: Transport>(
        found: &Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        to.record(&found.process)?;
        for timer in &found.timers {
            to.record(&timer_record(timer))?;
        }
        Ok(())
    }

    fn take(image: &mut Image, item: &Item<'_>) -> Result {
        match item {
            Item::Task(task) => (image.tid, image.tgid) = (task.pid, task.tgid),
            Item::Timers(timers) => image.process = Some(*timers),
            Item::Timer(timer) => image.timers.push(*timer, GFP_KERNEL_ACCOUNT)?,
            _ => (),
        }
        Ok(())
    }

    fn prepare(image: Image, cx: &mut Prepare<'_>) -> Result {
        cx.tgid = image.tgid;
        if let Some(said) = image.process {
            cx.timers = prepare_all(cx, &said, &image.timers)?;
            let shared = cx.timers.share()?;
            cx.shared_timers
                .try_create_and_insert(image.tgid, shared, GFP_KERNEL_ACCOUNT)?;
        }
        // A thread comes behind the leader, which has made them.
        if let Some(shared) = cx.shared_timers.get_mut(&image.tgid) {
            shared.claim(cx.caller, image.tid);
        }
        Ok(())
    }

    fn commit(_prepared: (), _caller: &CurrentTask) {}
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_timers)]
mod tests {
    use super::*;
    use kernel::task::signals::{
        Pending,
        Queue, //
    };

    const SIGUSR1: i32 = 10;

    /// A timer that has sent its signal, and repeats.
    fn sent(id: i32) -> Setting {
        Setting {
            id,
            clock: 1,
            signal: SIGUSR1,
            expires: 5,
            interval: 10,
            overrun: -1,
            ..Setting::default()
        }
    }

    fn pending(timer: i32, signal: u64) -> Pending {
        let mut info = [0; 16];

        info[0] = signal;
        Pending {
            timer: Some(timer),
            info,
        }
    }

    #[test]
    fn records_keep_everything() {
        let timer = Setting {
            tid: 7,
            notify: 4,
            value: u64::MAX,
            flags: 3,
            overrun_last: 4,
            ..sent(3)
        };
        let again = setting(&timer_record(&timer));

        assert!(timer_record(&again) == timer_record(&timer));
        let clocks = current!().clocks();
        let said = record(&clocks, &Process::default(), 1);
        assert!(said.monotonic == clocks.monotonic && said.monotonic > 0);
        assert!(record(&process(&said), &process(&said), 1) == said);
    }

    #[test]
    fn timers_that_are_none_are_refused() -> Result {
        let refused = |change: &dyn Fn(&mut Setting)| -> Result<bool> {
            let mut timer = sent(1);

            change(&mut timer);
            Ok(Timers::new(Process::default())?.push(timer).is_err())
        };

        assert!(!refused(&|_| ())?);
        assert!(refused(&|t| t.id = -1)?);
        assert!(refused(&|t| t.clock = 4)?);
        assert!(refused(&|t| t.clock = 99)?);
        // Of no kind, of a thread.
        assert!(refused(&|t| t.clock = -49)?);
        assert!(refused(&|t| t.signal = 0)?);
        assert!(refused(&|t| t.signal = 65)?);
        assert!(refused(&|t| t.notify = 3)?);
        // It has no signal, and so cannot have sent it.
        assert!(refused(&|t| t.notify = 1)?);
        assert!(refused(&|t| t.expires = 0)?);
        assert!(refused(&|t| t.expires = -1)?);
        assert!(refused(&|t| t.interval = -1)?);
        assert!(refused(&|t| t.overrun = -2)?);
        Ok(())
    }

    #[test]
    fn ids_ascend() -> Result {
        let mut timers = Timers::new(Process::default())?;

        timers.push(sent(4))?;
        assert!(timers.push(sent(4)) == Err(EINVAL));
        assert!(timers.push(sent(3)) == Err(EINVAL));
        timers.push(sent(5))
    }

    #[test]
    fn a_signal_is_that_of_its_timer() -> Result {
        let mut timers = Timers::new(Process::default())?;
        timers.push(sent(1))?;
        timers.push(Setting {
            flags: uapi::CR_TIMER_ARMED,
            ..sent(2)
        })?;
        timers.push(sent(3))?;
        timers.push(Setting {
            notify: 4,
            tid: 7,
            ..sent(4)
        })?;
        let shared = timers.share()?;
        let mut queue = Queue::new(None);
        let mut push = |id, signal| queue.push(&pending(id, signal), Some(&shared));

        assert!(push(0, 10) == Err(EINVAL));
        // Armed: it has sent none.
        assert!(push(2, 10) == Err(EINVAL));
        push(1, 10)?;
        assert!(push(1, 10) == Err(EINVAL));
        assert!(push(3, 12) == Err(EINVAL));
        // It is for one thread, and no other.
        assert!(push(4, 10) == Err(EINVAL));
        assert!(Queue::new(Some(6)).push(&pending(4, 10), Some(&shared)) == Err(EINVAL));
        Queue::new(Some(7)).push(&pending(4, 10), Some(&shared))
    }
}
