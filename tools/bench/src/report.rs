// SPDX-License-Identifier: GPL-2.0

//! The table and the JSON document.

use std::fmt;

use serde::Serialize;

use crate::case::{Base, Case, Process, Target, GOAL_HELD};
use crate::clock;
use crate::measure::{Failure, Lane, Measured, Measurement};
use crate::stats::Spread;
use crate::sys;

#[derive(Serialize)]
pub(crate) struct Report {
    schema: &'static str,
    unit: &'static str,
    /// What runs the machine: hardware, KVM, TCG.
    machine: String,
    cpus: usize,
    release: String,
    version: String,
    runs: u32,
    /// Calls of each case in a run; one if it takes long.
    calls: u32,
    /// What a `rep movsb` of 512 bytes counts as.
    #[serde(skip_serializing_if = "Option::is_none")]
    rep_movsb_512: Option<u64>,
    processes: Vec<Subject>,
    cases: Vec<Line>,
}

#[derive(Serialize)]
struct Subject {
    name: String,
    /// Bytes that it has touched beside what any process has.
    touched: usize,
    /// Bytes of its image.
    image: Option<u64>,
    /// Memory of the kernel while the image is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    /// Why it is not in all of the runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

#[derive(Serialize)]
struct Held {
    #[serde(flatten)]
    bytes: Spread,
    /// The median as a share of what is touched.
    share: f64,
    #[serde(flatten)]
    goal: Option<Goal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Goal {
    pub(crate) goal: f64,
    pub(crate) met: bool,
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.met { "met" } else { "MISSED" })
    }
}

#[derive(Serialize)]
struct Line {
    process: String,
    name: &'static str,
    target: Option<&'static str>,
    /// Units per call: the spread of the runs' medians.
    #[serde(flatten)]
    units: Spread,
    /// The mean of all calls.
    mean: f64,
    medians: Vec<f64>,
    /// How often as much as what it is held against.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ratios: Vec<Ratio>,
}

#[derive(Serialize)]
struct Ratio {
    to: String,
    #[serde(flatten)]
    times: Spread,
    #[serde(flatten)]
    goal: Option<Goal>,
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ratio { to, times, goal } = self;

        write!(
            f,
            "{:.2} ({:.2} to {:.2}) of {to}",
            times.median, times.low, times.high
        )?;
        match goal {
            Some(goal) => write!(f, "; goal {}: {goal}", goal.goal),
            None => Ok(()),
        }
    }
}

