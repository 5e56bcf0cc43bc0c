// SPDX-License-Identifier: GPL-2.0

//! What is measured, of which processes, and what it is held against.

use std::fmt;

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

const MIB: usize = 1 << 20;

/// Pages of the processes that have a few.
const FEW: usize = 100;

/// Bytes of the sparse mapping.
const SPARSE: usize = 1 << 40;

/// From this many bytes on, the goals for copying, and for the kernel's memory, are judged.
const LARGE: usize = 1 << 30;

/// The issue's goals, each as times of what it is held against.
const GOAL_CHECKPOINT: f64 = 20.0;
const GOAL_RESTART: f64 = 40.0;
const GOAL_COPY: f64 = 1.3;

/// The most memory that the kernel may take for metadata, as a share of what the process has.
pub(crate) const GOAL_HELD: f64 = 0.01;

/// A process that is measured, by the memory that it has beside what any has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    Minimal,
    /// Some pages in a row.
    Dense,
    /// As many pages, far from each other in one mapping.
    Sparse,
    /// So many MiB, all of it touched.
    Resident(u32),
}

/// One mapping, and the pages in it that are touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) pages: usize,
    /// Bytes from one of them to the next.
    pub(crate) step: usize,
}

impl Process {
    pub(crate) fn layout(self) -> Layout {
        match self {
            Process::Minimal => Layout {
                pages: 0,
                step: PAGE,
            },
            Process::Dense => Layout {
                pages: FEW,
                step: PAGE,
            },
            Process::Sparse => Layout {
                pages: FEW,
                step: SPARSE / FEW / PAGE * PAGE,
            },
            Process::Resident(mib) => Layout {
                pages: mib as usize * (MIB / PAGE),
                step: PAGE,
            },
        }
    }

    /// Bytes that are touched.
    pub(crate) fn touched(self) -> usize {
        self.layout().pages * PAGE
    }

    /// Tells whether one call takes so long that a run needs no more of them.
    pub(crate) fn is_slow(self) -> bool {
        self.touched() > MIB
    }

    /// Tells whether the goals for large processes are for it.
    pub(crate) fn is_large(self) -> bool {
        self.touched() >= LARGE
    }

    /// Tells whether streams are measured, too, and not only a file.
    pub(crate) fn has_streams(self) -> bool {
        self.touched() <= 64 * MIB
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Process::Minimal => f.pad("minimal"),
            Process::Dense => f.pad(&format!("{FEW} pages")),
            Process::Sparse => f.pad(&format!("{FEW} pages in 1 TiB")),
            Process::Resident(mib) if mib % 1024 == 0 => f.pad(&format!("{} GiB", mib / 1024)),
            Process::Resident(mib) => f.pad(&format!("{mib} MiB")),
        }
    }
}

/// The list of processes: the small ones, and one for each of `resident`, in MiB.
pub(crate) fn processes(resident: &[u32]) -> Vec<Process> {
    [Process::Minimal, Process::Dense, Process::Sparse]
        .into_iter()
        .chain(resident.iter().copied().map(Process::Resident))
        .collect()
}

/// The kind of file that an image goes to or comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Tmpfs,
    Pipe,
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Target::Tmpfs => "tmpfs",
            Target::Pipe => "pipe",
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// fork(2) by the process; the child exits, and is waited for.
    Fork,
    /// The same, and the child executes its program from the start.
    Exec,
    /// checkpoint(2) of the process.
    Checkpoint(Target),
    /// How long the process stands still for that.
    Stop,
    /// write(2) of the same bytes.
    Write(Target),
    /// From the call of restart(2) until the process goes on in user mode.
    Restart(Target),
    /// read(2) of the same bytes into memory that is mapped for it.
    Read(Target),
}

impl Work {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Fork => "fork+exit",
            Work::Exec => "fork+exec+exit",
            Work::Checkpoint(_) => "checkpoint(2)",
            Work::Stop => "stop of the process",
            Work::Write(_) => "write(2)",
            Work::Restart(_) => "restart(2)",
            Work::Read(_) => "read(2)",
        }
    }

    pub(crate) fn target(self) -> Option<Target> {
        match self {
            Work::Fork | Work::Exec => None,
            Work::Stop => Some(Target::Tmpfs),
            Work::Checkpoint(target)
            | Work::Write(target)
            | Work::Restart(target)
            | Work::Read(target) => Some(target),
        }
    }
}

