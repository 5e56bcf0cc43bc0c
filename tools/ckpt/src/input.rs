// SPDX-License-Identifier: GPL-2.0

//! Images that are read: a file, or standard input.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Doing, Error};
use crate::{sys, text};

/// From this many bytes on, somebody who waits at a terminal sees a progress bar.
pub(crate) const LARGE: u64 = 64 << 20;

/// An image, or several of them one behind the other.
///
/// Never reads ahead: what follows an image on standard input is left to whoever reads next, as
/// restart(2) leaves it.
pub(crate) struct Input {
    name: String,
    path: String,
    file: File,
    /// Bytes in a regular file from where this started; unknown for all else.
    size: Option<u64>,
    read: u64,
    /// A byte that [`Input::at_end`] took to see whether there is one.
    ahead: Option<u8>,
    progress: bool,
    bar: Option<ProgressBar>,
}

impl Input {
    /// Opens `path`, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = if path == Path::new("-") {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                return Err(Error::Usage(
                    "standard input is a terminal, not an image".into(),
                ));
            }
            // The standard library's own handle reads ahead.
            stdin.as_fd().try_clone_to_owned().map(File::from)
        } else {
            File::open(path)
        };
        let path = escape(path);
        let name = name(&path);
        let file = file.doing(|| name.into())?;
        Ok(Self::new(path, file))
    }

    /// Reads from `file`, which is called `path`.
    pub(crate) fn new(path: String, mut file: File) -> Self {
        let size = match file.metadata() {
            Ok(meta) if meta.is_file() => file
                .stream_position()
                .ok()
                .map(|at| meta.len().saturating_sub(at)),
            _ => None,
        };
        Input {
            name: name(&path).into(),
            path,
            file,
            size,
            read: 0,
            ahead: None,
            progress: false,
            bar: None,
        }
    }

    /// Shows a progress bar on standard error, if that is a terminal and this takes long.
    pub(crate) fn with_progress(mut self, wanted: bool) -> Self {
        self.progress = wanted && io::stderr().is_terminal();
        self
    }

    /// What messages call this input.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the command line calls this input.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Bytes taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.read - u64::from(self.ahead.is_some())
    }

    /// Bytes that have not been taken, where that can be known without reading them.
    pub(crate) fn left(&self) -> Option<u64> {
        self.size.map(|size| size.saturating_sub(self.taken()))
    }

    /// Takes the progress bar off the terminal for good, because something else is written there.
    pub(crate) fn end_progress(&mut self) {
        self.progress = false;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Is there nothing more? Waits for a byte or the end, so ask only if the next image is
    /// wanted.
    pub(crate) fn at_end(&mut self) -> Result<bool, Error> {
        if self.ahead.is_none() {
            let mut byte = [0];
            let got = self.fetch(&mut byte).doing(|| self.name.clone())?;
            self.ahead = (got == 1).then_some(byte[0]);
        }
        Ok(self.ahead.is_none())
    }

    fn fetch(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = loop {
            match self.file.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever shares standard input may have made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match sys::wait_readable(self.file.as_fd()) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        other => other?,
                    }
                }
                other => break other?,
            }
        };
        self.read += got as u64;
        self.show();
        Ok(got)
    }

    fn show(&mut self) {
        if self.progress && self.bar.is_none() && self.size.unwrap_or(self.read) >= LARGE {
            let bar = progress_bar(self.size).with_position(self.read);
            // The rate is that of what comes from here on.
            bar.reset_eta();
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.read);
        }
    }
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let (Some(byte), Some(first)) = (self.ahead, buf.first_mut()) {
            *first = byte;
            self.ahead = None;
            return Ok(1);
        }
        self.fetch(buf)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.end_progress();
    }
}

/// A path as it is printed.
pub(crate) fn escape(path: &Path) -> String {
    text::escape(path.as_os_str().as_encoded_bytes())
}

/// What messages call the input that the command line calls `path`.
fn name(path: &str) -> &str {
    match path {
        "-" => "standard input",
        _ => path,
    }
}

/// A progress bar for `size` bytes, or for a number that is not known.
pub(crate) fn progress_bar(size: Option<u64>) -> ProgressBar {
    let (bar, template) = match size {
        Some(size) => (
            ProgressBar::new(size),
            "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {bytes} {bytes_per_sec}",
        ),
    };
    // The templates above are right, and a bar without one would still do.
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Images named on the command line, `-` at most once.
pub(crate) fn check_names(paths: &[PathBuf]) -> Result<(), Error> {
    if paths.iter().filter(|path| *path == Path::new("-")).count() > 1 {
        return Err(Error::Usage("standard input can be read only once".into()));
    }
    Ok(())
}