impl Report {
    pub(crate) fn new(measurement: &Measurement) -> Result<Self, Failure> {
        const { assert!(clock::STRING_BYTES == 512) };
        let (release, version) = sys::uname().map_err(Failure::doing("uname"))?;
        let cases: Vec<&Measured> = measurement
            .lanes
            .iter()
            .flat_map(|lane| &lane.cases)
            .collect();

        Ok(Report {
            schema: "ckpt_bench.v2",
            unit: measurement.unit,
            machine: sys::hypervisor(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            release,
            version,
            runs: measurement.plan.runs,
            calls: measurement.plan.calls,
            rep_movsb_512: measurement.string,
            processes: measurement.lanes.iter().map(subject).collect(),
            cases: cases.iter().filter_map(|case| line(&cases, case)).collect(),
        })
    }
}

fn subject(lane: &Lane) -> Subject {
    Subject {
        name: lane.process.to_string(),
        touched: lane.process.touched(),
        image: lane.image,
        held: held(lane.process, &lane.held),
        failure: lane.failure.as_ref().map(Failure::to_string),
    }
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
fn held(process: Process, figures: &[f64]) -> Option<Held> {
    let bytes = Spread::of(figures.iter().copied())?;
    let share = bytes.median / process.touched() as f64;

    Some(Held {
        bytes,
        share,
        goal: process.is_large().then_some(Goal {
            goal: GOAL_HELD,
            met: share < GOAL_HELD,
        }),
    })
}

#[allow(clippy::cast_precision_loss)] // a few runs
fn line(cases: &[&Measured], measured: &Measured) -> Option<Line> {
    let Case { process, work } = measured.case;

    Some(Line {
        process: process.to_string(),
        name: work.name(),
        target: work.target().map(Target::name),
        units: Spread::of(measured.medians.iter().copied())?,
        mean: measured.means.iter().sum::<f64>() / measured.means.len() as f64,
        medians: measured.medians.clone(),
        ratios: measured
            .case
            .bases()
            .into_iter()
            .filter_map(|base| ratio(cases, measured, base))
            .collect(),
    })
}

/// Divides run by run: what disturbs a run meets both.
fn ratio(cases: &[&Measured], measured: &Measured, Base { case, goal }: Base) -> Option<Ratio> {
    let base = cases.iter().find(|other| other.case == case)?;
    let pairs = measured.medians.iter().zip(&base.medians);
    let times = Spread::of(pairs.map(|(a, b)| a / b))?;
    let of = if case.process == measured.case.process {
        String::new()
    } else {
        format!(" of {}", case.process)
    };

    Some(Ratio {
        to: format!("{}{of}", case.work.name()),
        times,
        goal: goal.map(|goal| Goal {
            goal,
            met: times.median <= goal,
        }),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: median of {} runs of {} calls (of one if it takes long), lowest and highest run",
            self.unit, self.runs, self.calls
        )?;
        writeln!(f, "Linux {} on {}", self.release, self.machine)?;
        if let Some(count) = self.rep_movsb_512 {
            writeln!(f, "(a rep movsb of 512 bytes counts as {count} here)")?;
        }
        writeln!(
            f,
            "\n{:<19} {:<20} {:<6} {:>12} {:>12} {:>12}  times",
            "process", "", "file", "median", "low", "high"
        )?;
        for line in &self.cases {
            line.fmt(f)?;
        }
        writeln!(
            f,
            "\n{:<19} {:>12}  {:<20}",
            "process", "image bytes", "kernel memory meanwhile"
        )?;
        self.processes.iter().try_for_each(|subject| subject.fmt(f))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<19} {:<20} {:<6} {:>12.0} {:>12.0} {:>12.0}",
            self.process,
            self.name,
            self.target.unwrap_or("-"),
            self.units.median,
            self.units.low,
            self.units.high
        )?;
        let mut ratios = self.ratios.iter();
        if let Some(first) = ratios.next() {
            write!(f, "  {first}")?;
        }
        writeln!(f)?;
        ratios.try_for_each(|ratio| writeln!(f, "{:87}{ratio}", ""))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread { median, low, high } = self.bytes;
        let [median, low, high] = [median, low, high].map(|bytes| bytes / 1024.0);
        let percent = self.share * 100.0;

        write!(f, "{median:.0} KiB ({low:.0} to {high:.0}), {percent:.2} %")?;
        match self.goal {
            Some(goal) => write!(f, "; goal under {} %: {goal}", goal.goal * 100.0),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.image {
            Some(image) => write!(f, "{:<19} {image:>12}  ", self.name)?,
            None => write!(f, "{:<19} {:>12}  ", self.name, "-")?,
        }
        match &self.held {
            Some(held) => held.fmt(f)?,
            None => f.write_str("-")?,
        }
        writeln!(f)?;
        match &self.failure {
            Some(failure) => writeln!(f, "    FAILED: {}", failure.replace('\n', "\n    ")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;
    use crate::case::Work;

    fn measured(process: Process, work: Work, medians: &[f64]) -> Measured {
        Measured {
            case: Case { process, work },
            medians: medians.to_vec(),
            means: medians.to_vec(),
        }
    }

    #[test]
    fn ratios_are_of_one_run() {
        // The second run was twice as slow for both: the ratio is none the worse for it.
        let process = Process::Resident(1024);
        let write = measured(process, Work::Write(Target::Tmpfs), &[100.0, 200.0, 100.0]);
        let save = measured(
            process,
            Work::Checkpoint(Target::Tmpfs),
            &[120.0, 240.0, 140.0],
        );
        let cases = [&write, &save];
        assert!(line(&cases, &write).unwrap().ratios.is_empty());

        let line = line(&cases, &save).unwrap();
        assert_eq!(line.units.high, 240.0);
        // fork(2) was not measured, so there is nothing about it.
        let [ratio] = &line.ratios[..] else {
            panic!("{} ratios", line.ratios.len());
        };
        assert_eq!((ratio.times.low, ratio.times.high), (1.2, 1.4));
        assert_eq!(
            ratio.to_string(),
            "1.20 (1.20 to 1.40) of write(2); goal 1.3: met"
        );
    }

    #[test]
    fn goal_that_is_missed() {
        let fork = measured(Process::Minimal, Work::Fork, &[10.0]);
        let load = measured(Process::Minimal, Work::Restart(Target::Tmpfs), &[401.0]);
        let line = line(&[&fork, &load], &load).unwrap();
        assert_eq!(
            line.ratios[0].goal,
            Some(Goal {
                goal: 40.0,
                met: false
            })
        );
        assert!(line
            .to_string()
            .ends_with("of fork+exit; goal 40: MISSED\n"));
    }

    #[test]
    fn process_of_the_base_is_named_if_it_is_another() {
        let work = Work::Checkpoint(Target::Tmpfs);
        let dense = measured(Process::Dense, work, &[10.0]);
        let sparse = measured(Process::Sparse, work, &[11.0]);
        let line = line(&[&dense, &sparse], &sparse).unwrap();
        assert_eq!(
            line.ratios[0].to_string(),
            "1.10 (1.10 to 1.10) of checkpoint(2) of 100 pages"
        );
    }

    #[test]
    fn share_of_memory_that_the_kernel_held() {
        let half = f64::from(1 << 30) / 200.0;
        let some = held(Process::Resident(1024), &[half, 0.0, half]).unwrap();
        assert!(some.goal.unwrap().met && (some.share - 0.005).abs() < 1e-6);
        let much = held(Process::Resident(1024), &[half * 2.1]).unwrap();
        assert!(much.to_string().ends_with("1.05 %; goal under 1 %: MISSED"));
        // What else happens on the machine is too much beside a small process.
        assert!(held(Process::Resident(64), &[half]).unwrap().goal.is_none());
        assert!(held(Process::Minimal, &[]).is_none());
    }
}
