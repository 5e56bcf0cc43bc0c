// SPDX-License-Identifier: GPL-2.0

//! Standing in for a child: what is sent to ckpt reaches the child, and what becomes of the child
//! becomes of ckpt.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::error::{Doing, Error, Exit};
use crate::input::escape;
use crate::progress::Progress;
use crate::sys::{self, Caller, Change, Report, Signal, Signals};

/// Signals that are passed on.
const PASSED_ON: [i32; 9] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
    libc::SIGCONT,
    libc::SIGTSTP,
];

/// How often something that moves on a terminal moves.
const TICK: Duration = Duration::from_millis(100);

/// A child, as far as signals go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    /// It leads a session and a process group, so that a terminal's signals do not reach it.
    pub(crate) apart: bool,
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Whom {
    Child,
    /// All of the process group that the child leads.
    Group,
}

impl Child {
    /// What to send when `signal` has come, and to whom: nothing, if the child has got it already.
    fn passed_on(self, signal: Signal) -> Option<(Whom, i32)> {
        match (signal.sender, signal.number) {
            (Some(sender), _) if sender == self.pid => None,
            // What follows on the SIGSTOP below.
            (Some(_), libc::SIGCONT) if self.apart => Some((Whom::Group, libc::SIGCONT)),
            (Some(_), number) => Some((Whom::Child, number)),
            (None, _) if !self.apart => None,
            // A process group that nobody is there to continue does not obey SIGTSTP, and that of
            // a session leader is one. But here somebody is.
            (None, libc::SIGTSTP) => Some((Whom::Group, libc::SIGSTOP)),
            // As a terminal does it.
            (None, number) => Some((Whom::Group, number)),
        }
    }

    fn send(self, whom: Whom, signal: i32) {
        let pid = match whom {
            Whom::Child => self.pid,
            Whom::Group => -self.pid,
        };
        // A child that may not be sent a signal, as it has changed its user, goes without.
        let _ = sys::kill(pid, signal);
    }
}

/// Reads the signals of this process, from before a child is started until it ends.
pub(crate) struct Supervisor {
    signals: Signals,
}

impl Supervisor {
    /// Begins with it. Threads that were started before must get no signals.
    pub(crate) fn new() -> Result<Self, Error> {
        let mut signals = PASSED_ON.to_vec();
        signals.push(libc::SIGCHLD);
        let signals = Signals::block(&signals).doing(|| "cannot block signals".into())?;
        Ok(Supervisor { signals })
    }

    /// Has the program that `command` starts see nothing of this process: see [`sys::isolate`].
    pub(crate) fn isolate(&self, command: &mut Command, own_session: bool) {
        sys::isolate(command, &self.signals, own_session);
    }

    /// Passes on the signals that have arrived.
    fn pass_on(&self, child: Child) -> Result<(), Error> {
        while let Some(signal) = self.signals.next().doing(cannot_wait)? {
            if signal.number == libc::SIGCHLD {
                continue;
            }
            if let Some((whom, number)) = child.passed_on(signal) {
                child.send(whom, number);
            }
        }
        Ok(())
    }

    /// Waits for the report of a child; `None` if it goes without one. Calls `tick` again and
    /// again.
    pub(crate) fn report(
        &self,
        caller: &Caller,
        apart: bool,
        progress: Option<&Progress>,
    ) -> Result<Option<Report>, Error> {
        let child = Child {
            pid: caller.pid,
            apart,
        };
        loop {
            let limit = progress.map(|_| TICK);
            let fds = [self.signals.fd(), caller.report.as_fd()];
            let [_, report] = sys::poll(fds, limit).doing(cannot_wait)?;
            self.pass_on(child)?;
            if report.read {
                return Report::read(&caller.report).doing(cannot_wait);
            }
            // Somebody may stop it before it has a chance to report.
            if sys::has_stopped(child.pid).doing(cannot_wait)? {
                sys::suspend().doing(|| "cannot stop".into())?;
            }
            if let Some(progress) = progress {
                progress.show();
            }
        }
    }

    /// Waits for the end of a child, and stops with it.
    pub(crate) fn wait(&self, child: Child) -> Result<Exit, Error> {
        loop {
            // Signals are read first: one that comes later interrupts the wait below.
            self.pass_on(child)?;
            match sys::changed(child.pid).doing(cannot_wait)? {
                Some(Change::Exited(status)) => return Ok(Exit::Passed(status)),
                Some(Change::Killed(signal)) => return Ok(killed(signal)),
                Some(Change::Stopped) => sys::suspend().doing(|| "cannot stop".into())?,
                Some(Change::Continued) => {}
                None => {
                    sys::poll([self.signals.fd()], None).doing(cannot_wait)?;
                }
            }
        }
    }
}

/// The exit code for a child that a signal has killed, as shells have it.
pub(crate) fn killed(signal: i32) -> Exit {
    // Signals have numbers of up to 64.
    Exit::Passed(u8::try_from(signal).map_or(u8::MAX, |signal| signal.saturating_add(128)))
}

fn cannot_wait() -> String {
    "cannot wait for a child".into()
}

/// Writes a pid, so that nobody ever reads half of it.
pub(crate) fn write_pidfile(path: &Path, pid: i32) -> Result<(), Error> {
    let doing = || format!("cannot write {}", escape(path));
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return fs::write(path, format!("{pid}\n")).doing(doing);
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = Path::new(&temporary);
    let done = File::create_new(temporary)
        .and_then(|mut file| std::io::Write::write_all(&mut file, format!("{pid}\n").as_bytes()))
        .and_then(|()| fs::rename(temporary, path));
    if done.is_err() {
        // What is wrong with the folder is told below.
        let _ = fs::remove_file(temporary);
    }
    done.doing(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(number: i32, sender: Option<i32>) -> Signal {
        Signal { number, sender }
    }

    #[test]
    fn nothing_is_sent_twice() {
        let near = Child {
            pid: 7,
            apart: false,
        };
        let apart = Child {
            pid: 7,
            apart: true,
        };
        // What the terminal sends goes to all of a process group.
        assert_eq!(near.passed_on(signal(libc::SIGINT, None)), None);
        assert_eq!(
            apart.passed_on(signal(libc::SIGINT, None)),
            Some((Whom::Group, libc::SIGINT))
        );
        for child in [near, apart] {
            assert_eq!(
                child.passed_on(signal(libc::SIGTERM, Some(1))),
                Some((Whom::Child, libc::SIGTERM))
            );
            // What the child sends to its process group.
            assert_eq!(child.passed_on(signal(libc::SIGTERM, Some(7))), None);
        }
    }

    #[test]
    fn job_control() {
        let apart = Child {
            pid: 7,
            apart: true,
        };
        assert_eq!(
            apart.passed_on(signal(libc::SIGTSTP, None)),
            Some((Whom::Group, libc::SIGSTOP))
        );
        assert_eq!(
            apart.passed_on(signal(libc::SIGCONT, Some(1))),
            Some((Whom::Group, libc::SIGCONT))
        );
    }

    #[test]
    fn death_by_signal() {
        assert_eq!(killed(libc::SIGTERM), Exit::Passed(143));
        assert_eq!(killed(64), Exit::Passed(192));
    }
}
