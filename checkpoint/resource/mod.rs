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
    task::{
        CurrentTask,
        Task, //
    }, //
};

use crate::{
    image::Item,
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
};

/// A kind of kernel state.
///
/// The steps of a restart come in this order, each for all resources before the next begins:
/// [`take`](Resource::take) for each record, [`prepare`](Resource::prepare),
/// [`commit`](Resource::commit). An error in one of the first two ends the restart, and dropping
/// what they made undoes them.
pub(crate) trait Resource {
    /// What the image says about this resource, in memory of bounded size.
    type Image: Default;

    /// All that committing needs, acquired or allocated. Dropping it gives everything back.
    type Prepared;

    /// Writes the records of `task`.
    fn save<T: Transport>(task: &Task, to: &mut ImageWriter<'_, T>) -> Result<(), Failure>;

    /// Notes what a checked record says, if it is about this resource. Has no side effects.
    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result;

    /// Gets everything ready for the caller to become what the image says.
    fn prepare(image: Self::Image) -> Result<Self::Prepared>;

    /// Makes the caller what the image says. This cannot fail.
    fn commit(prepared: Self::Prepared, caller: &CurrentTask);
}

/// Makes of the list of resources what the pipelines call.
macro_rules! resources {
    ($($(#[$doc:meta])* $module:ident::$resource:ident),* $(,)?) => {
        $($(#[$doc])* mod $module;)*

        /// What an image says, by resource.
        #[derive(Default)]
        pub(crate) struct Images {
            $($module: <$module::$resource as Resource>::Image,)*
        }

        /// What is ready to be committed, by resource.
        pub(crate) struct Prepared {
            $($module: <$module::$resource as Resource>::Prepared,)*
        }

        /// Writes the records of all resources of `task`, in the order of the list.
        pub(crate) fn save<T: Transport>(
            task: &Task,
            to: &mut ImageWriter<'_, T>,
        ) -> Result<(), Failure> {
            $($module::$resource::save(task, to)?;)*
            Ok(())
        }

        impl Images {
            /// Shows a checked record to all resources.
            pub(crate) fn take(&mut self, item: &Item<'_>) -> Result {
                $($module::$resource::take(&mut self.$module, item)?;)*
                Ok(())
            }

            /// Gets all resources ready, in the order of the list.
            pub(crate) fn prepare(self) -> Result<Prepared> {
                Ok(Prepared {
                    $($module: $module::$resource::prepare(self.$module)?,)*
                })
            }
        }

        impl Prepared {
            /// Commits all resources, in the order of the list.
            pub(crate) fn commit(self, caller: &CurrentTask) {
                $($module::$resource::commit(self.$module, caller);)*
            }
        }
    };
}

resources! {
    /// Name, life and statistics.
    task::TaskState,
}
