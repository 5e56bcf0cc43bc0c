// SPDX-License-Identifier: GPL-2.0

//! Kinds of open file that have something of their own behind them: the list, and what each of them
//! can do.
//!
//! A new kind is a `CR_FILE_*` with, in most cases, a record that follows `CR_HDR_FILE`; a module in
//! this directory with a type that implements [`Kind`]; `mod` in `mod.rs`; and a line in the list
//! below. Nothing else has to know of it.

use kernel::{
    fs::{
        state::Seen,
        File, //
    },
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    image::{
        self,
        Item, //
    },
    resource::{
        Collect,
        Prepare, //
    },
    stream::{
        BulkReader,
        Failure,
        ImageWriter,
        Transport, //
    },
};

use super::{
    epoll,
    eventfd,
    inotify,
    pidfd,
    signalfd,
    timerfd,
    tty,
    Use, //
};

/// A kind of open file.
///
/// The steps are those of a [`Resource`](crate::resource::Resource), for one file.
pub(super) trait Kind {
    /// `CR_FILE_*`
    const KIND: u32;

    /// What was found of a file: copies of what may change.
    type Found;

    /// What an image says of a file.
    type Said: Default;

    /// Tells whether `file` is of this kind.
    fn is(file: &File, seen: &Seen) -> bool;

    /// Looks at a file, and refuses what cannot be saved.
    ///
    /// `record` has what [`Seen`] says of it. What differs for this kind is changed: the `target`,
    /// an offset. Its `kind` is right, and its `objref` is set later.
    fn collect(
        cx: &mut Collect<'_>,
        file: &File,
        record: &mut image::File,
        of: Use,
    ) -> Result<Self::Found>;

    /// Writes what follows `CR_HDR_FILE`.
    fn save<T: Transport>(
        _found: &Self::Found,
        _to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// Writes the bulk data of the file that has number `objref`: see
    /// [`save_data`](super::save_data).
    fn save_bulk<T: Transport>(
        _found: &Self::Found,
        _objref: u32,
        _to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// Notes what a checked record says that follows `CR_HDR_FILE`. Sees others, too, which are not
    /// about this file.
    fn take(_said: &mut Self::Said, _item: &Item<'_>) -> Result {
        Ok(())
    }

    /// Makes the file, or finds one that the caller has. Logs why it does not.
    ///
    /// A file that is made has the status flags of `record` then: see
    /// [`set_flags`](super::set_flags).
    fn create(cx: &mut Prepare<'_>, record: &image::File, said: &Self::Said) -> Result<ARef<File>>;

    /// Reads a run of bulk data; returns whether a file of this kind has any.
    fn fill<T: Transport>(
        _said: &mut Self::Said,
        _record: &image::File,
        _file: &File,
        _bulk: &mut BulkReader<'_, '_, T>,
    ) -> Result<bool, Failure> {
        Ok(false)
    }

    /// Does, when all bulk data is there, the last steps that may fail. Logs why it does not.
    fn complete(
        _said: &Self::Said,
        _cx: &mut Prepare<'_>,
        _record: &image::File,
        _file: &File,
    ) -> Result {
        Ok(())
    }

    /// Changes what is the caller's. This cannot fail.
    fn commit(_said: &Self::Said, _record: &image::File, _file: &File) {}
}

/// Makes of the list of kinds what the objects call.
macro_rules! kinds {
    ($($(#[$doc:meta])* $module:ident::$kind:ident),* $(,)?) => {
        /// What was found of a file, by kind.
        pub(super) enum Found {
            $($(#[$doc])* $kind(<$module::$kind as Kind>::Found),)*
        }

        /// What an image says of a file, by kind.
        pub(super) enum Said {
            $($(#[$doc])* $kind(<$module::$kind as Kind>::Said),)*
        }

        impl Found {
            /// Looks at a file; [`None`] if it is of no kind of the list.
            pub(super) fn collect(
                cx: &mut Collect<'_>,
                file: &File,
                seen: &Seen,
                record: &mut image::File,
                of: Use,
            ) -> Result<Option<Self>> {
                $(if $module::$kind::is(file, seen) {
                    record.kind = $module::$kind::KIND;
                    let found = $module::$kind::collect(cx, file, record, of)?;
                    return Ok(Some(Self::$kind(found)));
                })*
                Ok(None)
            }

            /// Writes what follows `CR_HDR_FILE`.
            pub(super) fn save<T: Transport>(
                &self,
                to: &mut ImageWriter<'_, T>,
            ) -> Result<(), Failure> {
                match self {
                    $(Self::$kind(found) => $module::$kind::save(found, to),)*
                }
            }

            /// Writes bulk data.
            pub(super) fn save_bulk<T: Transport>(
                &self,
                objref: u32,
                to: &mut ImageWriter<'_, T>,
            ) -> Result<(), Failure> {
                match self {
                    $(Self::$kind(found) => $module::$kind::save_bulk(found, objref, to),)*
                }
            }
        }

        impl Said {
            /// Nothing yet of a file of this kind; [`None`] if the kind is not in the list.
            pub(super) fn new(kind: u32) -> Option<Self> {
                match kind {
                    $($module::$kind::KIND => Some(Self::$kind(Default::default())),)*
                    _ => None,
                }
            }

            /// Notes what a record says.
            pub(super) fn take(&mut self, item: &Item<'_>) -> Result {
                match self {
                    $(Self::$kind(said) => $module::$kind::take(said, item),)*
                }
            }

            /// Makes or finds the file.
            pub(super) fn create(
                &self,
                cx: &mut Prepare<'_>,
                record: &image::File,
            ) -> Result<ARef<File>> {
                match self {
                    $(Self::$kind(said) => $module::$kind::create(cx, record, said),)*
                }
            }

            /// Reads a run of bulk data.
            pub(super) fn fill<T: Transport>(
                &mut self,
                record: &image::File,
                file: &File,
                bulk: &mut BulkReader<'_, '_, T>,
            ) -> Result<bool, Failure> {
                match self {
                    $(Self::$kind(said) => $module::$kind::fill(said, record, file, bulk),)*
                }
            }

            /// Does the last steps that may fail.
            pub(super) fn complete(
                &self,
                cx: &mut Prepare<'_>,
                record: &image::File,
                file: &File,
            ) -> Result {
                match self {
                    $(Self::$kind(said) => $module::$kind::complete(said, cx, record, file),)*
                }
            }

            /// Changes what is the caller's.
            pub(super) fn commit(&self, record: &image::File, file: &File) {
                match self {
                    $(Self::$kind(said) => $module::$kind::commit(said, record, file),)*
                }
            }
        }
    };
}

kinds! {
    /// timerfd_create(2).
    timerfd::TimerFd,
    /// A terminal.
    tty::Terminal,
    /// eventfd(2)
    eventfd::EventFd,
    /// signalfd(2)
    signalfd::SignalFd,
    /// epoll(7)
    epoll::Epoll,
    /// inotify(7)
    inotify::Inotify,
    /// pidfd_open(2)
    pidfd::PidFd,
}
