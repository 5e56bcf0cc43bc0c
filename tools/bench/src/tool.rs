// SPDX-License-Identifier: GPL-2.0

//! The two commands that save a process and bring it back, and one round of either.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::Failure;
use crate::sys;
use crate::workload::{Kind, Programs, Workload};

/// Time for a workload to be nothing but one that looks at the clock.
const SETTLE: Duration = Duration::from_millis(50);

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often to look whether a workload is back.
const LOOK: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Ckpt,
    Criu,
}

impl Tool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Ckpt => "ckpt",
            Tool::Criu => "CRIU",
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// The longest time that the workload does not look at the clock while it is saved.
    Stop,
    /// The command that saves it, which goes on.
    Save,
    /// checkpoint(2), as ckpt tells.
    Call,
    /// From the beginning of the command that brings it back until it looks at the clock again.
    Restart,
    /// From the call of restart(2) until it looks at the clock again.
    RestartCall,
    /// The command that brings it back and leaves it alone.
    Restore,
    /// Bytes of the image.
    Image,
    /// write(2) of its memory to a new file.
    Write,
}

impl Metric {
    pub(crate) const ALL: [Metric; 8] = [
        Metric::Stop,
        Metric::Save,
        Metric::Call,
        Metric::Restart,
        Metric::RestartCall,
        Metric::Restore,
        Metric::Image,
        Metric::Write,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Metric::Stop => "stop",
            Metric::Save => "save",
            Metric::Call => "checkpoint(2)",
            Metric::Restart => "restart",
            Metric::RestartCall => "restart(2)",
            Metric::Restore => "restore command",
            Metric::Image => "image",
            Metric::Write => "write(2)",
        }
    }
}

/// What one round gave: nanoseconds, and bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample(pub(crate) Vec<(Metric, f64)>);

impl Sample {
    pub(crate) fn get(&self, metric: Metric) -> Option<f64> {
        let found = self.0.iter().find(|(known, _)| *known == metric);
        found.map(|&(_, figure)| figure)
    }
}

/// What a round needs.
pub(crate) struct Ground {
    pub(crate) programs: Programs,
    pub(crate) ckpt: PathBuf,
    /// Nothing, if it is not measured.
    pub(crate) criu: PathBuf,
    /// Where images are made; in tmpfs.
    pub(crate) folder: PathBuf,
    /// When restart(2) was called, as the restarter tells, and the errno if that failed.
    begun: &'static AtomicU64,
    errno: &'static AtomicU64,
}

/// A command that has come to its end.
struct Ran {
    begin: u64,
    end: u64,
    output: String,
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
fn span(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64
}

impl Ground {
    /// Sees to it that all can be done that is to be.
    pub(crate) fn new(
        programs: Programs,
        ckpt: PathBuf,
        criu: PathBuf,
        folder: PathBuf,
    ) -> Result<Self, Failure> {
        if let Some(call) = sys::missing() {
            return Err(Failure::NoCalls(call));
        }
        // Whoever is left alone is ours to wait for.
        sys::adopt_orphans().map_err(Failure::doing("prctl"))?;
        fs::create_dir_all(&folder).map_err(Failure::doing("make the folder of images"))?;
        let tmpfs = sys::is_tmpfs(&folder).map_err(Failure::doing("statfs"))?;
        if !tmpfs {
            return Err(Failure::System(
                folder.display().to_string().into(),
                io::Error::other("images are to be in tmpfs"),
            ));
        }
        // Pids are used again and again: none is to be taken when it is wanted back. Where the
        // limit is beyond us, it stays.
        let _ = fs::write("/proc/sys/kernel/pid_max", "4194304");
        Ok(Ground {
            programs,
            ckpt,
            criu,
            folder,
            begun: sys::shared_number().map_err(Failure::doing("mmap"))?,
            errno: sys::shared_number().map_err(Failure::doing("mmap"))?,
        })
    }

