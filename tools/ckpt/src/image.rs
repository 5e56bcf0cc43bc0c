// SPDX-License-Identifier: GPL-2.0

//! Images, and why one is refused.

use std::fmt;

use ckpt_image::image::{name_of, Expect, Kernel, Reason, Refusal};
use ckpt_image::uapi;
use serde::Serialize;

use crate::error::{Doing, Error, Exit};
use crate::input::Input;
use crate::sys::{self, Uname};
use crate::text;
use crate::tree::{self, Row};

/// `CHECKPOINT_LOG`: have the kernel write to `logfd` why it refuses.
pub(crate) const LOG: u64 = uapi::CHECKPOINT_LOG as u64;

/// `CHECKPOINT_FLAGS`: the flags that an image can have been written with.
const FLAGS: u64 = uapi::CHECKPOINT_FLAGS as u64;

/// The running kernel, as far as an image must come from the same.
pub(crate) struct Running {
    pub(crate) uname: Uname,
    pub(crate) page_size: u32,
    version: (u16, u16, u16),
}

impl Running {
    pub(crate) fn find() -> Result<Self, Error> {
        let uname = sys::uname().doing(|| "cannot tell which kernel runs".into())?;
        let page_size = sys::page_size().doing(|| "cannot tell the size of a page".into())?;
        Ok(Running {
            version: version(&uname.release),
            uname,
            page_size,
        })
    }

    fn kernel(&self) -> Kernel<'_> {
        Kernel {
            version: self.version,
            release: &self.uname.release,
            text: &self.uname.version,
            machine: &self.uname.machine,
            page_size: self.page_size,
        }
    }
}

/// What is expected of an image: that it is valid, and that it is from `running`.
pub(crate) fn expect(running: Option<&Running>) -> Expect<'_> {
    Expect {
        kernel: running.map(Running::kernel),
        crid: None,
        flags: FLAGS,
    }
}

/// The numbers that a release such as `7.3.4-rc1+` begins with; what is missing is 0.
fn version(release: &[u8]) -> (u16, u16, u16) {
    let text = text::escape(release);
    let digits = text
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .map_or(text.as_str(), |end| &text[..end]);
    let mut numbers = digits.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

/// What an image that was read to its end holds.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// What checkpoint(2) returned.
    #[serde(rename = "id")]
    pub(crate) crid: i32,
    /// Seconds since 1970.
    pub(crate) time: u64,
    /// utsname release of the kernel that wrote it.
    pub(crate) release: String,
    /// utsname machine of that kernel.
    pub(crate) machine: String,
    /// The names of the tasks.
    pub(crate) tasks: Vec<String>,
    /// What is known of each task.
    tree: Vec<Row>,
    /// How much there is of what; null if the image has no process.
    totals: Option<Totals>,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// How much there is of what in an image.
#[derive(Debug, Serialize)]
pub(crate) struct Totals {
    tasks: u64,
    /// Tasks that lead their thread group.
    processes: u64,
    /// Tasks that have ended.
    zombies: u64,
    /// Address spaces.
    spaces: u64,
    /// Open file descriptions.
    files: u64,
    pipes: u64,
    shms: u64,
    /// Deleted files and directories.
    deleted: u64,
    fds: u64,
    /// Timers of `timer_create(2)`.
    timers: u64,
    /// Signals with an action.
    actions: u64,
    /// Pending signals.
    pending: u64,
    mappings: u64,
    /// Bytes of all mappings.
    mapped: u64,
    /// Pages whose contents are in the image.
    pages: u64,
    /// Contents of objects, in bytes.
    data: u64,
}

impl Totals {
    /// What is in an image with a process; nothing to tell of without one.
    pub(crate) fn new(totals: &ckpt_image::Totals) -> Option<Self> {
        totals.has_process().then_some(Totals {
            tasks: totals.tasks,
            processes: totals.processes,
            zombies: totals.zombies,
            spaces: totals.spaces,
            files: totals.files,
            pipes: totals.pipes,
            shms: totals.shms,
            deleted: totals.deleted,
            fds: totals.fds,
            timers: totals.timers,
            actions: totals.actions,
            pending: totals.pending,
            mappings: totals.mappings,
            mapped: totals.mapped,
            pages: totals.pages,
            data: totals.data,
        })
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", text::count(self.tasks, "task"))?;
        if self.tasks > 1 {
            write!(
                f,
                " in {}, {}, {}",
                processes(self.processes),
                text::count(self.zombies, "zombie"),
                text::count(self.spaces, "address space")
            )?;
        }
        for (number, what) in [
            (self.mappings, "mapping"),
            (self.fds, "descriptor"),
            (self.files, "open file"),
            (self.pipes, "pipe"),
            (self.shms, "shared memory object"),
            (self.deleted, "deleted file"),
            (self.timers, "timer"),
            (self.actions, "signal action"),
            (self.pending, "pending signal"),
            (self.pages, "page"),
        ] {
            write!(f, ", {}", text::count(number, what))?;
        }
        write!(f, ", {} of data", text::count(self.data, "byte"))
    }
}

/// So many processes.
pub(crate) fn processes(count: u64) -> String {
    match count {
        1 => "1 process".into(),
        _ => format!("{count} processes"),
    }
}

impl Summary {
    fn new(image: &ckpt_image::Summary) -> Self {
        Summary {
            crid: image.head.crid,
            time: image.head.time,
            release: text::escape(text::until_nul(&image.head.release)),
            machine: text::escape(text::until_nul(&image.head.machine)),
            tasks: image
                .tasks
                .iter()
                .map(|task| text::escape(&task.comm))
                .collect(),
            tree: tree::rows(&image.tasks),
            totals: Totals::new(&image.totals),
            records: image.records,
            bytes: image.bytes,
        }
    }

    /// The name of the first task.
    pub(crate) fn name(&self) -> &str {
        self.tasks.first().map_or("", String::as_str)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "id {}, ", self.crid)?;
        match self.tasks.as_slice() {
            [name] => write!(f, "task \"{name}\"")?,
            tasks => {
                let leaders = self.tree.iter().filter(|row| row.leads()).count();
                write!(
                    f,
                    "task \"{}\" and {} more in {}",
                    self.name(),
                    tasks.len().saturating_sub(1),
                    processes(leaders as u64)
                )?;
            }
        }
        write!(
            f,
            ", {}, {}",
            text::count(self.bytes, "byte"),
            text::count(self.records, "record")
        )?;
        if let Some(totals) = &self.totals {
            write!(
                f,
                ", {}, {}, {}",
                text::count(totals.mappings, "mapping"),
                text::count(totals.fds, "descriptor"),
                text::count(totals.pages, "page")
            )?;
        }
        Ok(())
    }
}

