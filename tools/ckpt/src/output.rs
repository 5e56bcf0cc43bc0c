// SPDX-License-Identifier: GPL-2.0

//! Standard output and standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;

use crate::error::{Doing, Error};

/// Buffered standard output. A reader that has gone away is not an error: nothing more is
/// written, and [`Out::closed`] tells a command that it may stop.
pub(crate) struct Out(BufWriter<Quiet>);

struct Quiet {
    stdout: StdoutLock<'static>,
    closed: bool,
}

impl Quiet {
    fn hush<T>(&mut self, done: io::Result<T>, instead: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(instead)
            }
            other => other,
        }
    }
}

impl Write for Quiet {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(buf.len());
        }
        let done = self.stdout.write(buf);
        self.hush(done, buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let done = self.stdout.flush();
        self.hush(done, ())
    }
}

impl Out {
    pub(crate) fn new() -> Self {
        Out(BufWriter::new(Quiet {
            stdout: io::stdout().lock(),
            closed: false,
        }))
    }

    /// Nobody reads any more.
    pub(crate) fn closed(&self) -> bool {
        self.0.get_ref().closed
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Error> {
        writeln!(self.0, "{text}").doing(cannot_write)
    }

    /// Writes a JSON document and ends the line.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Error> {
        serde_json::to_writer_pretty(&mut self.0, value)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(self.0))
            .doing(cannot_write)
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_all(bytes).doing(cannot_write)
    }

    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.0.flush().doing(cannot_write)
    }
}

fn cannot_write() -> String {
    "cannot write to standard output".into()
}

/// One line to standard error. Where that is gone too, there is nobody left to tell.
pub(crate) fn complain(what: impl Display) {
    let _ = writeln!(io::stderr(), "ckpt: {what}");
}

/// A JSON document to standard error, where standard output belongs to an image or to a program.
pub(crate) fn json_to_stderr(value: &impl Serialize) {
    let Ok(mut text) = serde_json::to_string_pretty(value) else {
        return;
    };
    text.push('\n');
    let _ = io::stderr().write_all(text.as_bytes());
}
