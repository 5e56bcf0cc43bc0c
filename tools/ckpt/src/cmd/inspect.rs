// SPDX-License-Identifier: GPL-2.0

//! `ckpt inspect`: the records of an image, for people and for programs.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use ckpt_image::image::{name_of, BulkKind, Checker, Header, Refusal};
use ckpt_image::{RawBulk, RawRecord, Reader, References, TaskSummary, Tasks};
use serde::Serialize;

use crate::error::{Error, Exit};
use crate::field::{Fields, Shown};
use crate::image::{expect, Fault, Totals};
use crate::input::{escape, Input};
use crate::output::{complain, Out};
use crate::text;
use crate::tree::{self, Row};

/// Show the records of an image
///
/// Shows each record with its offset, type, length and fields, and at the end how much there is of
/// what. The contents of memory and pipes are not shown. If restart(2) would refuse the
/// image, the records are shown all the same as far as they can be told apart, and the first
/// reason is given at the end.
// Each is an option of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
#[derive(clap::Args)]
pub(crate) struct Args {
    /// File to read, - for standard input
    image: PathBuf,

    /// Show every image in the file, one behind the other
    #[arg(short, long)]
    all: bool,

    /// Print one JSON document
    #[arg(long)]
    json: bool,

    /// Show the bytes of each record in hexadecimal
    #[arg(short, long)]
    raw: bool,

    /// Show only how much there is of what
    #[arg(short, long, conflicts_with_all = ["json", "raw"])]
    summary: bool,
}

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    ok: bool,
    images: Vec<Image>,
}

#[derive(Serialize)]
struct Image {
    #[serde(rename = "image")]
    path: String,
    /// Where in the input the image starts.
    start: u64,
    ok: bool,
    /// Bytes that were read.
    bytes: u64,
    records: Vec<JsonRecord>,
    /// What is known of each task, as far as the image is all right.
    tasks: Vec<Row>,
    /// How much there is of what, likewise; null if there is no process.
    totals: Option<Totals>,
    /// null if the image is all right.
    error: Option<Fault>,
}

#[derive(Serialize)]
struct JsonRecord {
    offset: u64,
    #[serde(rename = "type")]
    number: i16,
    /// null if no type has that number.
    name: Option<&'static str>,
    length: i16,
    parent: u32,
    /// Did the image pass all checks up to here?
    ok: bool,
    fields: Fields,
    /// What is behind the record and is no record.
    #[serde(skip_serializing_if = "Option::is_none")]
    bulk: Option<JsonBulk>,
    /// Header, payload and padding.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
}

/// Contents of memory, a pipe or shared memory. The bytes are not in the document.
#[derive(Serialize)]
struct JsonBulk {
    /// "pages" or "data"
    kind: &'static str,
    offset: u64,
    bytes: u64,
}

pub(crate) fn run(args: &Args, out: &mut Out) -> Result<Exit, Error> {
    let (images, exit) = match Input::open(&args.image) {
        Ok(input) => images(args, input, out)?,
        Err(error @ Error::System(..)) if args.json => {
            complain(&error);
            let image = Image {
                path: escape(&args.image),
                start: 0,
                ok: false,
                bytes: 0,
                records: Vec::new(),
                tasks: Vec::new(),
                totals: None,
                error: Some(Fault::io(&error)),
            };
            (vec![image], error.exit())
        }
        Err(error) => return Err(error),
    };
    if args.json {
        out.json(&Report {
            schema: "ckpt.inspect.v1",
            ok: exit == Exit::Ok,
            images,
        })?;
    }
    Ok(exit)
}

/// Shows one image, or all.
fn images(args: &Args, input: Input, out: &mut Out) -> Result<(Vec<Image>, Exit), Error> {
    // A bar and a table on one terminal would be in each other's way.
    let mut input = input.with_progress(args.json || !io::stdout().is_terminal());
    let mut images = Vec::new();
    loop {
        let image = image(args, &mut input, out)?;
        let exit = image.error.as_ref().map_or(Exit::Ok, Fault::exit);
        images.push(image);
        // Behind a record that makes no sense nothing tells where the next image starts.
        if !args.all || exit != Exit::Ok || out.closed() || input.at_end()? {
            return Ok((images, exit));
        }
    }
}

