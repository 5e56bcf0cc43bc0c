// SPDX-License-Identifier: GPL-2.0

//! The process that is measured: this program again, with an option that is not for people.
//!
//! It has one thread, a session of its own, nothing open but the standard streams, and memory of a
//! given layout. It waits in read(2) of its standard input for a question of one byte, and answers
//! on its standard output with a number of eight. A process that restart(2) has brought back is in
//! the same place, and finds its question in the pipe that the restarter has for it.

use std::env;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, Command, ExitCode, Stdio};

use crate::case::{Layout, Process, PAGE};
use crate::clock::Counter;
use crate::sys::{self, Mapping, Ready};

/// First argument of such a process. Without further arguments it ends at once.
pub(crate) const OPTION: &str = "--subject";

/// Milliseconds that an answer may take.
const PATIENCE: i32 = 300_000;

/// Ticks between two looks at the clock that are worth noting.
const GAP_LEAST: u64 = 2_000;

/// Looks at the clock between two looks at standard input.
const SPINS: u32 = 4096;

/// Ticks after which nobody is waiting for the end of [`Question::Spin`] any more.
const SPIN_LIMIT: u64 = 600_000_000_000;

/// What a process can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Question {
    /// What does the clock say?
    Now = b'n',
    /// What does a fork(2) take, with a child that exits?
    Fork = b'f',
    /// What does it take if the child executes the program?
    Exec = b'e',
    /// Answers at once, then looks at the clock until it is told a span of time: two numbers. The
    /// answer to that is the longest time between two looks that falls into the span or touches it.
    Spin = b's',
    /// Is the memory as it was written? 1 if it is.
    Check = b'c',
}

impl Question {
    fn of(byte: u8) -> Option<Self> {
        [Self::Now, Self::Fork, Self::Exec, Self::Spin, Self::Check]
            .into_iter()
            .find(|&question| question as u8 == byte)
    }
}

/// The two pipes to a process.
pub(crate) struct Line {
    to: File,
    from: File,
}

impl Line {
    pub(crate) fn new(to: File, from: File) -> Self {
        Line { to, from }
    }

    pub(crate) fn send(&mut self, question: Question) -> io::Result<()> {
        self.to.write_all(&[question as u8])
    }

    pub(crate) fn receive(&mut self) -> io::Result<u64> {
        let mut answer = [0; 8];

        if !sys::poll(self.from.as_fd(), Ready::Read, PATIENCE)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.from.read_exact(&mut answer)?;
        Ok(u64::from_ne_bytes(answer))
    }

    /// Tells a process that was asked to [`Question::Spin`] what it wants to know.
    pub(crate) fn tell_span(&mut self, from: u64, to: u64) -> io::Result<u64> {
        let mut span = [0; 16];
        span[..8].copy_from_slice(&from.to_ne_bytes());
        span[8..].copy_from_slice(&to.to_ne_bytes());

        // In one piece, which is all there once any of it is.
        self.to.write_all(&span)?;
        self.receive()
    }

    pub(crate) fn ask(&mut self, question: Question) -> io::Result<u64> {
        self.send(question)?;
        self.receive()
    }
}

/// A process as the benchmark has it. It is killed when this is dropped.
pub(crate) struct Subject {
    child: Child,
    pub(crate) line: Line,
}

