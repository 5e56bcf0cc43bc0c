// SPDX-License-Identifier: GPL-2.0

//! What resources work with: the context of each step of a checkpoint and a restart.

use core::fmt;

use kernel::{
    fs::File,
    prelude::*,
    task::{
        timers::Timers,
        CurrentTask,
        Task, //
    }, //
};

use crate::{
    log::Log,
    resource::{
        object::{
            Objects,
            Opened, //
        },
        signals, //
    },
    stream::Failure, //
};

/// The first half of a checkpoint: looking at everything that a task has.
///
/// Each resource notes what it is going to save, with references that keep it alive, and refuses
/// what cannot be saved. Objects that may be shared, such as open files, are numbered when they are
/// first met, so that each of them is in the image once.
///
/// The task stands still and cannot even be killed meanwhile, so nothing here waits for more than
/// stat(2) of its files does. What comes after works on what was noted only.
pub(crate) struct Collect<'a> {
    /// The task, which stands still at the edge of user mode, or is the caller.
    pub(crate) task: &'a Task,
    /// The caller saves itself.
    pub(crate) to_self: bool,
    /// What no image can have, the restarter is going to hand in.
    pub(crate) inherit: bool,
    /// The file that the image is written to. Without one, nothing is: every reason why no image
    /// can be taken is looked for, instead of the first only.
    image: Option<&'a File>,
    /// The objects met so far.
    pub(crate) objects: Objects,
    /// Signals, when timers have been looked at: they belong together.
    pub(crate) signals: Option<signals::Found>,
    log: &'a mut Log,
    /// The log has a line about why the call ends.
    logged: bool,
    /// What the first reason was, of those that were tolerated.
    tolerated: Option<Error>,
}

impl<'a> Collect<'a> {
    /// Begins to look at `task`.
    pub(crate) fn new(
        task: &'a Task,
        to_self: bool,
        inherit: bool,
        image: Option<&'a File>,
        log: &'a mut Log,
    ) -> Self {
        Self {
            task,
            to_self,
            inherit,
            image,
            objects: Objects::new(),
            signals: None,
            log,
            logged: false,
            tolerated: None,
        }
    }

    /// Tells whether `file` is what the image is written to.
    pub(crate) fn is_image(&self, file: &File) -> bool {
        self.image
            .is_some_and(|image| image.as_ptr() == file.as_ptr())
    }

    /// Lets one reason not hide the next: if nothing is going to be written, what was refused, and
    /// logged, becomes [`None`]. Who uses this goes on as well as it can without.
    pub(crate) fn tolerate<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(e) if self.image.is_none() && self.logged => {
                self.logged = false;
                self.tolerated.get_or_insert(e);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Refuses something, as [`refuse`](Self::refuse), after which one may go on in a check.
    pub(crate) fn refuse_further(&mut self, what: fmt::Arguments<'_>) -> Result {
        let refused = Err(self.refuse(what));
        self.tolerate::<()>(refused).map(drop)
    }

    /// The end of it: an error, which is logged, if any was tolerated.
    pub(crate) fn verdict(&mut self) -> Result {
        match self.tolerated {
            None => Ok(()),
            Some(e) => {
                self.logged = true;
                Err(e)
            }
        }
    }

    /// Logs that the task has something that cannot be saved, and returns the error for it.
    pub(crate) fn refuse(&mut self, what: fmt::Arguments<'_>) -> Error {
        self.fail(EOPNOTSUPP, format_args!("{what} is not supported"))
    }

    /// Logs what is wrong with the task, and returns `error`.
    pub(crate) fn fail(&mut self, error: Error, what: fmt::Arguments<'_>) -> Error {
        self.log.task(self.task, what);
        self.logged = true;
        error
    }

    /// Logs an error that nobody has logged: one that has nothing to do with what the task has,
    /// such as that of an allocation.
    pub(crate) fn ended(&mut self, error: Error) -> Error {
        if self.logged {
            return error;
        }
        self.fail(error, format_args!("{error:?}"))
    }
}

/// The second half of a checkpoint: writing.
pub(crate) struct Saving<'a> {
    /// All objects.
    pub(crate) objects: &'a Objects,
}

/// A restart, up to its commit.
pub(crate) struct Prepare<'a> {
    /// The caller, which becomes the process of the image.
    pub(crate) caller: &'a CurrentTask,
    /// `RESTART_*`
    pub(crate) flags: u32,
    /// The file that the image is read from.
    pub(crate) image: &'a File,
    /// What the objects of the image have become.
    pub(crate) objects: Opened,
    /// What the timers of the image have become, which have sent some of the pending signals.
    pub(crate) timers: Timers,
    log: &'a mut Log,
    /// The log has a line about why the call ends.
    logged: bool,
}

impl<'a> Prepare<'a> {
    /// Begins to get `caller` ready.
    pub(crate) fn new(
        caller: &'a CurrentTask,
        flags: u32,
        image: &'a File,
        log: &'a mut Log,
    ) -> Self {
        Self {
            caller,
            flags,
            image,
            objects: Opened::default(),
            timers: Timers::default(),
            log,
            logged: false,
        }
    }

    /// Logs why the restart ends, and returns `error`.
    pub(crate) fn fail(&mut self, error: Error, what: fmt::Arguments<'_>) -> Error {
        self.log.line(what);
        self.logged = true;
        error
    }

    /// Logs an error that nobody has logged, and returns it as one that is.
    pub(crate) fn ended(&mut self, error: Error) -> Failure {
        if !self.logged {
            self.log.line(format_args!("{error:?}"));
        }
        Failure::Logged(error)
    }
}
