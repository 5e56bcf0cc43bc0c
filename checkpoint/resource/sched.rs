// SPDX-License-Identifier: GPL-2.0

//! How a task is scheduled: policy, nice value, processors, priority of I/O, timer slack.
//!
//! A restart changes the caller as sched_setattr(2), setpriority(2), sched_setaffinity(2) and
//! ioprio_set(2) would, with their checks, for the caller's credentials and limits. Such a call can
//! fail, for lack of bandwidth for one, so the change is made in the last step before the commit,
//! and undone if that does not come. Before any memory is read it is tried.
//!
//! Processors that the machine has not are left out of the mask, as when they go offline. If none is
//! left, the restart fails.

use kernel::{
    prelude::*,
    task::{
        sched::Change,
        CurrentTask, //
    },
};
use zerocopy::IntoBytes;

use crate::{
    image::{
        self,
        Item,
        Kind, //
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

pub(crate) struct SchedState;

/// What was found, or what an image says.
#[derive(Default)]
pub(crate) struct Scheduling {
    sched: Option<image::Sched>,
    /// What sched_setaffinity(2) was given.
    affinity: KVec<u64>,
}

/// Makes a record of what the kernel says.
fn record(from: &uapi::cr_hdr_sched, affinity_len: u32) -> image::Sched {
    image::Sched {
        policy: from.policy,
        nice: from.nice,
        priority: from.priority,
        flags: from.flags,
        runtime: from.runtime,
        deadline: from.deadline,
        period: from.period,
        util_min: from.util_min,
        util_max: from.util_max,
        ioprio: from.ioprio,
        affinity_len,
        timer_slack: from.timer_slack,
        default_timer_slack: from.default_timer_slack,
    }
}

/// The other way round.
fn sched(from: &image::Sched) -> uapi::cr_hdr_sched {
    uapi::cr_hdr_sched {
        policy: from.policy,
        nice: from.nice,
        priority: from.priority,
        flags: from.flags,
        runtime: from.runtime,
        deadline: from.deadline,
        period: from.period,
        util_min: from.util_min,
        util_max: from.util_max,
        ioprio: from.ioprio,
        affinity_len: from.affinity_len,
        timer_slack: from.timer_slack,
        default_timer_slack: from.default_timer_slack,
    }
}

/// Logs that the caller may not be scheduled so.
fn refused(cx: &mut Prepare<'_>, error: Error, what: &str) -> Error {
    cx.fail(error, format_args!("{what}: {error:?}"))
}

impl Resource for SchedState {
    const SCOPE: Scope = Scope::Thread;

    type Found = Scheduling;
    type Image = Scheduling;
    type Prepared = Option<Change>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        let found = cx
            .task
            .scheduling()
            .map_err(|what| cx.refuse(format_args!("{what}")))?;
        let affinity = cx.task.affinity()?;

        Ok(Scheduling {
            sched: Some(record(&found, size_of_val(affinity.as_slice()) as u32)),
            affinity,
        })
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        if let Some(sched) = &found.sched {
            to.record(sched)?;
        }
        if !found.affinity.is_empty() {
            to.bytes(Kind::Affinity, found.affinity.as_slice().as_bytes())?;
        }
        Ok(())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        match item {
            Item::Sched(sched) => image.sched = Some(*sched),
            Item::Affinity(bytes) => {
                for word in image::u64s(bytes) {
                    image.affinity.push(word, GFP_KERNEL_ACCOUNT)?;
                }
            }
            _ => (),
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let Some(saved) = image.sched else {
            return Ok(None);
        };

        Change::new(&sched(&saved), &image.affinity)
            .map(Some)
            .map_err(|(e, what)| refused(cx, e, what))
    }

    fn complete(prepared: &mut Self::Prepared, cx: &mut Prepare<'_>) -> Result {
        match prepared {
            Some(change) => change.apply().map_err(|(e, what)| refused(cx, e, what)),
            None => Ok(()),
        }
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(change) = prepared {
            change.commit(caller);
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_sched)]
mod tests {
    use super::*;

    /// As `SCHED_BATCH` and `SCHED_FIFO` are numbered.
    const SCHED_BATCH: u32 = 3;
    const SCHED_FIFO: u32 = 1;

    fn own() -> uapi::cr_hdr_sched {
        current!().scheduling().unwrap_or_default()
    }

    #[test]
    fn a_change_is_undone_when_it_is_dropped() {
        let before = record(&own(), 0);
        let mut wanted = own();

        wanted.policy = SCHED_BATCH;
        wanted.nice = 7;
        let change = Change::new(&wanted, &[]);
        assert!(record(&own(), 0) == before);
        if let Ok(mut change) = change {
            assert!(change.apply().is_ok());
            assert!(own().policy == SCHED_BATCH && own().nice == 7);
        }
        assert!(record(&own(), 0) == before);
    }

    #[test]
    fn what_no_task_has_is_refused() {
        let refused = |change: &dyn Fn(&mut uapi::cr_hdr_sched)| {
            let mut wanted = own();

            change(&mut wanted);
            Change::new(&wanted, &[]).err().map(|(e, _)| e)
        };

        assert!(refused(&|_| ()).is_none());
        assert!(refused(&|s| s.policy = u32::MAX) == Some(EINVAL));
        assert!(refused(&|s| s.policy = 4) == Some(EINVAL));
        assert!(refused(&|s| s.nice = 20) == Some(EINVAL));
        assert!(refused(&|s| s.policy = SCHED_FIFO) == Some(EINVAL));
        assert!(refused(&|s| s.priority = 1) == Some(EINVAL));
        assert!(refused(&|s| s.ioprio = 1 << 16) == Some(EINVAL));
        // A mask that is not as long as it says.
        assert!(refused(&|s| s.affinity_len = 8) == Some(EINVAL));
    }

    #[test]
    fn a_mask_without_a_processor_is_refused() {
        let mut wanted = own();

        wanted.affinity_len = 8;
        assert!(Change::new(&wanted, &[0]).err().map(|(e, _)| e) == Some(EINVAL));
        assert!(Change::new(&wanted, &[u64::MAX]).is_ok());
    }
}
