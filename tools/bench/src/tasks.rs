// SPDX-License-Identifier: GPL-2.0

//! What ckpt takes by the number of threads, and of processes, and what one more of them costs.

use std::fmt;

use serde::Serialize;

use crate::measure::Failure;
use crate::report::Goal;
use crate::stats::{self, Spread};
use crate::sys;
use crate::tool::{Ground, Metric, Sample, Tool};
use crate::workload::Kind;

const THREADS: [u32; 5] = [1, 10, 100, 300, 1000];
const PROCESSES: [u32; 5] = [1, 10, 50, 200, 500];

/// What is measured of each number.
const METRICS: [Metric; 5] = [
    Metric::Stop,
    Metric::Call,
    Metric::Save,
    Metric::RestartCall,
    Metric::Restart,
];

/// How often what it costs to make and unmake one a task may cost.
const GOAL_THREAD: f64 = 1.0;
const GOAL_PROCESS: f64 = 2.0;

/// How much steeper the last stretch may be than the one before it. What grows with the square of
/// the number is 3.3 times as steep there with threads, as the middles of 300 to 1,000 and of 100
/// to 300 are so far from one another, and 2.8 times with processes; what grows with n log n is
/// less than 1.3 times as steep. Further down what does not depend on the number hides the slope.
const GOAL_LINEAR: f64 = 2.0;

/// Nanoseconds that 1,000 threads may stand still.
const GOAL_STOP: f64 = 50e6;

/// Threads and processes that are made to know what one costs.
const COSTS: u32 = 300;

/// The two kinds of tasks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Series {
    Threads,
    Processes,
}

impl Series {
    fn name(self) -> &'static str {
        match self {
            Series::Threads => "threads",
            Series::Processes => "processes",
        }
    }

    fn counts(self) -> [u32; 5] {
        match self {
            Series::Threads => THREADS,
            Series::Processes => PROCESSES,
        }
    }

    fn kind(self, count: u32) -> Kind {
        match self {
            Series::Threads => Kind::Threads(count),
            Series::Processes => Kind::Processes(count),
        }
    }

    fn base(self) -> (&'static str, f64) {
        match self {
            Series::Threads => ("pthread_create+join", GOAL_THREAD),
            Series::Processes => ("fork+exit", GOAL_PROCESS),
        }
    }
}

/// What one run gave.
struct Run {
    series: Series,
    /// Of each number.
    samples: Vec<(u32, Sample)>,
    /// What one more costs without us.
    cost: f64,
}

impl Run {
    fn points(&self, metric: Metric) -> Vec<(f64, f64)> {
        let points = self.samples.iter();
        points
            .filter_map(|(count, sample)| Some((f64::from(*count), sample.get(metric)?)))
            .collect()
    }
}

pub(crate) struct Measured {
    pub(crate) report: Report,
    pub(crate) failures: Vec<Failure>,
}

/// `most` leaves out numbers beyond it.
pub(crate) fn run(ground: &Ground, runs: u32, most: u32) -> Result<Measured, Failure> {
    let mut all = Vec::new();
    let mut failures: Vec<(Kind, Failure)> = Vec::new();

    // The first run warms everything up.
    for run in 0..=runs {
        eprintln!("ckpt_bench: run {run} of {runs}");
        let costs = ground.programs.cost(COSTS);
        let (thread, process) = costs.map_err(Failure::doing("run workload cost"))?;
        for (series, cost) in [(Series::Threads, thread), (Series::Processes, process)] {
            let mut samples = Vec::new();
            for count in series.counts().into_iter().filter(|&count| count <= most) {
                let kind = series.kind(count);
                if failures.iter().any(|(failed, _)| *failed == kind) {
                    continue;
                }
                match ground.round(Tool::Ckpt, kind) {
                    Ok(sample) => samples.push((count, sample)),
                    Err(failure) => {
                        eprintln!("ckpt_bench: {kind}: {failure}");
                        failures.push((kind, failure));
                    }
                }
            }
            if run > 0 {
                all.push(Run {
                    series,
                    samples,
                    cost,
                });
            }
        }
    }
    let report = Report::new(runs, &all, &failures)?;
    Ok(Measured {
        report,
        failures: failures.into_iter().map(|(_, failure)| failure).collect(),
    })
}