/// Shows one image.
fn image(args: &Args, input: &mut Input, out: &mut Out) -> Result<Image, Error> {
    let start = input.taken();
    let mut judge = Judge::new();
    let mut refusal = None;
    let mut count = 0;
    let mut records = Vec::new();
    let mut reader = Reader::new(&mut *input);
    let error = loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        count += 1;
        if count == 1 && !args.json && !args.summary {
            heading(start, args.raw, out)?;
        }
        if refusal.is_none() {
            refusal = judge.judge(&record).err();
        }
        let ok = refusal.is_none();
        if args.json {
            records.push(json(record.clone(), args.raw, ok));
        } else if args.raw {
            raw(&record, out)?;
        } else if !args.summary {
            table(&record, ok, out)?;
        }
        if out.closed() || !(ok || plausible(&record)) {
            break None;
        }
    };
    let bytes = reader.offset();
    // The first error counts: what comes later may be its consequence.
    let error = match refusal {
        Some(refusal) => Some(Fault::from(refusal)),
        None => error.map(|error| Fault::new(error, input)),
    };

    let totals = Totals::new(&judge.totals);
    match &error {
        None if args.json || out.closed() => {}
        None => {
            let left = input.left().filter(|&bytes| bytes > 0 && !args.all);
            let rest = left.map_or(String::new(), |bytes| {
                format!("; {} not looked at", text::count(bytes, "more byte"))
            });
            if let Some(totals) = &totals {
                out.line(format_args!("# {totals}"))?;
            }
            if judge.tasks().len() > 1 {
                tree::table(judge.tasks(), out)?;
            }
            out.line(format_args!(
                "# {} in {}; all checks passed{rest}",
                text::count(bytes, "byte"),
                text::count(count, "record"),
            ))?;
        }
        Some(fault) => {
            input.end_progress();
            // The reason comes below the records.
            out.flush()?;
            match fault.exit() {
                Exit::Refused if args.json => {}
                Exit::Refused => complain(format_args!("{}: {fault}", input.name())),
                _ => complain(fault),
            }
        }
    }
    Ok(Image {
        path: input.path().into(),
        start,
        ok: error.is_none(),
        bytes,
        records,
        tasks: tree::rows(judge.tasks()),
        totals,
        error,
    })
}

/// Makes the checks of restart(2) on one record after the other, and counts what there is.
struct Judge {
    checker: Checker<'static>,
    references: References,
    totals: ckpt_image::Totals,
    tasks: Tasks,
}

impl Judge {
    fn new() -> Self {
        Judge {
            checker: Checker::new(expect(None)),
            references: References::new(),
            totals: ckpt_image::Totals::default(),
            tasks: Tasks::default(),
        }
    }

    /// What is known of the tasks so far.
    fn tasks(&self) -> &[TaskSummary] {
        self.tasks.tasks()
    }

    fn judge(&mut self, record: &RawRecord) -> Result<(), Refusal> {
        self.checker.header(&header_bytes(record.header))?;
        let item = self.checker.payload(&record.padded)?;
        self.references.take(&item, &mut self.checker)?;
        self.totals.take(&item);
        self.tasks.take(&item);
        match &record.bulk {
            Some(bulk) => self.checker.bulk_done(bulk.crc, &bulk.padding),
            None => Ok(()),
        }
    }
}

/// Is a record that was refused, or comes behind one, likely to be a record at all?
fn plausible(record: &RawRecord) -> bool {
    record.kind().is_some_and(|kind| {
        kind.payload_len()
            .is_none_or(|len| usize::from(len) == record.payload().len())
    })
}