/// Why an image could not be read to its end.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fault {
    kind: FaultKind,
    /// Where in the image the record starts that is at fault; null if no record is.
    offset: Option<u64>,
    /// The name of its type; null if it has none.
    record: Option<&'static str>,
    message: String,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum FaultKind {
    /// restart(2) would say EINVAL.
    Invalid,
    /// The image ends too early: restart(2) would say EPIPE.
    Truncated,
    /// The image could not be read.
    Io,
}

impl Fault {
    /// Nothing could be read at all.
    pub(crate) fn io(error: &Error) -> Self {
        Fault {
            kind: FaultKind::Io,
            offset: None,
            record: None,
            message: error.to_string(),
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self.kind {
            FaultKind::Invalid | FaultKind::Truncated => Exit::Refused,
            FaultKind::Io => Exit::System,
        }
    }
}

impl Fault {
    /// `error` came up while `input` was read.
    pub(crate) fn new(error: ckpt_image::Error, input: &Input) -> Self {
        use ckpt_image::Error::{Io, NotAnImage, Refused};
        match error {
            Refused(refusal) => refusal.into(),
            NotAnImage => Fault {
                kind: FaultKind::Invalid,
                offset: Some(0),
                record: None,
                message: error.to_string(),
            },
            Io(error) => Fault::io(&Error::System(input.name().into(), error)),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Fault {
            kind: match refusal.reason {
                Reason::Truncated { .. } => FaultKind::Truncated,
                _ => FaultKind::Invalid,
            },
            offset: Some(refusal.offset),
            record: name_of(refusal.record),
            message: refusal.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Reads one image, with every check of restart(2)'s, and no byte behind it.
pub(crate) fn verify(input: &mut Input, running: Option<&Running>) -> Result<Summary, Fault> {
    ckpt_image::verify(&mut *input, expect(running))
        .map(|summary| Summary::new(&summary))
        .map_err(|error| Fault::new(error, input))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions() {
        assert_eq!(version(b"7.3.4"), (7, 3, 4));
        assert_eq!(version(b"7.3.4-1-amd64"), (7, 3, 4));
        assert_eq!(version(b"7.3.4+"), (7, 3, 4));
        assert_eq!(version(b"7.4.0-rc1"), (7, 4, 0));
        assert_eq!(version(b"7.3"), (7, 3, 0));
        assert_eq!(version(b""), (0, 0, 0));
        assert_eq!(version(b"99999.1.1"), (0, 1, 1));
    }
}
