// SPDX-License-Identifier: GPL-2.0

//! The table and the JSON document.

use std::fmt;

use serde::Serialize;

use crate::clock;
use crate::measure::{Failure, Measured, Measurement};
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
    /// Bytes of an image.
    image: usize,
    runs: u32,
    /// Calls of each case in a run, and how many of them were measured at once.
    calls: u32,
    chunk: u32,
    /// What a `rep movsb` of 512 bytes counts as.
    #[serde(skip_serializing_if = "Option::is_none")]
    rep_movsb_512: Option<u64>,
    cases: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    target: Option<&'static str>,
    /// Units per call: the spread of the runs' medians.
    #[serde(flatten)]
    units: Spread,
    /// The mean of all calls.
    mean: f64,
    medians: Vec<f64>,
    /// How often as much as the call that it is held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<Ratio>,
}

#[derive(Serialize)]
struct Ratio {
    to: String,
    #[serde(flatten)]
    times: Spread,
}

impl Report {
    pub(crate) fn new(measurement: &Measurement) -> Result<Self, Failure> {
        const { assert!(clock::STRING_BYTES == 512) };
        let (release, version) = sys::uname().map_err(Failure::doing("uname"))?;
        let cases = &measurement.cases;
        let lines: Option<Vec<Line>> = cases.iter().map(|case| line(cases, case)).collect();

        Ok(Report {
            schema: "ckpt_bench.v1",
            unit: measurement.unit,
            machine: sys::hypervisor(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            release,
            version,
            image: measurement.image,
            runs: measurement.plan.runs,
            calls: measurement.plan.calls,
            chunk: measurement.plan.chunk,
            rep_movsb_512: measurement.string,
            cases: lines.unwrap_or_default(),
        })
    }

    pub(crate) fn json(&self) -> String {
        // Numbers and strings only: this cannot fail.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }
}

#[allow(clippy::cast_precision_loss)] // a few runs
fn line(cases: &[Measured], case: &Measured) -> Option<Line> {
    let ratio = case.against.and_then(|base| {
        let base = cases.get(base)?;
        let pairs = case.medians.iter().zip(&base.medians);

        Some(Ratio {
            to: base.name.clone(),
            times: Spread::of(pairs.map(|(a, b)| a / b))?,
        })
    });

    Some(Line {
        name: case.name.clone(),
        target: case.target,
        units: Spread::of(case.medians.iter().copied())?,
        mean: case.means.iter().sum::<f64>() / case.means.len() as f64,
        medians: case.medians.clone(),
        ratio,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} per call: median of {} runs of {} calls, and the lowest and highest run",
            self.unit, self.runs, self.calls
        )?;
        writeln!(
            f,
            "Linux {} on {}, an image of {} bytes",
            self.release, self.machine, self.image
        )?;
        if let Some(count) = self.rep_movsb_512 {
            writeln!(f, "(a rep movsb of 512 bytes counts as {count} here)")?;
        }
        writeln!(
            f,
            "\n{:<30} {:<9} {:>9} {:>9} {:>9}  times",
            "call", "file", "median", "low", "high"
        )?;
        for line in &self.cases {
            write!(
                f,
                "{:<30} {:<9} {:>9.0} {:>9.0} {:>9.0}",
                line.name,
                line.target.unwrap_or("-"),
                line.units.median,
                line.units.low,
                line.units.high
            )?;
            if let Some(Ratio { to, times }) = &line.ratio {
                write!(
                    f,
                    "  {:.2} ({:.2} to {:.2}) of {to}",
                    times.median, times.low, times.high
                )?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    fn measured(name: &str, against: Option<usize>, medians: &[f64]) -> Measured {
        Measured {
            name: name.into(),
            target: None,
            against,
            medians: medians.to_vec(),
            means: medians.to_vec(),
        }
    }

    #[test]
    fn ratios_are_of_one_run() {
        // The second run was twice as slow for both: the ratio is none the worse for it.
        let cases = [
            measured("write(2)", None, &[100.0, 200.0, 100.0]),
            measured("checkpoint(2)", Some(0), &[300.0, 600.0, 310.0]),
        ];
        assert!(line(&cases, &cases[0]).unwrap().ratio.is_none());

        let line = line(&cases, &cases[1]).unwrap();
        assert_eq!(line.units.high, 600.0);
        let ratio = line.ratio.unwrap();
        assert_eq!(ratio.to, "write(2)");
        assert_eq!((ratio.times.low, ratio.times.high), (3.0, 3.1));
    }
}
