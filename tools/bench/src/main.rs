// SPDX-License-Identifier: GPL-2.0

//! Measures checkpoint(2) and restart(2) beside write(2) and read(2) of the same bytes.
//!
//! `tools/bench/run` boots the VM for it. Every figure is the median of several runs, in each of
//! which all cases take turns, so that what disturbs the machine meets all of them alike. What is
//! worth quoting is the ratio of two cases of one run.

mod case;
mod clock;
mod image;
mod measure;
mod report;
mod stats;
mod sys;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::clock::Clock;
use crate::measure::{Failure, Plan};
use crate::report::Report;

/// Measure checkpoint(2) and restart(2) beside write(2) and read(2) of the same bytes
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
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,

    /// Calls of each case in a run
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls: u32,

    /// Write all figures to FILE, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Unit {
    /// Nanoseconds
    Time,
    /// Instructions; in a guest under QEMU's -icount only
    Instructions,
}

fn main() -> ExitCode {
    let cli = Cli::parse();

    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ckpt_bench: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let clock = match cli.unit {
        Unit::Time => Clock::time(),
        Unit::Instructions => Clock::instructions(cli.shift)?,
    };
    let measurement = measure::run(&clock, Plan::new(&clock, cli.runs, cli.calls))?;
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
    Ok(())
}
