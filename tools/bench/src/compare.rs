// SPDX-License-Identifier: GPL-2.0

//! ckpt held against CRIU: both take turns with the same workloads.

use std::fmt;

use serde::Serialize;

use crate::measure::Failure;
use crate::report::Goal;
use crate::stats::Spread;
use crate::sys;
use crate::tool::{Ground, Metric, Sample, Tool};
use crate::workload::Kind;

/// MiB of the largest workload, for which copying is judged.
const LARGE: u32 = 2048;

const WORKLOADS: [Kind; 9] = [
    Kind::Minimal,
    Kind::Python,
    Kind::Resident(64),
    Kind::Resident(512),
    Kind::Resident(LARGE),
    Kind::Sparse,
    Kind::Mappings(10_000),
    Kind::Threads(1000),
    Kind::Processes(200),
];

/// What a figure of ckpt is held against, and how often as much as that it may be.
struct Aim {
    metric: Metric,
    tool: Tool,
    base: Metric,
    goal: f64,
}

/// The issue's goals.
fn aims(kind: Kind) -> Vec<Aim> {
    let aim = |metric, tool, base, goal| Aim {
        metric,
        tool,
        base,
        goal,
    };
    let criu = |metric, goal| aim(metric, Tool::Criu, metric, goal);

    match kind {
        Kind::Minimal => vec![
            criu(Metric::Stop, 1.0 / 50.0),
            aim(Metric::Stop, Tool::Criu, Metric::Save, 1.0 / 50.0),
            criu(Metric::Restart, 1.0 / 30.0),
            aim(Metric::RestartCall, Tool::Criu, Metric::Restart, 1.0 / 30.0),
        ],
        Kind::Resident(LARGE) => vec![
            aim(Metric::Call, Tool::Ckpt, Metric::Write, 1.1),
            criu(Metric::Save, 1.0),
            criu(Metric::Restart, 0.7),
        ],
        Kind::Threads(_) | Kind::Processes(_) => [Metric::Stop, Metric::Save, Metric::Restart]
            .map(|metric| criu(metric, 0.1))
            .into(),
        _ => vec![],
    }
}

/// All rounds of one workload under one of the two.
struct Lane {
    kind: Kind,
    tool: Tool,
    samples: Vec<Sample>,
    failure: Option<Failure>,
}

impl Lane {
    fn round(&mut self, ground: &Ground, counts: bool) {
        if self.failure.is_some() {
            return;
        }
        match ground.round(self.tool, self.kind) {
            Ok(sample) if counts => self.samples.push(sample),
            Ok(_) => {}
            Err(failure) => {
                eprintln!("ckpt_bench: {} {}: {failure}", self.tool.name(), self.kind);
                self.failure = Some(failure);
            }
        }
    }

    fn figures(&self, metric: Metric) -> Vec<f64> {
        self.samples.iter().filter_map(|s| s.get(metric)).collect()
    }
}

/// What was measured, and whether all was.
pub(crate) struct Comparison {
    pub(crate) report: Report,
    pub(crate) failures: Vec<Failure>,
}

/// `only` are the names of workloads; all of them if it is empty.
pub(crate) fn run(ground: &Ground, runs: u32, only: &[String]) -> Result<Comparison, Failure> {
    let mut lanes: Vec<[Lane; 2]> = WORKLOADS
        .into_iter()
        .filter(|kind| only.is_empty() || only.contains(&kind.to_string()))
        .map(|kind| {
            [Tool::Ckpt, Tool::Criu].map(|tool| Lane {
                kind,
                tool,
                samples: Vec::new(),
                failure: None,
            })
        })
        .collect();

    // In the first run CRIU finds out what the kernel can do, and remembers it.
    for run in 0..=runs {
        for pair in &mut lanes {
            eprintln!("ckpt_bench: run {run} of {runs}: {}", pair[0].kind);
            // Neither is the first always.
            if run % 2 == 1 {
                pair.reverse();
            }
            for lane in &mut *pair {
                lane.round(ground, run > 0);
            }
            pair.sort_by_key(|lane| lane.tool == Tool::Criu);
        }
    }
    let report = Report::new(runs, &lanes)?;
    let failures = lanes.into_iter().flatten();
    Ok(Comparison {
        report,
        failures: failures.filter_map(|lane| lane.failure).collect(),
    })
}