#[derive(Serialize)]
pub(crate) struct Report {
    schema: &'static str,
    machine: String,
    cpus: usize,
    release: String,
    version: String,
    runs: u32,
    series: Vec<Line>,
    /// The stop of the most threads, if they were 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Stop>,
    failures: Vec<Failed>,
}

#[derive(Serialize)]
struct Stop {
    #[serde(flatten)]
    spread: Spread,
    #[serde(flatten)]
    goal: Goal,
}

#[derive(Serialize)]
struct Failed {
    workload: String,
    reason: String,
}

/// All of one metric by the number of tasks.
#[derive(Serialize)]
struct Line {
    tasks: &'static str,
    name: &'static str,
    points: Vec<Point>,
    /// Nanoseconds of one more: the least squares' slope.
    #[serde(skip_serializing_if = "Option::is_none")]
    slope: Option<Spread>,
    base: &'static str,
    cost: Spread,
    /// The slope as times of that cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<Judged>,
    /// How much steeper the last stretch is than the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    bend: Option<Judged>,
}

#[derive(Serialize)]
struct Judged {
    #[serde(flatten)]
    spread: Spread,
    #[serde(flatten)]
    goal: Goal,
}

#[derive(Serialize)]
struct Point {
    count: u32,
    #[serde(flatten)]
    spread: Spread,
}

fn judged(spread: Option<Spread>, goal: f64) -> Option<Judged> {
    let spread = spread?;
    Some(Judged {
        spread,
        goal: Goal {
            goal,
            met: spread.median <= goal,
        },
    })
}