/// A case: something done with one of the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) process: Process,
    pub(crate) work: Work,
}

/// What a case is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Base {
    pub(crate) case: Case,
    /// How often as much as that it may cost.
    pub(crate) goal: Option<f64>,
}

impl Case {
    pub(crate) fn bases(self) -> Vec<Base> {
        let process = self.process;
        let base = |work, goal| Base {
            case: Case { process, work },
            goal,
        };
        let copy = |target, work| {
            let judged = process.is_large() && target == Target::Tmpfs;
            base(work, judged.then_some(GOAL_COPY))
        };
        let fork = |goal| base(Work::Fork, (process == Process::Minimal).then_some(goal));

        let mut bases = match self.work {
            Work::Fork | Work::Write(_) | Work::Read(_) => vec![],
            Work::Exec => vec![base(Work::Fork, None)],
            Work::Stop => vec![
                base(Work::Checkpoint(Target::Tmpfs), None),
                base(Work::Fork, None),
            ],
            Work::Checkpoint(target) => vec![copy(target, Work::Write(target))],
            Work::Restart(target) => vec![copy(target, Work::Read(target))],
        };
        match self.work {
            Work::Checkpoint(Target::Tmpfs) => bases.push(fork(GOAL_CHECKPOINT)),
            Work::Restart(Target::Tmpfs) => bases.push(fork(GOAL_RESTART)),
            _ => {}
        }
        if process == Process::Sparse && matches!(self.work, Work::Checkpoint(_) | Work::Restart(_))
        {
            // The hole is what makes the difference.
            bases.push(Base {
                case: Case {
                    process: Process::Dense,
                    work: self.work,
                },
                goal: None,
            });
        }
        bases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goals(process: Process, work: Work) -> Vec<Option<f64>> {
        let bases = Case { process, work }.bases();
        bases.iter().map(|base| base.goal).collect()
    }

    #[test]
    fn layouts() {
        let sparse = Process::Sparse.layout();
        assert_eq!(sparse.step % PAGE, 0);
        assert!(sparse.step * sparse.pages <= SPARSE);
        assert!(sparse.step * (sparse.pages + 1) > SPARSE);
        assert_eq!(Process::Sparse.touched(), Process::Dense.touched());
        assert_eq!(Process::Resident(64).touched(), 64 << 20);
        assert_eq!(Process::Minimal.touched(), 0);
    }

    #[test]
    fn names() {
        let names: Vec<String> = processes(&[64, 1024])
            .iter()
            .map(Process::to_string)
            .collect();
        assert_eq!(
            names,
            [
                "minimal",
                "100 pages",
                "100 pages in 1 TiB",
                "64 MiB",
                "1 GiB"
            ]
        );
    }

    #[test]
    fn goals_are_those_of_the_issue() {
        let [save, load] = [
            Work::Checkpoint(Target::Tmpfs),
            Work::Restart(Target::Tmpfs),
        ];
        assert_eq!(goals(Process::Minimal, save), [None, Some(20.0)]);
        assert_eq!(goals(Process::Minimal, load), [None, Some(40.0)]);
        assert_eq!(goals(Process::Resident(1024), save), [Some(1.3), None]);
        assert_eq!(goals(Process::Resident(1024), load), [Some(1.3), None]);
        assert_eq!(goals(Process::Resident(64), save), [None, None]);
        let pipe = Work::Checkpoint(Target::Pipe);
        assert_eq!(goals(Process::Resident(1024), pipe), [None]);
    }

    #[test]
    fn a_hole_is_held_against_none() {
        let case = Case {
            process: Process::Sparse,
            work: Work::Checkpoint(Target::Tmpfs),
        };
        let last = case.bases().pop().unwrap();
        assert_eq!(last.case.process, Process::Dense);
        assert_eq!(last.case.work, case.work);
    }
}
