// SPDX-License-Identifier: GPL-2.0

//! The log that a user reads when a call fails.
//!
//! A call that refuses something says what: which task, which object, why. The lines are collected
//! and written to the caller's `logfd` when the call is over and holds nothing any more, because a
//! reader may be slow. Each line also goes to the kernel's log where dynamic debug asks for it.

use core::fmt;

use kernel::{
    checkpoint::debug_line,
    fs::{
        rw::{
            Direction,
            StreamFile,
            Unfit, //
        },
        File, //
    },
    prelude::*,
    str::Formatter,
    task::Task,
    uapi, //
};

use crate::stream;

/// Longest line, in bytes; the rest of a longer one is cut.
const LINE_MAX: usize = 512;

/// Most bytes that are kept for `logfd`; lines that would go beyond are left out.
const KEPT_MAX: usize = 64 * 1024;

/// The log of one call.
pub(crate) struct Log {
    /// "checkpoint" or "restart": the first word of each line.
    call: &'static str,
    file: Option<StreamFile>,
    kept: KVVec<u8>,
}

impl Log {
    /// A log of which only dynamic debug sees something.
    pub(crate) fn silent(call: &'static str) -> Self {
        Self {
            call,
            file: None,
            kept: KVVec::new(),
        }
    }

    /// Opens the log that `flags` and `logfd` of a call ask for.
    ///
    /// # Errors
    ///
    /// If `logfd` is asked for and not fit.
    pub(crate) fn open(call: &'static str, flags: c_ulong, logfd: c_int) -> Result<Self, Unfit> {
        let mut log = Self::silent(call);

        if flags & uapi::CHECKPOINT_LOG as c_ulong != 0 {
            // A log that nobody reads any more is no reason to kill the caller.
            log.file = Some(StreamFile::from_fd(logfd, Direction::Write)?.without_sigpipe());
        }
        Ok(log)
    }

    /// Tells whether `file` is what the log is written to.
    pub(crate) fn is(&self, file: &File) -> bool {
        self.file
            .as_ref()
            .is_some_and(|log| log.file().as_ptr() == file.as_ptr())
    }

    /// Adds a line, without the newline at its end.
    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        let mut buffer = [0u8; LINE_MAX];
        let mut out = Formatter::new(&mut buffer);
        // A line that does not fit is cut.
        let _ = fmt::write(&mut out, format_args!("{}: {}", self.call, line));
        let len = out.bytes_written().min(LINE_MAX - 1);
        let Some(line) = buffer.get_mut(..=len) else {
            return;
        };
        if let Some((newline, text)) = line.split_last_mut() {
            debug_line(text);
            *newline = b'\n';
        }

        if self.file.is_some() && self.kept.len() <= KEPT_MAX - LINE_MAX {
            // Without memory for the line, the errno has to do.
            let _ = self.kept.extend_from_slice(line, GFP_KERNEL_ACCOUNT);
        }
    }

    /// Adds a line about a file descriptor that cannot be used.
    pub(crate) fn unfit(&mut self, name: &str, fd: c_int, unfit: Unfit) -> Error {
        self.line(format_args!("{name} {fd}: {unfit}"));
        unfit.into()
    }

    /// Adds a line about a task: "task 412 (name): ...".
    pub(crate) fn task(&mut self, task: &Task, line: fmt::Arguments<'_>) {
        self.line(format_args!(
            "task {} ({}): {}",
            task.vpid(),
            task.comm(),
            line
        ));
    }
}

impl Drop for Log {
    /// Hands the lines to `logfd`. What goes wrong with that changes nothing about the call.
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = stream::write_all(file, &self.kept);
        }
    }
}
