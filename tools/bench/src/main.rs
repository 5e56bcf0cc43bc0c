// SPDX-License-Identifier: GPL-2.0

//! Measures checkpoint(2) and restart(2) beside write(2), read(2) and fork(2) of the same process.
//!
//! `tools/bench/run` boots the VM for it. Every figure is the median of several runs, in each of
//! which all cases take turns, so that what disturbs the machine meets all of them alike. What is
//! worth quoting is the ratio of two cases of one run.

mod case;
mod clock;
mod measure;
mod memory;
mod report;
mod stats;
mod subject;
mod sys;

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::clock::Clock;
use crate::measure::{Failure, Plan};
use crate::report::Report;

/// Measure checkpoint(2) and restart(2) beside write(2), read(2) and fork(2) of the same process
#[derive(Parser)]
#[command(name = "ckpt_bench", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 measured, 1 a call failed, 2 usage, 3 system error, \
    4 the kernel lacks the calls."
)]
struct Cli {
    /// What to count
    #[arg(long, value_enum, default_value_t = Unit::Time)]
    unit: Unit,

    /// QEMU's -icount shift: an instruction takes 2^SHIFT ns
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10))]
    shift: u32,

    /// Runs; a figure is the median of them
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,

    /// Calls of each case in a run, for processes with little memory; for others it is one
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls: u32,

    /// Measure processes with so much memory, too
    #[arg(long, value_name = "MIB,...", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    resident: Vec<u32>,

    /// Write all figures to FILE, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Unit {
    /// Nanoseconds
    Time,
    /// Instructions; in a guest under QEMU's -icount with one CPU only
    Instructions,
}

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    if args.next().is_some_and(|arg| arg == subject::OPTION) {
        return subject::main(args);
    }
    let cli = Cli::parse();

    match run(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("ckpt_bench: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Measures, and tells what there is to tell. Returns the exit code: not all may have gone well.
fn run(cli: &Cli) -> Result<u8, Failure> {
    let clock = match cli.unit {
        Unit::Time => Clock::time(),
        Unit::Instructions => Clock::instructions(cli.shift)?,
    };
    let plan = Plan {
        runs: cli.runs,
        calls: cli.calls,
        processes: case::processes(&cli.resident),
    };
    let measurement = measure::run(&clock, plan)?;
    let report = Report::new(&measurement)?;

    let mut out = io::stdout().lock();
    write!(out, "{report}")
        .and_then(|()| out.flush())
        .map_err(Failure::doing("write the table"))?;
    if let Some(path) = &cli.json {
        fs::write(path, report.json()).map_err(Failure::doing(format!(
            "write the figures to {}",
            path.display()
        )))?;
    }

    let failures = measurement
        .lanes
        .iter()
        .filter_map(|lane| lane.failure.as_ref());
    Ok(failures.map(Failure::exit_code).max().unwrap_or(0))
}
