// SPDX-License-Identifier: GPL-2.0

//! `ckpt verify`: would restart(2) take this image?

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Error, Exit};
use crate::image::{self, Fault, Running, Summary};
use crate::input::{check_names, escape, Input};
use crate::output::{complain, Out};
use crate::text;

/// Check images as restart(2) does
///
/// Makes the checks of the kernel, by the kernel's own code: magic numbers, order, lengths and
/// limits of records, padding, and the checksum. Prints one line per image. Whether the image fits
/// the running kernel is checked with --kernel only.
// Each is an option of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files to read, - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// Refuse an image of another kernel than the running one
    #[arg(short, long)]
    kernel: bool,

    /// Check every image in the file, one behind the other
    #[arg(short, long)]
    all: bool,

    /// Print one JSON document
    #[arg(long)]
    json: bool,

    /// Print nothing about images, only set the exit code
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    ok: bool,
    images: Vec<Verdict>,
}

/// What is said about one image.
#[derive(Serialize)]
struct Verdict {
    image: String,
    /// Where in the input the image starts.
    start: u64,
    ok: bool,
    /// Bytes of a regular file behind the image; null where that is not known.
    following: Option<u64>,
    /// null if the image was refused.
    summary: Option<Summary>,
    /// null if the image is all right.
    error: Option<Fault>,
}

pub(crate) fn run(args: &Args, out: &mut Out) -> Result<Exit, Error> {
    check_names(&args.images)?;
    let running = args.kernel.then(Running::find).transpose()?;
    let mut verifier = Verifier {
        args,
        running,
        out,
        exit: Exit::Ok,
        verdicts: Vec::new(),
    };
    for path in &args.images {
        match Input::open(path) {
            Ok(input) => verifier.input(input.with_progress(true))?,
            // The other images get their lines, too.
            Err(error @ Error::System(..)) => {
                verifier.unreadable(escape(path), Fault::io(&error))?;
            }
            Err(error) => return Err(error),
        }
    }
    let Verifier { exit, verdicts, .. } = verifier;
    if args.json {
        out.json(&Report {
            schema: "ckpt.verify.v1",
            ok: exit == Exit::Ok,
            images: verdicts,
        })?;
    }
    Ok(exit)
}

struct Verifier<'a> {
    args: &'a Args,
    running: Option<Running>,
    out: &'a mut Out,
    exit: Exit,
    verdicts: Vec<Verdict>,
}

impl Verifier<'_> {
    /// Checks one image, or all, of an input.
    fn input(&mut self, mut input: Input) -> Result<(), Error> {
        loop {
            let start = input.taken();
            let result = image::verify(&mut input, self.running.as_ref());
            let good = result.is_ok();
            let shown = !self.args.json && !self.args.quiet && io::stdout().is_terminal();
            if shown || result.is_err() {
                input.end_progress();
            }
            let following = input.left().filter(|_| good);
            self.verdict(&input, start, following, result)?;
            // Behind a record that makes no sense nothing tells where the next image starts.
            if !self.args.all || !good || input.at_end()? {
                return Ok(());
            }
        }
    }

    /// Shows what came of the image that starts at `start`.
    fn verdict(
        &mut self,
        input: &Input,
        start: u64,
        following: Option<u64>,
        result: Result<Summary, Fault>,
    ) -> Result<(), Error> {
        let place = match start {
            0 => input.name().to_owned(),
            _ => format!("{}, from byte {start}", input.name()),
        };
        let summary = match result {
            Err(fault) if fault.exit() == Exit::System => {
                return self.unreadable(input.path().into(), fault)
            }
            Err(fault) => {
                self.exit = self.exit.max(fault.exit());
                self.line(format_args!("{place}: refused: {fault}"))?;
                Err(fault)
            }
            Ok(summary) => {
                let rest = following.filter(|&bytes| bytes > 0 && !self.args.all);
                let rest = rest.map_or(String::new(), |bytes| {
                    format!("; {} not looked at", text::count(bytes, "more byte"))
                });
                self.line(format_args!("{place}: ok: {summary}{rest}"))?;
                Ok(summary)
            }
        };
        self.remember(input.path().into(), start, following, summary);
        Ok(())
    }

    /// Says why an image could not be read.
    fn unreadable(&mut self, path: String, fault: Fault) -> Result<(), Error> {
        self.exit = self.exit.max(fault.exit());
        // Lines come in the order of the images, on a terminal at least.
        self.out.flush()?;
        complain(&fault);
        self.remember(path, 0, None, Err(fault));
        Ok(())
    }

    fn remember(
        &mut self,
        image: String,
        start: u64,
        following: Option<u64>,
        result: Result<Summary, Fault>,
    ) {
        if self.args.json {
            self.verdicts.push(Verdict {
                image,
                start,
                ok: result.is_ok(),
                following,
                error: result.as_ref().err().cloned(),
                summary: result.ok(),
            });
        }
    }

    fn line(&mut self, line: impl Display) -> Result<(), Error> {
        if self.args.json || self.args.quiet {
            return Ok(());
        }
        self.out.line(line)
    }
}