fn header_bytes(header: Header) -> [u8; Header::SIZE] {
    let (kind, len, parent) = (
        header.kind.to_ne_bytes(),
        header.len.to_ne_bytes(),
        header.parent.to_ne_bytes(),
    );
    let mut bytes = [0; Header::SIZE];
    for (to, from) in bytes.iter_mut().zip([&kind[..], &len, &parent].concat()) {
        *to = from;
    }
    bytes
}

/// What comes above the first record.
fn heading(start: u64, raw: bool, out: &mut Out) -> Result<(), Error> {
    if start > 0 {
        out.line(format_args!("\n# from byte {start}"))?;
    }
    if raw {
        return Ok(());
    }
    out.line("  OFFSET  RECORD             LENGTH  FIELD            VALUE")
}

/// What a person calls the type of a record.
fn label(header: Header) -> String {
    format!("{} ({})", name_of(header.kind).unwrap_or("?"), header.kind)
}

/// One record as lines of the table: what record it is, and a field in each line. The records from
/// the first that was refused on have a mark.
fn table(record: &RawRecord, ok: bool, out: &mut Out) -> Result<(), Error> {
    let header = record.header;
    let mut left = format!(
        "{}{:>7}  {:<17}  {:>6}",
        if ok { ' ' } else { '!' },
        record.offset,
        label(header),
        header.len
    );
    let mut fields: Vec<(String, String)> = Vec::new();
    if header.parent != 0 {
        fields.push(("(parent)".into(), header.parent.to_string()));
    }
    for (field, value) in record.fields().into_iter().flatten() {
        let shown = Shown::new(name_of(header.kind), field.name, value);
        if !(field.is_reserved() && shown.is_zero()) {
            fields.push((field.name.into(), shown.for_people()));
        }
    }
    if fields.is_empty() {
        out.line(&left)?;
    }
    for (name, value) in fields {
        out.line(format_args!("{left}  {name:<20}  {value}"))?;
        left = " ".repeat(left.len());
    }
    if let Some(bulk) = &record.bulk {
        out.line(format_args!(
            "{}{:>7}  {:<17}  {:>6}  {}",
            if ok { ' ' } else { '!' },
            bulk.offset,
            "-",
            bulk.bulk.padded,
            contents(bulk)
        ))?;
    }
    Ok(())
}

/// What bulk data is, without its bytes.
fn contents(bulk: &RawBulk) -> String {
    match bulk.bulk.kind {
        BulkKind::Pages { nr_pages, task } => {
            format!("{} of task {task}", text::count(nr_pages.into(), "page"))
        }
        BulkKind::Data { objref, offset } => format!(
            "{} of object {objref}, from {offset} on",
            text::count(bulk.bulk.len, "byte")
        ),
    }
}

/// One record as a hex dump.
fn raw(record: &RawRecord, out: &mut Out) -> Result<(), Error> {
    out.line(format_args!(
        "# {}, length {}, parent {}",
        label(record.header),
        record.header.len,
        record.header.parent
    ))?;
    out.bytes(text::hexdump(record.offset, &bytes(record)).as_bytes())?;
    match &record.bulk {
        Some(bulk) => out.line(format_args!(
            "# {} at {:#x}, length {}, not shown",
            contents(bulk),
            bulk.offset,
            bulk.bulk.padded
        )),
        None => Ok(()),
    }
}

/// Header, payload and padding.
fn bytes(record: &RawRecord) -> Vec<u8> {
    [&header_bytes(record.header), record.padded.as_slice()].concat()
}

fn json(record: RawRecord, raw: bool, ok: bool) -> JsonRecord {
    let header = record.header;
    JsonRecord {
        offset: record.offset,
        number: header.kind,
        name: name_of(header.kind),
        length: header.len,
        parent: header.parent,
        ok,
        bulk: record.bulk.as_ref().map(|bulk| JsonBulk {
            kind: match bulk.bulk.kind {
                BulkKind::Pages { .. } => "pages",
                BulkKind::Data { .. } => "data",
            },
            offset: bulk.offset,
            bytes: bulk.bulk.len,
        }),
        raw: raw.then(|| text::hex(&bytes(&record))),
        fields: Fields::new(record),
    }
}
