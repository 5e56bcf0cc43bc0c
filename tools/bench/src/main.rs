// SPDX-License-Identifier: GPL-2.0

//! Measures checkpoint(2) and restart(2) beside write(2), read(2) and fork(2) of the same process.
//!
//! `tools/bench/run` boots the VM for it. Every figure is the median of several runs, in each of
//! which all cases take turns, so that what disturbs the machine meets all of them alike. What is
//! worth quoting is the ratio of two cases of one run.

mod case;
mod clock;
mod compare;
mod measure;
mod memory;
mod report;
mod stats;
mod subject;
mod sys;
mod tasks;
mod tool;
mod workload;

use std::env;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::clock::Clock;
use crate::measure::{Failure, Plan};
use crate::report::Report;
use crate::tool::Ground;
use crate::workload::Programs;

/// Measure checkpoint(2) and restart(2) beside write(2), read(2) and fork(2) of the same process
#[derive(Parser)]
#[command(name = "ckpt_bench", version, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 measured, 1 a call failed, 2 usage, 3 system error, \
    4 the kernel lacks the calls."
)]
struct Cli {
    #[command(subcommand)]
    commands: Option<Commands>,

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

/// What is measured of the commands, in place of the calls.
#[derive(Subcommand)]
enum Commands {
    /// Measure ckpt beside CRIU
    Criu {
        #[command(flatten)]
        common: Common,

        /// The command of CRIU
        #[arg(long, value_name = "FILE")]
        criu: PathBuf,

        /// The workload of this name only; repeat for more
        #[arg(long, value_name = "NAME")]
        workload: Vec<String>,
    },
    /// Measure what ckpt takes by the number of threads and of processes
    Tasks {
        #[command(flatten)]
        common: Common,

        /// Leave out numbers beyond this one
        #[arg(long, value_name = "COUNT", default_value_t = u32::MAX)]
        most: u32,
    },
}

#[derive(Args)]
struct Common {
    /// Runs, after one that does not count
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,

    /// The command of ckpt
    #[arg(long, value_name = "FILE", default_value = "ckpt")]
    ckpt: PathBuf,

    /// Where workload, libworkload.so and idle.py are
    #[arg(long, value_name = "FOLDER")]
    workloads: PathBuf,

    /// The interpreter for idle.py
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,

    /// Where images are made; in tmpfs
    #[arg(long, value_name = "FOLDER", default_value = "/dev/shm/ckpt_bench")]
    folder: PathBuf,

    /// Write all figures to FILE, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Common {
    fn ground(&self, criu: &Path) -> Result<Ground, Failure> {
        let programs = Programs {
            folder: self.workloads.clone(),
            python: self.python.clone(),
        };
        let (ckpt, folder) = (self.ckpt.clone(), self.folder.clone());
        Ground::new(programs, ckpt, criu.into(), folder)
    }
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
    match &cli.commands {
        None => run_calls(cli),
        Some(Commands::Criu {
            common,
            criu,
            workload,
        }) => {
            let found = compare::run(&common.ground(criu)?, common.runs, workload)?;
            tell(&found.report, common.json.as_deref())?;
            Ok(code_of(&found.failures))
        }
        Some(Commands::Tasks { common, most }) => {
            let found = tasks::run(&common.ground(Path::new(""))?, common.runs, *most)?;
            tell(&found.report, common.json.as_deref())?;
            Ok(code_of(&found.failures))
        }
    }
}

fn run_calls(cli: &Cli) -> Result<u8, Failure> {
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
    tell(&Report::new(&measurement)?, cli.json.as_deref())?;

    let lanes = measurement.lanes.iter();
    Ok(code_of(lanes.filter_map(|lane| lane.failure.as_ref())))
}

fn code_of<'a>(failures: impl IntoIterator<Item = &'a Failure>) -> u8 {
    let codes = failures.into_iter().map(Failure::exit_code);
    codes.max().unwrap_or(0)
}

/// Prints the table, and writes the document.
fn tell<T: Serialize + Display>(report: &T, path: Option<&Path>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    write!(out, "{report}")
        .and_then(|()| out.flush())
        .map_err(Failure::doing("write the table"))?;
    let Some(path) = path else {
        return Ok(());
    };
    // Numbers and strings only: this cannot fail.
    let mut json = serde_json::to_string_pretty(report).unwrap_or_default();
    json.push('\n');
    fs::write(path, json).map_err(Failure::doing(format!(
        "write the figures to {}",
        path.display()
    )))
}
