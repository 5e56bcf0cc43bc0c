// SPDX-License-Identifier: GPL-2.0

//! The programs that are saved and brought back by commands, as ckpt and CRIU are.
//!
//! They are in `workload.c` and `idle.py`, and tell what they see through a file of a fixed size:
//! when they did not look at the clock, and whether all of their tasks are as they should be.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::sys;

/// Bytes of `struct head` in workload.c, and where its fields are.
const HEAD: usize = 32;
const READY: u64 = 0;
const ANSWERS: u64 = 8;
const WROTE: u64 = 16;

/// Bytes of `struct gap`.
const GAP: usize = 16;

/// How long a workload may take to do what it is asked for.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Minimal,
    /// An interpreter that waits, and a thread that looks at the clock.
    Python,
    /// So many MiB, all of it touched.
    Resident(u32),
    /// 100 pages in 1 TiB.
    Sparse,
    Mappings(u32),
    /// In all.
    Threads(u32),
    /// In all.
    Processes(u32),
}

impl Kind {
    /// What the workload is to count to when it is asked.
    fn tasks(self) -> u64 {
        match self {
            Kind::Python => 2,
            Kind::Threads(count) | Kind::Processes(count) => count.into(),
            _ => 1,
        }
    }

    /// Tells whether write(2) of its memory is measured, too.
    pub(crate) fn is_written(self) -> bool {
        matches!(self, Kind::Resident(_))
    }

    fn arguments(self) -> (&'static str, u32) {
        match self {
            Kind::Minimal | Kind::Python => ("minimal", 1),
            Kind::Resident(mib) => ("resident", mib),
            Kind::Sparse => ("sparse", 1),
            Kind::Mappings(count) => ("mappings", count),
            Kind::Threads(count) => ("threads", count),
            Kind::Processes(count) => ("processes", count),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Kind::Minimal => "minimal".into(),
            Kind::Python => "idle python3".into(),
            Kind::Resident(mib) if mib % 1024 == 0 => format!("{} GiB", mib / 1024),
            Kind::Resident(mib) => format!("{mib} MiB"),
            Kind::Sparse => "1 TiB sparse".into(),
            Kind::Mappings(count) => format!("{count} mappings"),
            Kind::Threads(1) => "1 thread".into(),
            Kind::Threads(count) => format!("{count} threads"),
            Kind::Processes(1) => "1 process".into(),
            Kind::Processes(count) => format!("{count} processes"),
        };
        f.pad(&text)
    }
}

/// Where the programs are.
pub(crate) struct Programs {
    /// Has `workload`, `libworkload.so` and `idle.py`.
    pub(crate) folder: PathBuf,
    pub(crate) python: PathBuf,
}

impl Programs {
    /// Nanoseconds that a thread costs, from its making until it has been waited for; and those
    /// that a process costs: the means of `count` each.
    pub(crate) fn cost(&self, count: u32) -> io::Result<(f64, f64)> {
        let output = Command::new(self.folder.join("workload"))
            .args(["cost", &count.to_string()])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.split_whitespace().map(str::parse);
        match (output.status.success(), numbers.next(), numbers.next()) {
            (true, Some(Ok(thread)), Some(Ok(process))) => Ok((thread, process)),
            _ => Err(io::Error::other(format!(
                "workload cost: {}, {text:?}",
                output.status
            ))),
        }
    }
}

/// A workload that runs, or did, or will again, under one pid.
pub(crate) struct Workload {
    kind: Kind,
    pub(crate) pid: i32,
    board: File,
}

impl Workload {
    /// Starts one, and waits until all of its tasks are there. `path` is for what it tells.
    pub(crate) fn start(programs: &Programs, kind: Kind, path: &Path) -> io::Result<Self> {
        let mut command;
        if kind == Kind::Python {
            command = Command::new(&programs.python);
            command.arg(programs.folder.join("idle.py"));
            command.arg(programs.folder.join("libworkload.so"));
        } else {
            let (name, count) = kind.arguments();
            command = Command::new(programs.folder.join("workload"));
            command.args([name, &count.to_string()]);
        }
        let board = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        let child = command
            .arg(path)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let workload = Workload {
            kind,
            // A pid has been a positive int before std made it unsigned.
            pid: i32::try_from(child.id()).unwrap_or(i32::MAX),
            board,
        };
        match workload.wait_for(READY) {
            Ok(_) => Ok(workload),
            Err(error) => {
                let _ = workload.kill();
                Err(error)
            }
        }
    }

