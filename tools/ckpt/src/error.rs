// SPDX-License-Identifier: GPL-2.0

//! What can go wrong, and the exit code that tells it to a script.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Exit codes, as ckpt(1) lists them. The greatest one wins where several images were named.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Exit {
    /// All is well.
    Ok,
    /// An image was refused, or a check of the self-test failed.
    Refused,
    /// The command line makes no sense.
    Usage,
    /// A file could not be read or written, or the system refused a call.
    System,
    /// The running kernel lacks checkpoint(2) or restart(2).
    NoCalls,
    /// That of a program which ckpt has waited for.
    Passed(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Ok => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::System => 3,
            Exit::NoCalls => 4,
            Exit::Passed(status) => status,
        })
    }
}

/// An error that ends a command. Its `Display` is the line that the user reads.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line makes no sense.
    Usage(String),
    /// An image was refused.
    Refused(String),
    /// A file could not be read or written, or the system refused a call: what was tried, and the
    /// answer.
    System(String, io::Error),
    /// The child that makes the calls for the self-test did not do as told.
    Child(String),
}

impl Error {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) => Exit::Usage,
            Error::Refused(_) => Exit::Refused,
            Error::System(..) | Error::Child(_) => Exit::System,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(what) | Error::Refused(what) | Error::Child(what) => f.write_str(what),
            Error::System(what, why) => write!(f, "{what}: {}", Plain(why)),
        }
    }
}

/// An I/O error without the "(os error 2)" that Rust puts behind it.
pub(crate) struct Plain<'a>(pub(crate) &'a io::Error);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.split(" (os error ").next().unwrap_or(&text))
    }
}

/// Adds to an I/O error what was being done.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|why| Error::System(what(), why))
    }
}
