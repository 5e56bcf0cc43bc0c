// SPDX-License-Identifier: GPL-2.0

//! What the kernel says when it refuses a call.

use std::fmt::{self, Display};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::Serialize;

use crate::error::{Doing, Error, Exit, Plain};
use crate::output::complain;
use crate::{sys, text};

/// More than the kernel writes.
const LOG_MAX: usize = 128 << 10;

/// The file that a call's log goes to.
pub(crate) struct CallLog(File);

impl CallLog {
    pub(crate) fn new() -> Result<Self, Error> {
        let file = sys::memfd(c"ckpt-log").doing(|| "cannot make a memfd".into())?;
        Ok(CallLog(file))
    }

    pub(crate) fn file(&self) -> &File {
        &self.0
    }

    /// The lines of the log.
    fn lines(&self) -> Vec<String> {
        let mut bytes = vec![0; LOG_MAX];
        // Without its log, an error is still an error.
        let got = self.0.read_at(&mut bytes, 0).unwrap_or(0);
        bytes.truncate(got);
        bytes
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(text::escape)
            .collect()
    }
}

/// A call that has failed.
#[derive(Serialize)]
pub(crate) struct Refusal {
    errno: i32,
    message: String,
    /// What the kernel has written to the log.
    log: Vec<String>,
}

impl Refusal {
    pub(crate) fn new(errno: i32, log: &CallLog) -> Self {
        Refusal {
            errno,
            message: Plain(&io::Error::from_raw_os_error(errno)).to_string(),
            log: log.lines(),
        }
    }

    /// What the kernel has written to the log, line by line.
    pub(crate) fn log(&self) -> &[String] {
        &self.log
    }

    /// A call that ended without an errno: its process was killed, for example.
    pub(crate) fn without_errno(message: String) -> Self {
        Refusal {
            errno: 0,
            message,
            log: Vec::new(),
        }
    }

    /// The exit code of a command whose call failed. restart(2) answers to a bad image with one
    /// of `refused`, checkpoint(2) to a process that has something that no image has.
    pub(crate) fn exit(&self, refused: &[i32]) -> Exit {
        match self.errno {
            libc::ENOSYS => Exit::NoCalls,
            errno if refused.contains(&errno) => Exit::Refused,
            _ => Exit::System,
        }
    }

    /// Tells the user what the kernel wrote, and then what failed.
    pub(crate) fn complain(&self, what: impl Display) {
        for line in &self.log {
            complain(line);
        }
        if self.errno == libc::ENOSYS {
            complain("the running kernel lacks checkpoint(2) and restart(2)");
        } else {
            complain(format_args!("{what}: {}", self.message));
        }
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (n, line) in self.log.iter().enumerate() {
            write!(f, "{} {line}", if n == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}
