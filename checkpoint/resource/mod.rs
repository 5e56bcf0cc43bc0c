// SPDX-License-Identifier: GPL-2.0

//! The kinds of kernel state that an image holds, one module each.
//!
//! A resource knows how its state is saved, what of an image is about it, and how it is brought
//! back; nobody else knows its fields. The layout of its records, and the checks that need no
//! kernel, are in [`crate::image`] under the same name, where the tools find them too.
//!
//! A new resource is a module here, one in `image/`, and a line in the list below.

use kernel::{
    prelude::*,
    task::CurrentTask, //
};

use crate::{
    image::Item,
    stream::{
        BulkReader,
        Failure,
        ImageWriter,
        Transport, //
    },
};

mod context;
pub(crate) mod outside;

pub(crate) use context::{
    Collect,
    Prepare,
    Restart,
    Saving,
    SignalFd, //
};

pub(crate) use crate::tree::Scope;

/// A kind of kernel state.
///
/// The steps of a checkpoint come in this order, each for all resources of all tasks before the next
/// begins: [`collect`](Resource::collect), [`finish`](Resource::finish), [`save`](Resource::save),
/// [`save_bulk`](Resource::save_bulk). Those of a restart: [`take`](Resource::take) for each record,
/// [`prepare`](Resource::prepare), [`fill`](Resource::fill) for each run of bulk data,
/// [`complete`](Resource::complete), [`commit`](Resource::commit); all but the first are done by the
/// task that they are for. An error in any but the last, which has none, ends the call, and dropping
/// what they made undoes them.
pub(crate) trait Resource {
    /// With which tasks it comes.
    const SCOPE: Scope;

    /// What was found of a task: references, and copies of what may change.
    type Found;

    /// What the image says about this resource, in memory of bounded size.
    type Image: Default;

    /// All that committing needs, acquired or allocated. Dropping it gives everything back.
    type Prepared;

    /// Looks at what the task has, and refuses what cannot be saved. Nothing is written yet.
    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found>;

    /// Looks at what shows only when all tasks have been looked at.
    fn finish(_found: &mut Self::Found, _cx: &mut Collect<'_>) -> Result {
        Ok(())
    }