    fn number(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        match self.board.read_exact_at(&mut bytes, at) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
            done => done.map(|()| u64::from_ne_bytes(bytes)),
        }
    }

    /// Waits until a number is there that is not 0.
    fn wait_for(&self, at: u64) -> io::Result<u64> {
        let begin = Instant::now();
        loop {
            match self.number(at)? {
                0 if begin.elapsed() > PATIENCE => return Err(ErrorKind::TimedOut.into()),
                0 => thread::sleep(LOOK),
                number => return Ok(number),
            }
        }
    }

    fn ask(&self, signal: i32, at: u64) -> io::Result<u64> {
        self.board.write_all_at(&[0; 8], at)?;
        sys::signal(self.pid, signal)?;
        self.wait_for(at)
    }

    /// Has all tasks answer.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.ask(libc::SIGUSR1, ANSWERS)? {
            u64::MAX => Err(io::Error::other("its memory is not what it was")),
            tasks if tasks == self.kind.tasks() => Ok(()),
            tasks => Err(io::Error::other(format!(
                "of {} tasks, {tasks} answer",
                self.kind.tasks()
            ))),
        }
    }

    /// Nanoseconds that it takes to write its memory to a new file.
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    pub(crate) fn write(&self) -> io::Result<f64> {
        match self.ask(libc::SIGUSR2, WROTE)? {
            u64::MAX => Err(io::Error::other("write(2) failed")),
            took => Ok(took as f64),
        }
    }

    /// Forgets all gaps of before.
    pub(crate) fn clear(&self) -> io::Result<()> {
        let len = usize::try_from(self.board.metadata()?.len()).unwrap_or(HEAD);
        let zeros = vec![0; len.saturating_sub(HEAD)];
        self.board.write_all_at(&zeros, HEAD as u64)
    }

    fn gaps(&self) -> io::Result<Vec<(u64, u64)>> {
        let len = usize::try_from(self.board.metadata()?.len()).unwrap_or(HEAD);
        let mut bytes = vec![0; len.saturating_sub(HEAD)];
        self.board.read_exact_at(&mut bytes, HEAD as u64)?;
        Ok(gaps(&bytes))
    }

    /// The longest time between two looks at the clock that has something in common with a span
    /// of time.
    pub(crate) fn longest_in(&self, from: u64, to: u64) -> io::Result<u64> {
        let gaps = self.gaps()?;
        let common = gaps.iter().filter(|gap| gap.0 < to && from < gap.1);
        Ok(common.map(|gap| gap.1 - gap.0).max().unwrap_or(0))
    }

    /// When it looked at the clock again, having been away at a time `from`. `None` if it has not
    /// yet.
    pub(crate) fn back(&self, from: u64) -> io::Result<Option<u64>> {
        let gaps = self.gaps()?;
        let gap = gaps.iter().find(|gap| gap.0 < from && from < gap.1);
        Ok(gap.map(|gap| gap.1))
    }

    /// Waits until it looks at the clock again.
    pub(crate) fn wait_until_back(&self, from: u64) -> io::Result<u64> {
        let begin = Instant::now();
        loop {
            match self.back(from)? {
                Some(back) => return Ok(back),
                None if begin.elapsed() > PATIENCE => return Err(ErrorKind::TimedOut.into()),
                None => thread::sleep(LOOK),
            }
        }
    }

    /// Kills all of its tasks, and waits until they have gone.
    pub(crate) fn kill(&self) -> io::Result<()> {
        // That which did not come to lead a group, or a tree that did not come back, is none.
        let _ = sys::signal(-self.pid, libc::SIGKILL);
        let _ = sys::signal(self.pid, libc::SIGKILL);
        let begin = Instant::now();
        while !sys::reap()? {
            if begin.elapsed() > PATIENCE {
                return Err(io::Error::new(ErrorKind::TimedOut, "tasks do not die"));
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

fn gaps(bytes: &[u8]) -> Vec<(u64, u64)> {
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
    bytes
        .chunks_exact(GAP)
        .map(|gap| (number(&gap[..8]), number(&gap[8..])))
        .filter(|&(_, to)| to != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_pairs_of_numbers() {
        let mut bytes = vec![0; 3 * GAP];
        bytes[GAP..GAP + 8].copy_from_slice(&5u64.to_ne_bytes());
        bytes[GAP + 8..2 * GAP].copy_from_slice(&9u64.to_ne_bytes());
        assert_eq!(gaps(&bytes), [(5, 9)]);
        assert_eq!(gaps(&bytes[..GAP]), []);
    }

    #[test]
    fn names() {
        let name = |kind: Kind| kind.to_string();
        assert_eq!(name(Kind::Resident(2048)), "2 GiB");
        assert_eq!(name(Kind::Resident(512)), "512 MiB");
        assert_eq!(name(Kind::Threads(1)), "1 thread");
        assert_eq!(name(Kind::Processes(200)), "200 processes");
    }
}