impl Report {
    fn new(runs: u32, all: &[Run], failures: &[(Kind, Failure)]) -> Result<Self, Failure> {
        let (release, version) = sys::uname().map_err(Failure::doing("uname"))?;
        let both = [Series::Threads, Series::Processes];
        let series: Vec<Line> = both
            .into_iter()
            .flat_map(|series| METRICS.into_iter().map(move |metric| (series, metric)))
            .filter_map(|(series, metric)| line(all, series, metric))
            .collect();
        let stop = series.iter().find_map(stop_of_most);

        Ok(Report {
            schema: "ckpt_bench.tasks.v1",
            machine: sys::hypervisor(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            release,
            version,
            runs,
            series,
            stop,
            failures: failures
                .iter()
                .map(|(kind, failure)| Failed {
                    workload: kind.to_string(),
                    reason: failure.to_string(),
                })
                .collect(),
        })
    }
}

fn stop_of_most(line: &Line) -> Option<Stop> {
    if line.tasks != Series::Threads.name() || line.name != Metric::Stop.name() {
        return None;
    }
    let most = line.points.iter().find(|point| point.count == 1000)?;
    Some(Stop {
        spread: most.spread,
        goal: Goal {
            goal: GOAL_STOP,
            met: most.spread.median < GOAL_STOP,
        },
    })
}

fn line(all: &[Run], series: Series, metric: Metric) -> Option<Line> {
    let runs: Vec<&Run> = all.iter().filter(|run| run.series == series).collect();
    let points: Vec<Point> = series
        .counts()
        .into_iter()
        .filter_map(|count| {
            let samples = runs.iter().flat_map(|run| &run.samples);
            let of_count = samples.filter(|(other, _)| *other == count);
            let spread = Spread::of(of_count.filter_map(|(_, sample)| sample.get(metric)))?;
            Some(Point { count, spread })
        })
        .collect();
    if points.is_empty() {
        return None;
    }
    let (base, goal) = series.base();
    let slopes = runs.iter().filter_map(|run| {
        let slope = stats::slope(&run.points(metric))?;
        Some((slope, slope / run.cost))
    });
    let (slopes, times): (Vec<f64>, Vec<f64>) = slopes.unzip();
    let medians: Vec<(f64, f64)> = points
        .iter()
        .map(|point| (f64::from(point.count), point.spread.median))
        .collect();
    // Of single runs it would be a quotient of differences of what disturbs them.
    let bend = stats::bend(&medians).and_then(|bend| Spread::of([bend]));

    Some(Line {
        tasks: series.name(),
        name: metric.name(),
        points,
        slope: Spread::of(slopes),
        base,
        cost: Spread::of(runs.iter().map(|run| run.cost))?,
        times: judged(Spread::of(times), goal),
        bend: judged(bend, GOAL_LINEAR),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "milliseconds by number of tasks: median of {} runs, lowest and highest run",
            self.runs
        )?;
        writeln!(f, "Linux {} on {}", self.release, self.machine)?;
        for line in &self.series {
            line.fmt(f)?;
        }
        if let Some(Stop { spread, goal }) = &self.stop {
            writeln!(
                f,
                "\nstop of 1000 threads: {:.2} ms; goal under {:.0} ms: {goal}",
                spread.median / 1e6,
                goal.goal / 1e6
            )?;
        }
        for failed in &self.failures {
            writeln!(
                f,
                "{} FAILED: {}",
                failed.workload,
                failed.reason.replace('\n', "\n    ")
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}: {}", self.tasks, self.name)?;
        for Point { count, spread } in &self.points {
            let [median, low, high] = [spread.median, spread.low, spread.high].map(|ns| ns / 1e6);
            writeln!(f, "  {count:>6} {median:>10.2} ({low:.2} to {high:.2})")?;
        }
        if let Some(slope) = self.slope {
            let [median, low, high] = [slope.median, slope.low, slope.high].map(|ns| ns / 1e3);
            writeln!(
                f,
                "  one more: {median:.1} us ({low:.1} to {high:.1}); {} is {:.1} us",
                self.base,
                self.cost.median / 1e3
            )?;
        }
        if let Some(Judged { spread, goal }) = &self.times {
            writeln!(
                f,
                "  {:.2} ({:.2} to {:.2}) of {}; goal {}: {goal}",
                spread.median, spread.low, spread.high, self.base, goal.goal
            )?;
        }
        if let Some(Judged { spread, goal }) = &self.bend {
            writeln!(
                f,
                "  linear: the last stretch is {:.2} times as steep as the one before; \
                 goal at most {}: {goal}",
                spread.median, goal.goal
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    fn run(series: Series, cost: f64, f: impl Fn(f64) -> f64) -> Run {
        let samples = series.counts().map(|count| {
            let figure = f(f64::from(count));
            (count, Sample(vec![(Metric::Stop, figure)]))
        });
        Run {
            series,
            samples: samples.into(),
            cost,
        }
    }

    #[test]
    fn a_line_is_one() {
        let all = [run(Series::Threads, 100.0, |n| 5000.0 + 90.0 * n)];
        let line = line(&all, Series::Threads, Metric::Stop).unwrap();
        assert!((line.slope.unwrap().median - 90.0).abs() < 1e-6);
        assert!(line.times.as_ref().unwrap().goal.met);
        assert!((line.bend.as_ref().unwrap().spread.median - 1.0).abs() < 1e-6);
        assert!(line.bend.unwrap().goal.met);
    }

    #[test]
    fn a_parabola_is_none() {
        for series in [Series::Threads, Series::Processes] {
            let all = [run(series, 100.0, |n| n * n)];
            let square = line(&all, series, Metric::Stop).unwrap();
            assert!(!square.bend.unwrap().goal.met);
            assert!(!square.times.unwrap().goal.met);

            let all = [run(series, 100.0, |n| n * n.ln())];
            let log = line(&all, series, Metric::Stop).unwrap();
            assert!(log.bend.unwrap().spread.median < 1.3);
        }
    }

    #[test]
    fn what_was_not_measured_is_not_there() {
        let all = [run(Series::Threads, 100.0, |n| n)];
        assert!(line(&all, Series::Threads, Metric::Call).is_none());
        assert!(line(&all, Series::Processes, Metric::Stop).is_none());
        let stop = line(&all, Series::Threads, Metric::Stop).unwrap();
        assert!(stop_of_most(&stop).unwrap().goal.met);
    }
}