    /// Writes the records of what was found.
    fn save<T: Transport>(
        found: &Self::Found,
        cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure>;

    /// Writes the bulk data of what was found.
    fn save_bulk<T: Transport>(
        _found: &Self::Found,
        _cx: &Saving<'_>,
        _to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// Notes what a checked record says, if it is about this resource. Has no side effects.
    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result;

    /// Gets everything ready for the caller to become what the image says. Logs why it does not.
    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared>;

    /// Reads a run of bulk data if it is for this resource; returns whether it was.
    fn fill<T: Transport>(
        _prepared: &mut Self::Prepared,
        _bulk: &mut BulkReader<'_, '_, T>,
    ) -> Result<bool, Failure> {
        Ok(false)
    }

    /// Does, when all bulk data is there, the last steps that may fail. Logs why it does not.
    fn complete(_prepared: &mut Self::Prepared, _cx: &mut Prepare<'_>) -> Result {
        Ok(())
    }

    /// The commit comes when all tasks are what the image says, by [`ready`](Resource::ready) and the
    /// commits of others; nobody is in user mode by then.
    const LATE: bool = false;

    /// Makes the caller what the image says, for a commit that is late. This cannot fail.
    fn ready(_prepared: &mut Self::Prepared, _caller: &CurrentTask) {}

    /// Makes the caller what the image says. This cannot fail.
    fn commit(prepared: Self::Prepared, caller: &CurrentTask);
}

/// Makes of a list of resources what the pipelines call. All of it is too much for the stack.
macro_rules! resources {
    (
        $found:ident $images:ident $prepared:ident:
        $($(#[$doc:meta])* $module:ident::$resource:ident),* $(,)?
    ) => {
        $($(#[$doc])* pub(crate) mod $module;)*

        /// What was found, by resource, of those that come with the task.
        #[derive(Default)]
        pub(crate) struct $found {
            $($module: Option<<$module::$resource as Resource>::Found>,)*
        }

        /// What an image says, by resource.
        #[derive(Default)]
        pub(crate) struct $images {
            $($module: <$module::$resource as Resource>::Image,)*
        }

        /// What is ready to be committed, by resource. None depends on another, so they may be
        /// dropped in any order.
        #[derive(Default)]
        pub(crate) struct $prepared {
            $($module: Option<<$module::$resource as Resource>::Prepared>,)*
        }

        impl $found {
            /// Looks at all resources of a task, in the order of the list.
            #[inline(never)]
            pub(crate) fn collect(cx: &mut Collect<'_>) -> Result<KBox<Self>> {
                let mut all = KBox::new(Self::default(), GFP_KERNEL_ACCOUNT)?;

                $(
                    if cx.has(<$module::$resource as Resource>::SCOPE) {
                        let found = $module::$resource::collect(cx);
                        all.$module = cx.tolerate(found)?;
                    }
                )*
                Ok(all)
            }

            /// Looks at what shows only when all tasks have been looked at.
            pub(crate) fn finish(&mut self, cx: &mut Collect<'_>) -> Result {
                $(
                    if let Some(found) = &mut self.$module {
                        // What comes with a task comes with it still.
                        cx.has(<$module::$resource as Resource>::SCOPE);
                        let finished = $module::$resource::finish(found, cx);
                        cx.tolerate(finished)?;
                    }
                )*
                Ok(())
            }

            /// Writes the records of all resources, in the order of the list.
            pub(crate) fn save<T: Transport>(
                &self,
                cx: &Saving<'_>,
                to: &mut ImageWriter<'_, T>,
            ) -> Result<(), Failure> {
                $(
                    if let Some(found) = &self.$module {
                        $module::$resource::save(found, cx, to)?;
                    }
                )*
                Ok(())
            }

            /// Writes the bulk data of all resources, in the order of the list.
            pub(crate) fn save_bulk<T: Transport>(
                &self,
                cx: &Saving<'_>,
                to: &mut ImageWriter<'_, T>,
            ) -> Result<(), Failure> {
                $(
                    if let Some(found) = &self.$module {
                        $module::$resource::save_bulk(found, cx, to)?;
                    }
                )*
                Ok(())
            }
        }

        impl $images {
            /// Nothing yet.
            #[inline(never)]
            pub(crate) fn new() -> Result<KBox<Self>> {
                Ok(KBox::new(Self::default(), GFP_KERNEL_ACCOUNT)?)
            }

            /// Shows a checked record to all resources.
            pub(crate) fn take(&mut self, item: &Item<'_>) -> Result {
                $($module::$resource::take(&mut self.$module, item)?;)*
                Ok(())
            }

            /// Gets all resources ready, in the order of the list.
            #[inline(never)]
            pub(crate) fn prepare(
                mut self: KBox<Self>,
                cx: &mut Prepare<'_>,
            ) -> Result<KBox<$prepared>> {
                let mut all = KBox::new($prepared::default(), GFP_KERNEL_ACCOUNT)?;

                $(
                    let image = core::mem::take(&mut self.$module);
                    all.$module = Some($module::$resource::prepare(image, cx)?);
                )*
                Ok(all)
            }
        }

        impl $prepared {
            /// Hands a run of bulk data to the resource that it is for, if that is one of these.
            pub(crate) fn fill<T: Transport>(
                &mut self,
                bulk: &mut BulkReader<'_, '_, T>,
            ) -> Result<bool, Failure> {
                $(
                    if let Some(prepared) = &mut self.$module {
                        if $module::$resource::fill(prepared, bulk)? {
                            return Ok(true);
                        }
                    }
                )*
                Ok(false)
            }

            /// Does the last steps of all resources that may fail, in the order of the list.
            pub(crate) fn complete(&mut self, cx: &mut Prepare<'_>) -> Result {
                $(
                    if let Some(prepared) = &mut self.$module {
                        $module::$resource::complete(prepared, cx)?;
                    }
                )*
                Ok(())
            }

            /// Commits all resources, in the order of the list, but for the late ones.
            #[inline(never)]
            pub(crate) fn commit(&mut self, caller: &CurrentTask) {
                $(
                    if <$module::$resource as Resource>::LATE {
                        if let Some(prepared) = &mut self.$module {
                            $module::$resource::ready(prepared, caller);
                        }
                    } else if let Some(prepared) = self.$module.take() {
                        $module::$resource::commit(prepared, caller);
                    }
                )*
            }

            /// Commits those that are late.
            #[inline(never)]
            pub(crate) fn start(mut self: KBox<Self>, caller: &CurrentTask) {
                $(
                    if let Some(prepared) = self.$module.take() {
                        $module::$resource::commit(prepared, caller);
                    }
                )*
            }
        }
    };
}

// What all tasks of an image have in common.
resources! {
    CommonFound CommonImages CommonPrepared:
    /// Time namespace. What is set by a clock comes after it.
    clocks::ClockState,
    /// What several others may refer to: open files, pipes, shared memory.
    object::ObjectState,
}

// What comes with a task.
resources! {
    TaskFound TaskImages TaskPrepared:
    /// Name, life and statistics.
    task::TaskState,
    /// Credentials.
    creds::CredState,
    /// What threads that have ended and children have used up.
    usage::UsageState,
    /// Which system calls are allowed.
    seccomp::SeccompState,
    /// Resource limits.
    limits::LimitState,
    /// Policy, priorities, processors.
    sched::SchedState,
    /// What prctl(2), setsid(2) and `/proc` set.
    attrs::AttrState,
    /// Registers, and what the kernel knows of a thread.
    cpu::CpuState,
    /// Timers of timer_create(2) and setitimer(2).
    timers::TimerState,
    /// Which signals are blocked, and which wait for the thread.
    signals::SignalState,
    /// What signals do, which wait for any thread, and whether one has stopped the process.
    process::ProcessState,
    /// What semop(2) with `SEM_UNDO` has left to undo.
    undo::UndoState,
    /// Working directory, root, umask.
    fs::FsState,
    /// Descriptor table.
    files::FileState,
    /// Address space.
    mm::MmState,
}