impl Subject {
    /// Starts a process, and waits until it has its memory.
    pub(crate) fn start(process: Process, counter: Counter) -> io::Result<Self> {
        let Layout { pages, step } = process.layout();
        let mut child = Command::new(env::current_exe()?)
            .args([
                OPTION,
                &pages.to_string(),
                &step.to_string(),
                counter.name(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (to, from) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        let mut subject = Subject {
            child,
            line: Line::new(OwnedFd::from(to).into(), OwnedFd::from(from).into()),
        };

        subject.line.ask(Question::Now)?;
        Ok(subject)
    }

    pub(crate) fn pid(&self) -> i32 {
        // A pid has been a positive int before std made it unsigned.
        i32::try_from(self.child.id()).unwrap_or(i32::MAX)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Either fails only if the process has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What such a process does, from its beginning to its end.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    if args.is_empty() {
        return ExitCode::SUCCESS;
    }
    // Standard error leads nowhere; the exit code is for who looks closely.
    let Some((layout, counter)) = parse(&args) else {
        return ExitCode::from(2);
    };
    match serve(layout, counter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(3),
    }
}

fn parse(args: &[OsString]) -> Option<(Layout, Counter)> {
    let [pages, step, counter] = args else {
        return None;
    };
    let layout = Layout {
        pages: pages.to_str()?.parse().ok()?,
        step: step.to_str()?.parse().ok()?,
    };
    Some((layout, Counter::named(counter.to_str()?)?))
}

/// Answers questions until there are no more.
fn serve(layout: Layout, counter: Counter) -> io::Result<()> {
    let (mut stdin, mut stdout) = sys::stand_alone()?;
    let program = CString::new(env::current_exe()?.into_os_string().into_vec())?;
    let memory = Memory::new(layout)?;
    let mut byte = [0];

    // Not read_exact(), which would hide an EINTR that should not be.
    while stdin.read(&mut byte)? == 1 {
        let now = counter.now();
        let answer = match Question::of(byte[0]) {
            Some(Question::Now) => now,
            Some(Question::Fork) => fork(counter, || sys::leave(0))?,
            Some(Question::Exec) => fork(counter, || {
                sys::execute(&program, &[&program, c"--subject"]);
                sys::leave(1)
            })?,
            Some(Question::Spin) => spin(counter, &mut stdin, &mut stdout)?,
            Some(Question::Check) => memory.is_intact().into(),
            None => return Err(io::ErrorKind::InvalidData.into()),
        };
        stdout.write_all(&answer.to_ne_bytes())?;
    }
    Ok(())
}

/// Ticks from before fork(2) until the child has been waited for.
fn fork(counter: Counter, child: impl FnOnce() -> io::Error) -> io::Result<u64> {
    let begin = counter.now();
    let Some(pid) = sys::fork()? else {
        return Err(child());
    };
    let status = sys::wait(pid)?;
    let end = counter.now();

    if !status.success() {
        return Err(io::Error::other(status.to_string()));
    }
    Ok(end.wrapping_sub(begin))
}

fn spin(counter: Counter, stdin: &mut File, stdout: &mut File) -> io::Result<u64> {
    let begin = counter.now();
    stdout.write_all(&begin.to_ne_bytes())?;

    let mut gaps = Gaps::from(begin);
    while sys::readable(stdin.as_fd())? == 0 && gaps.last.saturating_sub(begin) < SPIN_LIMIT {
        for _ in 0..SPINS {
            gaps.look(counter.now());
        }
    }
    gaps.look(counter.now());

    let mut span = [0; 16];
    stdin.read_exact(&mut span)?;
    let (from, to) = span.split_at(8);
    let [from, to] = [from, to].map(|half| half.try_into().map_or(0, u64::from_ne_bytes));
    Ok(gaps.longest_in(from, to))
}

/// When the clock was not looked at, from a first look on.
struct Gaps {
    last: u64,
    /// From and to.
    gaps: Vec<(u64, u64)>,
}

impl Gaps {
    fn from(last: u64) -> Self {
        Gaps {
            last,
            gaps: Vec::new(),
        }
    }

    fn look(&mut self, now: u64) {
        if now.saturating_sub(self.last) > GAP_LEAST {
            self.gaps.push((self.last, now));
        }
        self.last = now;
    }

    /// The longest of those that have something in common with a span of time.
    fn longest_in(&self, from: u64, to: u64) -> u64 {
        let common = self.gaps.iter().filter(|gap| gap.0 < to && from < gap.1);
        common.map(|gap| gap.1 - gap.0).max().unwrap_or(0)
    }
}

/// Memory of a layout, and what is in it.
struct Memory {
    mapping: Mapping,
    layout: Layout,
}

impl Memory {
    fn new(layout: Layout) -> io::Result<Self> {
        let len = layout.pages.checked_mul(layout.step);
        let len = len.ok_or(io::ErrorKind::InvalidInput)?;
        let mut mapping = if layout.step > PAGE {
            Mapping::sparse(len)?
        } else {
            Mapping::new(len)?
        };

        for page in 0..layout.pages {
            mapping[page * layout.step..][..PAGE].fill(Self::content(page));
        }
        Ok(Memory { mapping, layout })
    }

    /// What the bytes of a page are: not 0, and not what those of its neighbours are.
    fn content(page: usize) -> u8 {
        u8::try_from(page % 251 + 1).unwrap_or(u8::MAX)
    }

    fn is_intact(&self) -> bool {
        (0..self.layout.pages).all(|page| {
            let bytes = &self.mapping[page * self.layout.step..][..PAGE];
            bytes[0] == Self::content(page) && bytes[PAGE - 1] == Self::content(page)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_one_byte() {
        assert_eq!(Question::of(b's'), Some(Question::Spin));
        assert_eq!(Question::of(Question::Check as u8), Some(Question::Check));
        assert_eq!(Question::of(0), None);
    }

    #[test]
    fn gaps_that_touch_a_span() {
        let mut gaps = Gaps::from(10_000);
        for look in [10_100, 60_000, 60_100, 90_000, 90_100, 100_000] {
            gaps.look(look);
        }
        assert_eq!(gaps.gaps.len(), 3);
        assert_eq!(gaps.longest_in(0, 200_000), 49_900);
        assert_eq!(gaps.longest_in(60_000, 89_999), 29_900);
        assert_eq!(gaps.longest_in(90_000, 91_000), 9_900);
        assert_eq!(gaps.longest_in(60_000, 60_050), 0);
    }

    #[test]
    fn arguments() {
        let args = |args: &[&str]| parse(&args.iter().map(OsString::from).collect::<Vec<_>>());
        let layout = Layout {
            pages: 3,
            step: 8192,
        };
        assert_eq!(
            args(&["3", "8192", "stamp"]),
            Some((layout, Counter::Stamp))
        );
        assert_eq!(args(&["3", "8192"]), None);
        assert_eq!(args(&["-3", "8192", "stamp"]), None);
        assert_eq!(args(&["3", "8192", "sundial"]), None);
    }

    #[test]
    fn memory_keeps_what_was_written() {
        for step in [PAGE, 1 << 30] {
            let mut memory = Memory::new(Layout { pages: 300, step }).unwrap();
            assert!(memory.is_intact());
            memory.mapping[299 * step] = 0;
            assert!(!memory.is_intact());
        }
        assert!(Memory::new(Process::Minimal.layout()).unwrap().is_intact());
        let all = Layout {
            pages: usize::MAX,
            step: PAGE,
        };
        assert!(Memory::new(all).is_err());
    }
}
