// SPDX-License-Identifier: GPL-2.0

//! What somebody who waits at a terminal for a long call sees.

use std::cell::Cell;
use std::fs;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::input::{progress_bar, LARGE};

/// What is soon over is not shown, if nobody knows how much it is.
const SOON: Duration = Duration::from_secs(1);

/// Which way the image moves, as seen from the process that makes the call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moves {
    In,
    Out,
}

/// The progress of a call by another process. The kernel counts what that process reads and writes,
/// be it to a file or to a pipe.
pub(crate) struct Progress {
    pid: i32,
    moves: Moves,
    bytes: Option<u64>,
    start: Instant,
    bar: Cell<Option<ProgressBar>>,
}

impl Progress {
    /// `bytes` is about how many there will be. `None` if nobody watches, or it will not take long.
    pub(crate) fn new(pid: i32, moves: Moves, bytes: Option<u64>) -> Option<Self> {
        let watched = io::stderr().is_terminal() && bytes.is_none_or(|bytes| bytes >= LARGE);
        watched.then(|| Progress {
            pid,
            moves,
            bytes,
            start: Instant::now(),
            bar: Cell::new(None),
        })
    }

    pub(crate) fn show(&self) {
        if self.bytes.is_none() && self.start.elapsed() < SOON {
            return;
        }
        let bar = self.bar.take().unwrap_or_else(|| progress_bar(self.bytes));
        match moved(self.pid, self.moves) {
            Some(moved) => {
                if bar.length().is_some_and(|length| length < moved) {
                    bar.set_length(moved);
                }
                bar.set_position(moved);
            }
            None => bar.tick(),
        }
        self.bar.set(Some(bar));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Bytes that a process has read or written. `None` if it is not ours to look at any more.
fn moved(pid: i32, moves: Moves) -> Option<u64> {
    let counter = match moves {
        Moves::In => "rchar: ",
        Moves::Out => "wchar: ",
    };
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let mut counters = io.lines().filter_map(|line| line.strip_prefix(counter));
    counters.next()?.parse().ok()
}
