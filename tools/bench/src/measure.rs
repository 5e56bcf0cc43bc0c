// SPDX-License-Identifier: GPL-2.0

//! The runs.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::case::{Case, Process, Target, Work};
use crate::clock::Clock;
use crate::memory;
use crate::stats;
use crate::subject::{Line, Question, Subject};
use crate::sys::{self, Mapping, Ready};

/// Bytes that the other end of a pipe reads or writes at once.
const PIECE: usize = 65536;

/// Time for a process to begin with what it was asked for.
const SETTLE: Duration = Duration::from_millis(2);

/// Exit code of a child that restart(2) came back to. The process that it is to become has others.
const NOT_RESTARTED: i32 = 99;

/// How much is measured.
pub(crate) struct Plan {
    pub(crate) runs: u32,
    /// Calls of each case in a run, unless one takes long.
    pub(crate) calls: u32,
    pub(crate) processes: Vec<Process>,
}

/// Why something was not measured.
pub(crate) enum Failure {
    /// The kernel does not have a call.
    NoCalls(&'static str),
    /// A call did not do what it should.
    Call {
        call: &'static str,
        answer: String,
        /// What the kernel has to say about it.
        log: String,
    },
    /// The time stamp counter does not count instructions.
    Clock {
        shift: u32,
        expected: u64,
        found: u64,
    },
    /// The system refused something that is not measured.
    System(Cow<'static, str>, io::Error),
}

impl Failure {
    /// For `map_err`.
    pub(crate) fn doing(what: impl Into<Cow<'static, str>>) -> impl FnOnce(io::Error) -> Self {
        |error| Failure::System(what.into(), error)
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Call { .. } => 1,
            Failure::Clock { .. } | Failure::System(..) => 3,
            Failure::NoCalls(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoCalls(call) => write!(
                f,
                "this kernel has no {call}: it answers ENOSYS (nothing was measured; \
                 'make bench' boots a kernel that has it)"
            ),
            Failure::Call { call, answer, log } => {
                write!(f, "{call}: {answer}")?;
                log.lines().try_for_each(|line| write!(f, "\n    {line}"))
            }
            Failure::Clock {
                shift,
                expected,
                found,
            } => write!(
                f,
                "{expected} instructions count as {found}: this is no guest of QEMU with \
                 -icount shift={shift}"
            ),
            Failure::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

/// What was measured of one case.
pub(crate) struct Measured {
    pub(crate) case: Case,
    /// Units per call: the median of each run.
    pub(crate) medians: Vec<f64>,
    /// Likewise the mean, which has every interrupt in it.
    pub(crate) means: Vec<f64>,
}

/// What was measured of one process.
pub(crate) struct Lane {
    pub(crate) process: Process,
    pub(crate) cases: Vec<Measured>,
    /// Bytes of its image.
    pub(crate) image: Option<u64>,
    /// Bytes that the kernel took for the checkpoint, in each run.
    pub(crate) held: Vec<f64>,
    /// Why it is not measured any more.
    pub(crate) failure: Option<Failure>,
    subject: Option<Subject>,
}

/// What was measured of all.
pub(crate) struct Measurement {
    pub(crate) plan: Plan,
    pub(crate) unit: &'static str,
    pub(crate) string: Option<u64>,
    pub(crate) lanes: Vec<Lane>,
}

pub(crate) fn run(clock: &Clock, plan: Plan) -> Result<Measurement, Failure> {
    if let Some(call) = sys::missing() {
        return Err(Failure::NoCalls(call));
    }
    let bench = Bench::new(clock)?;
    let mut lanes: Vec<Lane> = plan
        .processes
        .iter()
        .map(|&process| Lane::start(process, clock))
        .collect();

    // The first run warms everything up.
    for run in 0..=plan.runs {
        eprintln!("ckpt_bench: run {run} of {}", plan.runs);
        for lane in &mut lanes {
            lane.run(&bench, plan.calls, run > 0);
        }
    }
    Ok(Measurement {
        plan,
        unit: clock.unit(),
        string: clock.string(),
        lanes,
    })
}

impl Lane {
    fn start(process: Process, clock: &Clock) -> Self {
        let started = Subject::start(process, clock.counter())
            .map_err(Failure::doing("start a process to be measured"));
        let (subject, failure) = match started {
            Ok(subject) => (Some(subject), None),
            Err(failure) => (None, Some(failure)),
        };

        Lane {
            process,
            cases: Vec::new(),
            image: None,
            held: Vec::new(),
            failure,
            subject,
        }
    }

    /// One run. After a failure the process is gone, and what was measured before stays.
    fn run(&mut self, bench: &Bench<'_>, calls: u32, counts: bool) {
        let Some(mut subject) = self.subject.take() else {
            return;
        };
        match self.try_run(bench, &mut subject, calls, counts) {
            Ok(()) => self.subject = Some(subject),
            Err(failure) => {
                eprintln!("ckpt_bench: {}: {failure}", self.process);
                self.failure = Some(failure);
            }
        }
    }

    fn try_run(
        &mut self,
        bench: &Bench<'_>,
        subject: &mut Subject,
        calls: u32,
        counts: bool,
    ) -> Result<(), Failure> {
        let calls = if self.process.is_slow() { 1 } else { calls };
        let mut figures: Vec<(Work, Vec<f64>)> = Vec::new();

        for _ in 0..calls {
            let round = bench.round(subject, self.process.has_streams())?;
            self.image = Some(round.image);
            for (work, figure) in round.figures {
                match figures.iter_mut().find(|(known, _)| *known == work) {
                    Some((_, figures)) => figures.push(figure),
                    None => figures.push((work, vec![figure])),
                }
            }
        }
        let held = if self.process.is_slow() {
            Some(bench.held(subject)?)
        } else {
            None
        };
        if counts {
            self.held.extend(held);
            for (work, figures) in figures {
                self.add(work, figures);
            }
        }
        Ok(())
    }

    /// Adds what one run has of a case.
    #[allow(clippy::cast_precision_loss)] // a few calls
    fn add(&mut self, work: Work, mut figures: Vec<f64>) {
        let case = Case {
            process: self.process,
            work,
        };
        let known = self.cases.iter().position(|known| known.case == case);
        let at = known.unwrap_or_else(|| {
            self.cases.push(Measured {
                case,
                medians: Vec::new(),
                means: Vec::new(),
            });
            self.cases.len() - 1
        });
        let measured = &mut self.cases[at];

        let mean = figures.iter().sum::<f64>() / figures.len() as f64;
        measured.means.push(mean);
        measured.medians.extend(stats::median(&mut figures));
    }
}

/// What each case gave once, for one process.
struct Round {
    figures: Vec<(Work, f64)>,
    image: u64,
}

/// The file that the kernel writes its reasons to.
struct Log(File);

impl Log {
    fn new() -> io::Result<Self> {
        sys::memfd(c"log").map(Log)
    }

    fn clear(&self) -> io::Result<()> {
        self.0.set_len(0)?;
        (&self.0).rewind()
    }

    fn text(&self) -> String {
        let mut text = Vec::new();

        // What there is, is shown; that reading it failed would hide why it is read.
        let _ = (&self.0).rewind();
        let _ = (&self.0).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn failed(&self, call: &'static str, answer: String) -> Failure {
        Failure::Call {
            call,
            answer,
            log: self.text(),
        }
    }
}

/// What the cases need.
struct Bench<'a> {
    clock: &'a Clock,
    /// Images go here and come from here. It never gets shorter, so that its pages are there from
    /// the second time on: what is compared is the copying.
    file: File,
    log: Log,
    /// When restart(2) was called, as the restarter tells; the errno if that failed.
    begun: &'static AtomicU64,
}

impl<'a> Bench<'a> {
    fn new(clock: &'a Clock) -> Result<Self, Failure> {
        Ok(Bench {
            clock,
            file: sys::memfd(c"image").map_err(Failure::doing("memfd_create"))?,
            log: Log::new().map_err(Failure::doing("memfd_create"))?,
            begun: sys::shared_number().map_err(Failure::doing("mmap"))?,
        })
    }

    /// All cases of one process, one after the other.
    fn round(&self, subject: &mut Subject, streams: bool) -> Result<Round, Failure> {
        let mut figures = vec![
            (Work::Fork, self.ask(subject, Question::Fork)?),
            (Work::Exec, self.ask(subject, Question::Exec)?),
            (Work::Stop, self.stop(subject)?),
        ];

        let file = Target::Tmpfs;
        figures.push((
            Work::Checkpoint(file),
            self.checkpoint(subject, &self.rewound()?)?,
        ));
        let image = (&self.file)
            .stream_position()
            .map_err(Failure::doing("lseek"))?;
        let len = usize::try_from(image).unwrap_or(usize::MAX);

        let (read, bytes) = self.read(&self.rewound()?, len)?;
        figures.push((Work::Read(file), read));
        // The bytes stay as they are, so that they can be restarted from afterwards.
        figures.push((Work::Write(file), self.write(&self.rewound()?, &bytes)?));
        if streams {
            let pipe = Target::Pipe;
            figures.extend([
                (
                    Work::Checkpoint(pipe),
                    emptied_pipe(|pipe| self.checkpoint(subject, pipe))?,
                ),
                (
                    Work::Write(pipe),
                    emptied_pipe(|pipe| self.write(pipe, &bytes))?,
                ),
            ]);
        }
        // What restarts is a copy of this process, which is to be small.
        drop(bytes);

        figures.push((Work::Restart(file), self.restart(self.rewound()?)?));
        if streams {
            let pipe = Target::Pipe;
            let (read, bytes) = self.filled_pipe(len, |pipe| self.read(&pipe, len))?;
            drop(bytes);
            figures.extend([
                (Work::Read(pipe), read),
                (
                    Work::Restart(pipe),
                    self.filled_pipe(len, |pipe| self.restart(pipe))?,
                ),
            ]);
        }
        Ok(Round { figures, image })
    }

    /// Asks for something that the process itself measures.
    fn ask(&self, subject: &mut Subject, question: Question) -> Result<f64, Failure> {
        let ticks = subject
            .line
            .ask(question)
            .map_err(Failure::doing("ask the process"))?;
        Ok(self.clock.units(ticks))
    }

    /// Does something, and tells how many units it took.
    fn time<T>(&self, work: impl FnOnce() -> T) -> (f64, T) {
        let counter = self.clock.counter();
        let begin = counter.now();
        let done = work();
        let end = counter.now();

        (self.clock.units(end.wrapping_sub(begin)), done)
    }

    fn checkpoint(&self, subject: &Subject, to: &File) -> Result<f64, Failure> {
        self.log.clear().map_err(Failure::doing("empty the log"))?;
        let (taken, done) =
            self.time(|| sys::checkpoint(subject.pid(), to.as_fd(), self.log.0.as_fd()));
        done.map_err(|error| self.log.failed("checkpoint(2)", error.to_string()))?;
        Ok(taken)
    }

    /// How long the process does not run for a checkpoint, by its own clock.
    fn stop(&self, subject: &mut Subject) -> Result<f64, Failure> {
        self.ask(subject, Question::Spin)?;
        thread::sleep(SETTLE);
        let file = self.rewound()?;
        let begin = self.clock.counter().now();
        self.checkpoint(subject, &file)?;
        let end = self.clock.counter().now();

        let longest = subject.line.tell_span(begin, end);
        let longest = longest.map_err(Failure::doing("ask the process"))?;
        Ok(self.clock.units(longest))
    }

    /// Reads into memory that is mapped for it.
    fn read(&self, mut from: &File, len: usize) -> Result<(f64, Mapping), Failure> {
        let (taken, bytes) = self.time(|| {
            let mut bytes = Mapping::new(len)?;
            from.read_exact(&mut bytes).map(|()| bytes)
        });
        let bytes = bytes.map_err(Failure::doing("read an image"))?;
        Ok((taken, bytes))
    }

    fn write(&self, mut to: &File, bytes: &Mapping) -> Result<f64, Failure> {
        let (taken, done) = self.time(|| to.write_all(bytes));
        done.map_err(Failure::doing("write an image"))?;
        Ok(taken)
    }

    /// From the call of restart(2) until the process goes on.
    fn restart(&self, image: File) -> Result<f64, Failure> {
        self.log.clear().map_err(Failure::doing("empty the log"))?;
        let (stdin, to) = sys::pipe().map_err(Failure::doing("pipe"))?;
        let (from, stdout) = sys::pipe().map_err(Failure::doing("pipe"))?;
        let mut line = Line::new(to, from);
        // What the process waits for is there before it is.
        line.send(Question::Now)
            .map_err(Failure::doing("write to a pipe"))?;

        let Some(pid) = sys::fork().map_err(Failure::doing("fork"))? else {
            self.become_subject(&image, &stdin, &stdout);
        };
        // Whoever is at the other ends gets to know when the child has ended.
        drop((image, stdin, stdout));

        let end = restarted(&mut line);
        if end.is_err() {
            sys::kill(pid);
        }
        drop(line);
        let status = sys::wait(pid).map_err(Failure::doing("wait for the process"))?;
        let wrong = match (end, status.code()) {
            (Ok(end), Some(0)) => {
                let begin = self.begun.load(Ordering::Relaxed);
                return Ok(self.clock.units(end.wrapping_sub(begin)));
            }
            (Err(_), Some(NOT_RESTARTED)) => {
                match i32::try_from(self.begun.load(Ordering::Relaxed)) {
                    Ok(errno) if errno > 0 => io::Error::from_raw_os_error(errno).to_string(),
                    _ => "it came back without an error".to_owned(),
                }
            }
            (Err(error), _) => format!("the process does not go on: {error} ({status})"),
            (Ok(_), _) => format!("the process ended with {status}"),
        };
        Err(self.log.failed("restart(2)", wrong))
    }

    /// What the child does: it becomes what the image holds, or leaves the errno behind.
    fn become_subject(&self, image: &File, stdin: &File, stdout: &File) -> ! {
        let counter = self.clock.counter();
        let done = sys::dup_to(stdin.as_fd(), 0)
            .and_then(|()| sys::dup_to(stdout.as_fd(), 1))
            .and_then(|()| {
                self.begun.store(counter.now(), Ordering::Relaxed);
                sys::restart(image.as_fd(), self.log.0.as_fd())
            });
        let errno = done.err().and_then(|error| error.raw_os_error());
        self.begun
            .store(errno.unwrap_or(0).unsigned_abs().into(), Ordering::Relaxed);
        sys::leave(NOT_RESTARTED)
    }

    /// Bytes that the kernel has taken while it writes an image.
    ///
    /// A pipe that nobody reads from stops it at a point where it knows all that is to be written.
    /// Whatever else happens on the machine is in the figure, too.
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    fn held(&self, subject: &Subject) -> Result<f64, Failure> {
        self.log.clear().map_err(Failure::doing("empty the log"))?;
        let (reader, writer) = sys::pipe().map_err(Failure::doing("pipe"))?;
        let full = writer.try_clone().map_err(Failure::doing("dup"))?;
        let (pid, log) = (subject.pid(), &self.log.0);
        let before = memory::free().map_err(Failure::doing("read /proc/zoneinfo"))?;

        let (after, done) = thread::scope(|scope| {
            let call = scope.spawn(move || sys::checkpoint(pid, writer.as_fd(), log.as_fd()));
            while !call.is_finished() && sys::poll(full.as_fd(), Ready::Write, 0).unwrap_or(false) {
                thread::sleep(Duration::from_millis(1));
            }
            let after = memory::free();
            drop(full);
            let drained = drain(&reader);
            (after, joined(call.join()).and(drained))
        });
        done.map_err(|error| self.log.failed("checkpoint(2)", error.to_string()))?;
        let after = after.map_err(Failure::doing("read /proc/zoneinfo"))?;
        Ok((before - after) as f64)
    }

    /// The file, at its beginning.
    fn rewound(&self) -> Result<File, Failure> {
        (&self.file).rewind().map_err(Failure::doing("lseek"))?;
        self.file.try_clone().map_err(Failure::doing("dup"))
    }

    /// Has something read an image of `len` bytes from a pipe that another thread fills.
    fn filled_pipe<T>(
        &self,
        len: usize,
        work: impl FnOnce(File) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (reader, writer) = sys::pipe().map_err(Failure::doing("pipe"))?;
        let image = &self.file;

        thread::scope(|scope| {
            let feeder = scope.spawn(move || feed(image, len, &writer));
            let done = work(reader);
            let fed = joined(feeder.join()).map_err(Failure::doing("write to a pipe"));
            // That nobody read it all is for the reader to explain.
            done.and_then(|done| fed.map(|()| done))
        })
    }
}

/// What the process that has been brought back tells: when it went on.
fn restarted(line: &mut Line) -> io::Result<u64> {
    let end = line.receive()?;

    // Figures of a process that is not what it was are worth nothing.
    match line.ask(Question::Check)? {
        1 => Ok(end),
        _ => Err(io::Error::other("its memory is not what it was")),
    }
}

/// Has something write to a pipe that another thread empties.
fn emptied_pipe<T>(work: impl FnOnce(&File) -> Result<T, Failure>) -> Result<T, Failure> {
    let (reader, writer) = sys::pipe().map_err(Failure::doing("pipe"))?;

    thread::scope(|scope| {
        let drainer = scope.spawn(move || drain(&reader));
        let done = work(&writer);
        drop(writer);
        let emptied = joined(drainer.join()).map_err(Failure::doing("read from a pipe"));
        done.and_then(|done| emptied.map(|()| done))
    })
}

/// What a thread returned.
fn joined(result: thread::Result<io::Result<()>>) -> io::Result<()> {
    result.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
}

/// Reads a pipe to its end.
fn drain(mut reader: &File) -> io::Result<()> {
    let mut piece = vec![0; PIECE];

    while reader.read(&mut piece)? > 0 {}
    Ok(())
}

/// Writes the first `len` bytes of a file to a pipe.
fn feed(image: &File, len: usize, mut writer: &File) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;

    while at < len {
        let piece = &mut piece[..PIECE.min(len - at)];
        image.read_exact_at(piece, at as u64)?;
        writer.write_all(piece)?;
        at += piece.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(clock: &Clock, len: usize) -> Bench<'_> {
        let bench = Bench::new(clock).ok().unwrap();
        let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
        bench.file.write_all_at(&bytes, 0).unwrap();
        bench
    }

    /// Everything but the two calls themselves works on any kernel.
    #[test]
    fn bytes_pass_through_files_and_pipes() {
        let clock = Clock::time();
        let len = 3 * PIECE + 5;
        let bench = bench(&clock, len);

        for _ in 0..2 {
            let (_, read) = bench
                .read(&bench.rewound().ok().unwrap(), len)
                .ok()
                .unwrap();
            let (_, piped) = bench
                .filled_pipe(len, |pipe| bench.read(&pipe, len))
                .ok()
                .unwrap();
            assert!(read[..] == piped[..]);
            assert_eq!(usize::from(read[len - 1]), (len - 1) % 251);
            bench
                .write(&bench.rewound().ok().unwrap(), &piped)
                .ok()
                .unwrap();
            emptied_pipe(|pipe| bench.write(pipe, &read)).ok().unwrap();
        }
    }

    #[test]
    fn a_reader_that_stops_is_the_one_to_explain() {
        let clock = Clock::time();
        let len = 64 * PIECE;
        let bench = bench(&clock, len);

        let failed = bench.filled_pipe(len, |pipe| -> Result<(), Failure> {
            drop(pipe);
            Err(bench.log.failed("restart(2)", "no".into()))
        });
        assert!(matches!(
            failed,
            Err(Failure::Call {
                call: "restart(2)",
                ..
            })
        ));
    }

    #[test]
    fn log_is_shown_with_the_failure() {
        let log = Log::new().unwrap();
        (&log.0).write_all(b"of before").unwrap();
        log.clear().unwrap();
        (&log.0).write_all(b"task 4 (a): fd 7: no\nand no").unwrap();

        let failure = log.failed("checkpoint(2)", "refused".into());
        assert_eq!(
            failure.to_string(),
            "checkpoint(2): refused\n    task 4 (a): fd 7: no\n    and no"
        );
        assert_eq!(failure.exit_code(), 1);
    }
}