    /// Starts a workload, saves it, kills it, and brings it back.
    pub(crate) fn round(&self, tool: Tool, kind: Kind) -> Result<Sample, Failure> {
        let images = self.folder.join("images");
        let _ = fs::remove_dir_all(&images);
        fs::create_dir_all(&images).map_err(Failure::doing("make a folder"))?;
        let workload = Workload::start(&self.programs, kind, &self.folder.join("board"))
            .map_err(Failure::doing("start the workload"))?;

        let sample = self.measured(tool, kind, &workload, &images);
        let killed = workload.kill().map_err(Failure::doing("end the workload"));
        let removed = fs::remove_dir_all(&images).map_err(Failure::doing("remove the images"));
        let sample = sample?;
        killed.and(removed).map(|()| sample)
    }

    fn measured(
        &self,
        tool: Tool,
        kind: Kind,
        workload: &Workload,
        images: &Path,
    ) -> Result<Sample, Failure> {
        let ask = || Failure::doing("ask the workload");
        let mut sample = Sample::default();

        workload.check().map_err(ask())?;
        if kind.is_written() && tool == Tool::Ckpt {
            sample
                .0
                .push((Metric::Write, workload.write().map_err(ask())?));
        }
        workload.clear().map_err(ask())?;
        thread::sleep(SETTLE);

        let saved = self.save(tool, workload.pid, images)?;
        thread::sleep(SETTLE);
        let stop = workload.longest_in(saved.begin, saved.end).map_err(ask())?;
        let image = size_of(images).map_err(Failure::doing("look at the image"))?;
        sample.0.extend([
            (Metric::Stop, span(0, stop)),
            (Metric::Save, span(saved.begin, saved.end)),
            (Metric::Image, span(0, image)),
        ]);
        if tool == Tool::Ckpt {
            let call = seconds_of_call(&saved.output).ok_or_else(|| Failure::Call {
                call: "ckpt checkpoint",
                answer: "it does not tell how long the call took".into(),
                log: saved.output,
            })?;
            sample.0.push((Metric::Call, call * 1e9));
        }

        workload
            .kill()
            .map_err(Failure::doing("end the workload"))?;
        workload.clear().map_err(ask())?;
        let restored = self.restore(tool, images)?;
        let back = workload.wait_until_back(restored.begin).map_err(ask())?;
        workload.check().map_err(ask())?;
        sample.0.extend([
            (Metric::Restart, span(restored.begin, back)),
            (Metric::Restore, span(restored.begin, restored.end)),
        ]);
        if tool == Tool::Ckpt {
            workload
                .kill()
                .map_err(Failure::doing("end the workload"))?;
            workload.clear().map_err(ask())?;
            let away = self.call_restart(workload, images)?;
            workload.check().map_err(ask())?;
            sample.0.push((Metric::RestartCall, away));
        }
        Ok(sample)
    }

    /// Has a child call restart(2), and waits until the workload goes on.
    fn call_restart(&self, workload: &Workload, images: &Path) -> Result<f64, Failure> {
        let image = File::open(images.join("image")).map_err(Failure::doing("open the image"))?;
        let log = sys::memfd(c"log").map_err(Failure::doing("memfd_create"))?;
        self.begun.store(0, Ordering::Relaxed);
        self.errno.store(0, Ordering::Relaxed);

        if sys::fork_as(workload.pid).map_err(Failure::doing("clone3"))? {
            let done = sys::new_session().and_then(|()| {
                self.begun.store(sys::wall_clock(), Ordering::Relaxed);
                sys::restart(image.as_fd(), log.as_fd())
            });
            let errno = done.err().and_then(|error| error.raw_os_error());
            self.errno
                .store(errno.unwrap_or(0).unsigned_abs().into(), Ordering::Relaxed);
            sys::leave(1);
        }
        let started = Instant::now();
        loop {
            let begin = self.begun.load(Ordering::Relaxed);
            if begin != 0 {
                let back = workload.back(begin);
                if let Some(back) = back.map_err(Failure::doing("ask the workload"))? {
                    return Ok(span(begin, back));
                }
            }
            if sys::has_ended(workload.pid).map_err(Failure::doing("wait for a process"))? {
                let errno = i32::try_from(self.errno.load(Ordering::Relaxed)).unwrap_or(0);
                return Err(Failure::Call {
                    call: "restart(2)",
                    answer: io::Error::from_raw_os_error(errno).to_string(),
                    log: text_of(log),
                });
            }
            if started.elapsed() > PATIENCE {
                return Err(Failure::Call {
                    call: "restart(2)",
                    answer: "the process does not go on".into(),
                    log: text_of(log),
                });
            }
            thread::sleep(LOOK);
        }
    }

