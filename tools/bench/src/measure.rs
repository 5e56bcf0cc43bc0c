// SPDX-License-Identifier: GPL-2.0

//! The runs.

use std::borrow::Cow;
use std::fmt;
use std::io;

use crate::case::{self, Case};
use crate::clock::Clock;
use crate::stats;
use crate::sys::{self, Wrong};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) runs: u32,
    /// Calls of each case in a run: a whole number of chunks.
    pub(crate) calls: u32,
    /// Calls between two looks at the clock.
    pub(crate) chunk: u32,
}

impl Plan {
    pub(crate) fn new(clock: &Clock, runs: u32, calls: u32) -> Self {
        let chunk = clock.chunk();

        Plan {
            runs,
            calls: calls.next_multiple_of(chunk),
            chunk,
        }
    }

    fn chunks(self) -> u32 {
        self.calls / self.chunk
    }
}

/// Why nothing was measured.
pub(crate) enum Failure {
    /// The kernel does not have the calls.
    NoCalls(&'static str),
    /// A call did not answer as it should.
    Call { call: String, answer: String },
    /// What checkpoint(2) wrote is no image.
    Image(String),
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

    pub(crate) fn wrong(call: &str, wrong: &Wrong) -> Self {
        match wrong.error() {
            Some(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                Failure::NoCalls(if call.starts_with("restart") {
                    "restart(2)"
                } else {
                    "checkpoint(2)"
                })
            }
            Some(error) => Failure::Call {
                call: call.to_owned(),
                answer: error.to_string(),
            },
            None => Failure::Call {
                call: call.to_owned(),
                answer: format!("unexpected answer {}", wrong.answer),
            },
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Call { .. } | Failure::Image(_) => 1,
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
            Failure::Call { call, answer } => write!(f, "{call}: {answer}"),
            Failure::Image(what) => write!(f, "checkpoint(2): {what}"),
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
    pub(crate) name: String,
    pub(crate) target: Option<&'static str>,
    pub(crate) against: Option<usize>,
    /// Units per call, without the loop around it: the median of each run's chunks.
    pub(crate) medians: Vec<f64>,
    /// Likewise the mean, which has every interrupt in it.
    pub(crate) means: Vec<f64>,
}

/// What was measured of all.
pub(crate) struct Measurement {
    pub(crate) plan: Plan,
    pub(crate) unit: &'static str,
    pub(crate) string: Option<u64>,
    pub(crate) image: usize,
    pub(crate) cases: Vec<Measured>,
}

pub(crate) fn run(clock: &Clock, plan: Plan) -> Result<Measurement, Failure> {
    let sample = case::sample()?;
    let cases = case::all(&sample, plan.chunk).map_err(Failure::doing("open files"))?;
    sys::stay_on_cpu().map_err(Failure::doing("sched_setaffinity"))?;

    let mut measured: Vec<Measured> = cases
        .iter()
        .map(|case| Measured {
            name: case.name.clone(),
            target: case.target,
            against: case.against,
            medians: Vec::new(),
            means: Vec::new(),
        })
        .collect();
    // The first run warms everything up.
    for run in 0..=plan.runs {
        let figures = one_run(clock, plan, &cases)?;
        if run == 0 {
            continue;
        }
        for (measured, mut figures) in measured.iter_mut().zip(figures) {
            let mean = figures.iter().sum::<f64>() / f64::from(plan.chunks());
            measured.means.push(mean);
            measured.medians.extend(stats::median(&mut figures));
        }
    }
    Ok(Measurement {
        plan,
        unit: clock.unit(),
        string: clock.string(),
        image: sample.bytes.len(),
        cases: measured,
    })
}

/// Returns for each case what each chunk took, per call. The cases take turns chunk by chunk.
fn one_run(clock: &Clock, plan: Plan, cases: &[Case]) -> Result<Vec<Vec<f64>>, Failure> {
    let mut figures = vec![Vec::with_capacity(plan.chunks() as usize); cases.len()];
    let empty = overhead(clock, plan)?;

    for _ in 0..plan.chunks() {
        for (case, figures) in cases.iter().zip(&mut figures) {
            case.prepare(plan.chunk)
                .map_err(Failure::doing("prepare a file"))?;
            let taken = time::<true>(clock, plan.chunk, case)?;
            figures.push((taken - empty) / f64::from(plan.chunk));
        }
    }
    Ok(figures)
}

/// Units that a chunk takes.
fn time<const REAL: bool>(clock: &Clock, chunk: u32, case: &Case) -> Result<f64, Failure> {
    let begin = clock.now();
    let done = sys::repeat::<REAL>(&case.calls, chunk);
    let end = clock.now();

    done.map_err(|wrong| Failure::wrong(&case.name, &wrong))?;
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    Ok(clock.units(end.wrapping_sub(begin)) as f64)
}

/// Units that a chunk takes without the calls.
fn overhead(clock: &Clock, plan: Plan) -> Result<f64, Failure> {
    let empty = case::empty();
    let mut figures = (0..101)
        .map(|_| time::<false>(clock, plan.chunk, &empty))
        .collect::<Result<Vec<f64>, Failure>>()?;

    Ok(stats::median(&mut figures).unwrap_or(0.0))
}