#[derive(Serialize)]
pub(crate) struct Report {
    schema: &'static str,
    /// What runs the machine: hardware, KVM, TCG.
    machine: String,
    cpus: usize,
    release: String,
    version: String,
    runs: u32,
    workloads: Vec<Workload>,
}

#[derive(Serialize)]
struct Workload {
    name: String,
    /// Nanoseconds, and bytes of images.
    figures: Vec<Figure>,
    /// What ckpt takes, as a share of what CRIU takes.
    ratios: Vec<Ratio>,
    goals: Vec<Ratio>,
    failures: Vec<Failed>,
}

#[derive(Serialize)]
struct Figure {
    tool: &'static str,
    name: &'static str,
    #[serde(flatten)]
    spread: Spread,
    values: Vec<f64>,
}

#[derive(Serialize)]
struct Ratio {
    of: String,
    to: String,
    #[serde(flatten)]
    times: Spread,
    #[serde(flatten)]
    goal: Option<Goal>,
}

#[derive(Serialize)]
struct Failed {
    tool: &'static str,
    reason: String,
}

impl Report {
    fn new(runs: u32, lanes: &[[Lane; 2]]) -> Result<Self, Failure> {
        let (release, version) = sys::uname().map_err(Failure::doing("uname"))?;

        Ok(Report {
            schema: "ckpt_bench.criu.v1",
            machine: sys::hypervisor(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            release,
            version,
            runs,
            workloads: lanes.iter().map(workload).collect(),
        })
    }
}

fn workload(pair: &[Lane; 2]) -> Workload {
    let [ckpt, criu] = pair;
    let figures = pair.iter().flat_map(|lane| {
        Metric::ALL.into_iter().filter_map(|metric| {
            let values = lane.figures(metric);
            Some(Figure {
                tool: lane.tool.name(),
                name: metric.name(),
                spread: Spread::of(values.iter().copied())?,
                values,
            })
        })
    });
    let ratios = Metric::ALL.into_iter().filter_map(|metric| {
        let times = quotient(&ckpt.figures(metric), &criu.figures(metric))?;
        Some(Ratio {
            of: format!("ckpt {}", metric.name()),
            to: format!("CRIU {}", metric.name()),
            times,
            goal: None,
        })
    });
    let goals = aims(ckpt.kind).into_iter().filter_map(|aim| {
        let base = if aim.tool == Tool::Ckpt { ckpt } else { criu };
        let times = quotient(&ckpt.figures(aim.metric), &base.figures(aim.base))?;
        Some(Ratio {
            of: format!("ckpt {}", aim.metric.name()),
            to: format!("{} {}", aim.tool.name(), aim.base.name()),
            times,
            goal: Some(Goal {
                goal: aim.goal,
                met: times.median <= aim.goal,
            }),
        })
    });
    let failures = pair.iter().filter_map(|lane| {
        Some(Failed {
            tool: lane.tool.name(),
            reason: lane.failure.as_ref()?.to_string(),
        })
    });

    Workload {
        name: ckpt.kind.to_string(),
        figures: figures.collect(),
        ratios: ratios.collect(),
        goals: goals.collect(),
        failures: failures.collect(),
    }
}

/// Divides run by run: what disturbs a run meets both.
fn quotient(figures: &[f64], bases: &[f64]) -> Option<Spread> {
    Spread::of(figures.iter().zip(bases).map(|(a, b)| a / b))
}

/// A share as people say it.
pub(crate) fn share(times: f64) -> String {
    if 0.0 < times && times < 0.5 {
        format!("1/{:.1}", 1.0 / times)
    } else {
        format!("{times:.2}")
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ratio {
            of,
            to,
            times,
            goal,
        } = self;
        let [median, low, high] = [times.median, times.low, times.high].map(share);

        write!(f, "{of} / {to}: {median} ({low} to {high})")?;
        match goal {
            Some(goal) => write!(f, "; goal {}: {goal}", share(goal.goal)),
            None => Ok(()),
        }
    }
}

impl Workload {
    fn figure(&self, tool: Tool, metric: Metric) -> Option<Spread> {
        let mut figures = self.figures.iter();
        let found = figures.find(|f| f.tool == tool.name() && f.name == metric.name());
        found.map(|figure| figure.spread)
    }
}

/// Milliseconds, or KiB.
fn cell(metric: Metric, spread: Option<Spread>) -> String {
    let Some(Spread { median, low, high }) = spread else {
        return "-".into();
    };
    if metric == Metric::Image {
        return format!("{:.0} KiB", median / 1024.0);
    }
    let [median, low, high] = [median, low, high].map(|ns| ns / 1e6);
    format!("{median:.2} ({low:.2} to {high:.2})")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "milliseconds: median of {} runs, lowest and highest run",
            self.runs
        )?;
        writeln!(f, "Linux {} on {}", self.release, self.machine)?;
        writeln!(
            f,
            "\n{:<14} {:<15} {:>28} {:>28}  ckpt/CRIU",
            "workload", "", "ckpt", "CRIU"
        )?;
        for workload in &self.workloads {
            for metric in Metric::ALL {
                let [ckpt, criu] = [Tool::Ckpt, Tool::Criu].map(|t| workload.figure(t, metric));
                if ckpt.is_none() && criu.is_none() {
                    continue;
                }
                let of = format!("ckpt {}", metric.name());
                let ratio = workload.ratios.iter().find(|ratio| ratio.of == of);
                let ratio = ratio.map_or("-".into(), |ratio| share(ratio.times.median));
                writeln!(
                    f,
                    "{:<14} {:<15} {:>28} {:>28}  {ratio}",
                    workload.name,
                    metric.name(),
                    cell(metric, ckpt),
                    cell(metric, criu)
                )?;
            }
            for failed in &workload.failures {
                writeln!(
                    f,
                    "{:<14} FAILED under {}: {}",
                    workload.name,
                    failed.tool,
                    failed.reason.replace('\n', "\n    ")
                )?;
            }
        }
        writeln!(f)?;
        for workload in &self.workloads {
            for goal in &workload.goals {
                writeln!(f, "{:<14} {goal}", workload.name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    fn lane(kind: Kind, tool: Tool, figures: &[(Metric, f64)]) -> Lane {
        Lane {
            kind,
            tool,
            samples: vec![Sample(figures.to_vec())],
            failure: None,
        }
    }

    #[test]
    fn shares() {
        assert_eq!(share(0.02), "1/50.0");
        assert_eq!(share(0.7), "0.70");
        assert_eq!(share(1.1), "1.10");
        assert_eq!(share(0.0), "0.00");
    }

    #[test]
    fn goals_are_those_of_the_issue() {
        let goals = |kind| aims(kind).iter().map(|a| a.goal).collect::<Vec<_>>();
        assert_eq!(goals(Kind::Resident(2048)), [1.1, 1.0, 0.7]);
        assert_eq!(goals(Kind::Threads(1000)), [0.1; 3]);
        assert_eq!(goals(Kind::Processes(200)), [0.1; 3]);
        assert!(goals(Kind::Sparse).is_empty());
    }

    #[test]
    fn a_goal_is_met_or_missed() {
        let kind = Kind::Minimal;
        let ckpt = [(Metric::Stop, 1.0), (Metric::Restart, 4.0)];
        let criu = [
            (Metric::Stop, 40.0),
            (Metric::Save, 60.0),
            (Metric::Restart, 120.0),
        ];
        let pair = [lane(kind, Tool::Ckpt, &ckpt), lane(kind, Tool::Criu, &criu)];
        let workload = workload(&pair);
        let lines: Vec<String> = workload.goals.iter().map(Ratio::to_string).collect();
        assert_eq!(
            lines,
            [
                "ckpt stop / CRIU stop: 1/40.0 (1/40.0 to 1/40.0); goal 1/50.0: MISSED",
                "ckpt stop / CRIU save: 1/60.0 (1/60.0 to 1/60.0); goal 1/50.0: met",
                "ckpt restart / CRIU restart: 1/30.0 (1/30.0 to 1/30.0); goal 1/30.0: met",
            ]
        );
        // CRIU alone was saved.
        assert_eq!(workload.ratios.len(), 2);
    }
}