    fn save(&self, tool: Tool, pid: i32, images: &Path) -> Result<Ran, Failure> {
        let pid = pid.to_string();
        match tool {
            Tool::Ckpt => {
                let mut command = Command::new(&self.ckpt);
                command.args(["checkpoint", "--json", "--output"]);
                command.arg(images.join("image")).arg(pid);
                self.run(command, "ckpt checkpoint", None)
            }
            Tool::Criu => {
                let mut command = self.criu("dump", images);
                command.args(["--leave-running", "--tree", &pid]);
                self.run(command, "criu dump", Some(images))
            }
        }
    }

    fn restore(&self, tool: Tool, images: &Path) -> Result<Ran, Failure> {
        match tool {
            Tool::Ckpt => {
                let mut command = Command::new(&self.ckpt);
                command.args(["restart", "--detach"]);
                command.arg(images.join("image"));
                self.run(command, "ckpt restart", None)
            }
            Tool::Criu => {
                let mut command = self.criu("restore", images);
                command.arg("--restore-detached");
                self.run(command, "criu restore", Some(images))
            }
        }
    }

    /// CRIU, so that it does no more than it has to.
    fn criu(&self, what: &str, images: &Path) -> Command {
        let mut command = Command::new(&self.criu);
        command.arg(what);
        command.args(["--manage-cgroups=ignore", "-v1", "--log-file", "log"]);
        command.arg("--images-dir").arg(images);
        command
    }

    /// Runs a command to its end.
    fn run(
        &self,
        mut command: Command,
        call: &'static str,
        log: Option<&Path>,
    ) -> Result<Ran, Failure> {
        // No pipes: whoever is brought back could have them open.
        let path = self.folder.join("output");
        let output = File::create(&path).map_err(Failure::doing("make a file"))?;
        let other = output.try_clone().map_err(Failure::doing("dup"))?;
        command.stdin(Stdio::null()).stdout(output).stderr(other);
        command.current_dir("/");

        let begin = sys::wall_clock();
        let mut child = command.spawn().map_err(Failure::doing(call))?;
        let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
        let (done, ends) = mpsc::channel::<()>();
        let guard = thread::spawn(move || {
            if ends.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                sys::kill(pid);
            }
        });
        let status = child.wait();
        let end = sys::wall_clock();
        drop(done);
        // It does nothing that could panic.
        let _ = guard.join();
        let status = status.map_err(Failure::doing(call))?;

        let mut output = fs::read_to_string(&path).unwrap_or_default();
        if status.success() {
            return Ok(Ran { begin, end, output });
        }
        if let Some(images) = log {
            output += &fs::read_to_string(images.join("log")).unwrap_or_default();
        }
        Err(Failure::Call {
            call,
            answer: status.to_string(),
            log: last_lines(&output, 30),
        })
    }
}

/// Bytes of all files in a folder, but for what is there for people.
fn size_of(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;

    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != OsStr::new("log") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// How long checkpoint(2) took, of what `ckpt checkpoint --json` says.
fn seconds_of_call(output: &str) -> Option<f64> {
    let report: serde_json::Value = serde_json::from_str(output).ok()?;
    report.get("seconds")?.as_f64()
}

/// All of a file, from its beginning.
fn text_of(mut file: File) -> String {
    let mut text = Vec::new();

    // What there is, is shown; that reading it failed would hide why it is read.
    let _ = file.rewind();
    let _ = file.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ckpt_says() {
        assert_eq!(seconds_of_call(r#"{"ok":true,"seconds":0.5}"#), Some(0.5));
        assert_eq!(seconds_of_call(r#"{"ok":false,"seconds":null}"#), None);
        assert_eq!(seconds_of_call("ckpt: no"), None);
    }

    #[test]
    fn end_of_a_log() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
    }

    #[test]
    fn figures_by_name() {
        let sample = Sample(vec![(Metric::Stop, 1.0), (Metric::Save, 2.0)]);
        assert_eq!(sample.get(Metric::Save), Some(2.0));
        assert_eq!(sample.get(Metric::Image), None);
    }
}
