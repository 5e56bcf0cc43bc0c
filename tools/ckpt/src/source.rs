// SPDX-License-Identifier: GPL-2.0

//! Images that restart(2) is to read: the command looks at the first bytes, and leaves them there.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read, Seek, Write};
use std::mem::offset_of;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use ckpt_image::image::Header;
use ckpt_image::uapi;

use crate::error::{Doing, Error};
use crate::image;
use crate::input::{escape, Input};
use crate::output::complain;
use crate::sys;

/// Bytes of the first record.
pub(crate) const HEAD_BYTES: usize = Header::SIZE + size_of::<uapi::cr_hdr_head>();

/// How long to wait for more of a HEAD that comes in pieces. There is nothing to sleep on: what
/// has come is there to be read all the time.
const PIECE: Duration = Duration::from_millis(2);

/// What the first record says, as far as it matters here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Head {
    /// What checkpoint(2) returned.
    pub(crate) crid: i32,
    /// The pid of the first task.
    pub(crate) pid: i32,
    /// How many tasks there are.
    pub(crate) tasks: u32,
    /// The process was to be killed when the image was complete.
    pub(crate) kill: bool,
}

impl Head {
    /// Finds a HEAD in the first bytes of an image. What else is wrong with it is left to the
    /// kernel, which has the words for it.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let field = |at: usize| i32_at(bytes, Header::SIZE + at);
        let header = Header::parse(bytes.first_chunk()?);
        let magic = bytes.get(Header::SIZE..Header::SIZE + 8)?;
        if bytes.len() < HEAD_BYTES
            || number(header) != uapi::CR_HDR_HEAD
            || magic != uapi::CHECKPOINT_MAGIC_HEAD.to_ne_bytes()
        {
            return None;
        }
        Some(Head {
            crid: field(offset_of!(uapi::cr_hdr_head, crid))?,
            pid: field(offset_of!(uapi::cr_hdr_head, pid))?,
            tasks: u32_at(
                bytes,
                Header::SIZE + offset_of!(uapi::cr_hdr_head, nr_tasks),
            )?,
            kill: u64_at(bytes, Header::SIZE + offset_of!(uapi::cr_hdr_head, flags))?
                & u64::from(uapi::CHECKPOINT_KILL)
                != 0,
        })
    }
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(i32::from_ne_bytes(*field))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*field))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*field))
}

/// How the first bytes can be looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Access {
    /// Reading at an offset; the image starts at this one.
    Offset(u64),
    Pipe,
    Socket,
}

/// An image to restart from.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    file: File,
    access: Option<Access>,
    stdin: bool,
}

impl Source {
    /// Opens `path`, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let stdin = path == Path::new("-");
        let name = if stdin {
            "standard input".into()
        } else {
            escape(path)
        };
        let file = if stdin {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                return Err(Error::Usage(
                    "standard input is a terminal, not an image".into(),
                ));
            }
            stdin.as_fd().try_clone_to_owned().map(File::from)
        } else {
            File::open(path)
        };
        Self::new(name.clone(), file.doing(|| name.clone())?, stdin).doing(|| name)
    }

    fn new(name: String, mut file: File, stdin: bool) -> io::Result<Self> {
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        Ok(Source {
            name,
            access: access(&mut file, &meta),
            file,
            stdin,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(crate) fn is_stdin(&self) -> bool {
        self.stdin
    }

    /// Bytes from here to the end, if it is a regular file.
    pub(crate) fn size(&self) -> Option<u64> {
        let meta = self.file.metadata().ok().filter(Metadata::is_file)?;
        let at = (&self.file).stream_position().ok()?;
        Some(meta.len().saturating_sub(at))
    }

    /// Looks at the first record.
    ///
    /// Where that cannot be done without taking it, a thread copies the image to a pipe, which
    /// takes its place.
    pub(crate) fn head(&mut self) -> Result<Head, Error> {
        let mut bytes = [0; HEAD_BYTES];
        let got = self.peek(&mut bytes).doing(|| self.name.clone())?;
        match Head::parse(bytes.get(..got).unwrap_or(&bytes)) {
            Some(head) => Ok(head),
            None => Err(Error::Refused(format!(
                "{}: {}",
                self.name,
                match got {
                    0 => "there is no image",
                    HEAD_BYTES => "not a checkpoint image",
                    _ => "the image ends in its first record",
                }
            ))),
        }
    }

    /// Fills `bytes` with the first bytes of the image, as far as there are any, and returns how
    /// many.
    fn peek(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.access.is_none() {
            self.pump()?;
        }
        match self.access {
            Some(Access::Offset(start)) => peek_at(&self.file, bytes, start),
            Some(Access::Socket) => {
                peek_stream(self.fd(), bytes.len(), |_| sys::recv_peek(self.fd(), bytes))
            }
            _ => {
                let want = bytes.len();
                peek_stream(self.fd(), want, |available| {
                    let (mut read, write) = sys::pipe()?;
                    let got = sys::tee(self.fd(), write.as_fd(), available.min(want))?;
                    let bytes = bytes.get_mut(..got).unwrap_or_default();
                    read.read_exact(bytes)?;
                    Ok(got)
                })
            }
        }
    }

    /// Has a thread copy the image to a pipe.
    fn pump(&mut self) -> io::Result<()> {
        let (read, mut write) = sys::pipe()?;
        let mut from = std::mem::replace(&mut self.file, read);
        self.access = Some(Access::Pipe);
        let name = self.name.clone();
        let copy = move || match io::copy(&mut from, &mut write) {
            // The process that is restored has read to the end of the image.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => complain(Error::System(name, error)),
            Ok(_) => {}
        };
        // Signals are for the thread that can do something about them.
        sys::without_signals(|| thread::Builder::new().spawn(copy))?.map(drop)
    }

    /// Takes a whole image from a stream into memory, and no byte behind it. Makes the checks that
    /// restart(2) does.
    pub(crate) fn take_whole(&mut self) -> Result<(), Error> {
        if let Some(Access::Offset(_)) = self.access {
            return Ok(());
        }
        let mut memory = sys::memfd(c"ckpt-image").doing(|| "cannot make a memfd".into())?;
        let from = self.file.try_clone().doing(|| self.name.clone())?;
        let copy = Copy {
            from: Input::new(self.name.clone(), from),
            to: &memory,
        };
        match ckpt_image::verify(copy, image::expect(None)) {
            Ok(_) => {}
            Err(ckpt_image::Error::Io(error)) => {
                return Err(Error::System(self.name.clone(), error))
            }
            Err(why) => return Err(Error::Refused(format!("{}: {why}", self.name))),
        }
        memory.rewind().doing(|| "cannot use a memfd".into())?;
        self.file = memory;
        self.access = Some(Access::Offset(0));
        Ok(())
    }

    /// What the image says of the tasks, where that can be known before the image is read. Those
    /// that were found, if the image makes no sense behind them.
    pub(crate) fn tasks(&self) -> Option<Vec<Task>> {
        let Some(Access::Offset(mut at)) = self.access else {
            return None;
        };
        let mut tasks = Vec::new();
        // Bulk data comes behind the last task.
        while let Some((header, behind)) = header_at(&self.file, at) {
            match number(header) {
                uapi::CR_HDR_TASK => tasks.extend(Task::at(&self.file, at)),
                uapi::CR_HDR_PAGES | uapi::CR_HDR_DATA | uapi::CR_HDR_TAIL => break,
                _ => {}
            }
            at = behind;
        }
        Some(tasks)
    }
}

/// Reads, and keeps what was read.
struct Copy<'a> {
    from: Input,
    to: &'a File,
}

impl Read for Copy<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(buf)?;
        self.to.write_all(buf.get(..got).unwrap_or(buf))?;
        Ok(got)
    }
}

/// What an image says of a task, as far as it matters before the task is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Task {
    pub(crate) pid: i32,
    tgid: i32,
    sid: i32,
}

impl Task {
    /// Reads the TASK at `at`.
    fn at(file: &File, at: u64) -> Option<Self> {
        let task: [u8; size_of::<uapi::cr_hdr_task>()] = payload_at(file, at)?;
        Some(Task {
            pid: i32_at(&task, offset_of!(uapi::cr_hdr_task, pid))?,
            tgid: i32_at(&task, offset_of!(uapi::cr_hdr_task, tgid))?,
            sid: i32_at(&task, offset_of!(uapi::cr_hdr_task, sid))?,
        })
    }

    /// It was the leader of its thread group.
    pub(crate) fn leads(&self) -> bool {
        self.pid == self.tgid
    }

    /// It was the leader of its session.
    pub(crate) fn led_session(&self) -> bool {
        self.pid == self.sid
    }
}

/// How the first bytes of `file` can be looked at; `None` if in no way.
fn access(file: &mut File, meta: &Metadata) -> Option<Access> {
    let kind = meta.file_type();
    if kind.is_fifo() {
        Some(Access::Pipe)
    } else if kind.is_socket() {
        Some(Access::Socket)
    } else if kind.is_file() || kind.is_block_device() {
        file.stream_position().ok().map(Access::Offset)
    } else {
        None
    }
}

/// Reads at an offset as far as the file goes.
fn peek_at(file: &File, bytes: &mut [u8], start: u64) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = bytes.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, start.saturating_add(got as u64)) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Waits until `want` bytes can be read from a pipe or a socket, or all that will come, and has
/// `peek` look at them, which is told how many there are.
fn peek_stream(
    fd: BorrowedFd<'_>,
    want: usize,
    peek: impl FnOnce(usize) -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        let [ready] = sys::poll([fd], None)?;
        let available = sys::readable_bytes(fd)?;
        if available >= want || (ready.hangup && available > 0) {
            return peek(available);
        }
        if ready.hangup {
            return Ok(0);
        }
        thread::sleep(PIECE);
    }
}

/// The header of the record at `at`, and where the next record is.
fn header_at(file: &File, at: u64) -> Option<(Header, u64)> {
    let mut bytes = [0; Header::SIZE];
    file.read_exact_at(&mut bytes, at).ok()?;
    let header = Header::parse(&bytes);
    header.payload_len()?;
    let len = Header::SIZE as u64 + header.padded_len() as u64;
    Some((header, at.checked_add(len)?))
}

/// The number of the type that a header says.
fn number(header: Header) -> u32 {
    u16::from_ne_bytes(header.kind.to_ne_bytes()).into()
}

/// The first bytes of the payload of the record at `at`.
fn payload_at<const N: usize>(file: &File, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, at.checked_add(Header::SIZE as u64)?)
        .ok()?;
    Some(bytes)
}

/// What an image holds, in numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) tasks: u64,
    pub(crate) processes: u64,
    pub(crate) mappings: u64,
    pub(crate) fds: u64,
    pub(crate) pages: u64,
}

/// Counts what is in the image that starts at `start`. `None` if it has no end, or is none.
pub(crate) fn count(file: &File, start: u64) -> Option<Counts> {
    let mut counts = Counts::default();
    let mut at = start;
    // Behind which record bulk data comes, of how many bytes.
    let mut bulk: Option<(u32, u64)> = None;
    let mut page_size = 0;
    loop {
        let (header, behind) = header_at(file, at)?;
        let mut payload = [0; size_of::<uapi::cr_hdr_head>()];
        let len = payload.len().min(header.padded_len());
        let payload = payload.get_mut(..len)?;
        let kind = number(header);
        match kind {
            uapi::CR_HDR_HEAD | uapi::CR_HDR_PAGES | uapi::CR_HDR_DATA | uapi::CR_HDR_TAIL => {
                file.read_exact_at(payload, at + Header::SIZE as u64).ok()?;
            }
            _ => {}
        }
        let record = std::mem::replace(&mut at, behind);
        match kind {
            uapi::CR_HDR_HEAD => {
                page_size = u32_at(payload, offset_of!(uapi::cr_hdr_head, page_size))?.into();
            }
            uapi::CR_HDR_TASK => {
                counts.tasks += 1;
                counts.processes += u64::from(Task::at(file, record)?.leads());
            }
            uapi::CR_HDR_VMA => counts.mappings += 1,
            uapi::CR_HDR_FD => counts.fds += 1,
            uapi::CR_HDR_PAGES => {
                let pages = u32_at(payload, offset_of!(uapi::cr_hdr_pages, nr_pages))?.into();
                counts.pages = counts.pages.checked_add(pages)?;
                bulk = Some((uapi::CR_HDR_EXTENTS, pages.checked_mul(page_size)?));
            }
            uapi::CR_HDR_DATA => {
                let bytes = u64_at(payload, offset_of!(uapi::cr_hdr_data, len))?;
                bulk = Some((kind, bytes.checked_next_multiple_of(uapi::CR_ALIGN.into())?));
            }
            uapi::CR_HDR_TAIL => return Some(counts),
            _ => {}
        }
        if let Some((_, bytes)) = bulk.take_if(|(last, _)| *last == kind) {
            // Up to there is the payload of a PAD, unless nothing is left to fill.
            let begin = at.checked_sub(start)?.checked_next_multiple_of(page_size)?;
            at = start.checked_add(begin)?.checked_add(bytes)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use ckpt_image::ImageBuilder;

    use super::*;

    fn sample() -> Vec<u8> {
        let mut builder = ImageBuilder::new();
        builder.head.pid = 412;
        builder.head.crid = 7;
        builder.tasks[0].task.pid = 412;
        builder.tasks[0].task.sid = 412;
        builder.build()
    }

    fn source(file: File) -> Source {
        Source::new("x".into(), file, false).unwrap()
    }

    /// The head must be found, and the image still be there, all of it.
    fn whole(mut source: Source, access: Access) {
        let head = source.head().unwrap();
        let expected = Head {
            crid: 7,
            pid: 412,
            tasks: 1,
            kill: false,
        };
        assert_eq!(head, expected);
        assert_eq!(source.access, Some(access));
        let mut image = Vec::new();
        source.file.read_to_end(&mut image).unwrap();
        assert!(image == sample());
    }

    fn memfd(bytes: &[u8]) -> File {
        let mut file = sys::memfd(c"test").unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn file() {
        whole(source(memfd(&sample())), Access::Offset(0));
        // Behind something else.
        let mut file = memfd(&[vec![1; 1000], sample()].concat());
        file.seek(io::SeekFrom::Start(1000)).unwrap();
        whole(source(file), Access::Offset(1000));
    }

    #[test]
    fn pipe() {
        let (read, mut write) = sys::pipe().unwrap();
        write.write_all(&sample()).unwrap();
        drop(write);
        whole(source(read), Access::Pipe);
    }

    #[test]
    fn pipe_in_pieces() {
        let (read, mut write) = sys::pipe().unwrap();
        let writer = thread::spawn(move || {
            for piece in sample().chunks(50) {
                write.write_all(piece).unwrap();
                thread::sleep(Duration::from_millis(3));
            }
        });
        whole(source(read), Access::Pipe);
        writer.join().unwrap();
    }

    #[test]
    fn socket() {
        let (read, mut write) = UnixStream::pair().unwrap();
        let writer = thread::spawn(move || {
            for piece in sample().chunks(50) {
                write.write_all(piece).unwrap();
                thread::sleep(Duration::from_millis(3));
            }
            write.shutdown(Shutdown::Write).unwrap();
        });
        whole(source(OwnedFd::from(read).into()), Access::Socket);
        writer.join().unwrap();
    }

    #[test]
    fn anything_else_is_copied() {
        let mut source = source(memfd(&sample()));
        source.access = None;
        whole(source, Access::Pipe);
    }

    #[test]
    fn whole_images() {
        let mut builder = ImageBuilder::process();
        builder.head.flags = uapi::CHECKPOINT_KILL.into();
        let image = builder.build();
        let (read, mut write) = sys::pipe().unwrap();
        let both = [&*image, b"behind"].concat();
        let writer = thread::spawn(move || write.write_all(&both).unwrap());
        let mut behind = read.try_clone().unwrap();
        let mut stream = source(read);
        assert!(stream.head().unwrap().kill);
        assert_eq!(stream.tasks(), None);
        stream.take_whole().unwrap();
        writer.join().unwrap();
        assert_eq!(stream.tasks().unwrap().len(), 1);
        let mut copy = Vec::new();
        stream.file.read_to_end(&mut copy).unwrap();
        assert!(copy == image);
        let mut rest = String::new();
        behind.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "behind");

        let (read, mut write) = sys::pipe().unwrap();
        write.write_all(&sample()[..300]).unwrap();
        drop(write);
        assert!(matches!(source(read).take_whole(), Err(Error::Refused(_))));
    }

    #[test]
    fn what_is_no_image() {
        let complaint = |mut source: Source| match source.head() {
            Err(Error::Refused(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            complaint(source(memfd(&[0; 1000]))),
            "x: not a checkpoint image"
        );
        assert_eq!(complaint(source(memfd(b""))), "x: there is no image");
        for len in [1, 8, HEAD_BYTES - 1] {
            let part = &sample()[..len];
            assert_eq!(
                complaint(source(memfd(part))),
                "x: the image ends in its first record"
            );
            let (read, mut write) = sys::pipe().unwrap();
            write.write_all(part).unwrap();
            drop(write);
            assert_eq!(
                complaint(source(read)),
                "x: the image ends in its first record"
            );
        }
        let (read, write) = UnixStream::pair().unwrap();
        drop(write);
        assert_eq!(
            complaint(source(OwnedFd::from(read).into())),
            "x: there is no image"
        );
        let zeros = source(File::open("/dev/zero").unwrap());
        assert_eq!(complaint(zeros), "x: not a checkpoint image");
    }

    #[test]
    fn tasks() {
        let tasks = |image: &[u8]| source(memfd(image)).tasks().unwrap();
        let led = |image: &[u8]| tasks(image).first().map(Task::led_session);
        assert_eq!(led(&sample()), Some(true));
        let mut builder = ImageBuilder::new();
        builder.tasks[0].task.pid = 412;
        builder.tasks[0].task.sid = 1;
        assert_eq!(led(&builder.build()), Some(false));
        assert_eq!(led(&sample()[..HEAD_BYTES + 4]), None);
        let (read, _write) = sys::pipe().unwrap();
        assert_eq!(source(read).tasks(), None);

        let builder = ImageBuilder::tree();
        let found = tasks(&builder.build());
        let pids = |tasks: &[Task]| tasks.iter().map(|task| task.pid).collect::<Vec<_>>();
        let all: Vec<_> = builder.tasks.iter().map(|task| task.task.pid).collect();
        assert_eq!(pids(&found), all);
        assert_eq!(found.iter().filter(|task| task.leads()).count(), 7);
    }

    /// A record, with its padding.
    fn record(kind: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u16::try_from(kind).unwrap().to_ne_bytes());
        bytes.extend(u16::try_from(payload.len()).unwrap().to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn counts() {
        let whole = sample();
        let tail = whole.len() - Header::SIZE - size_of::<uapi::cr_hdr_tail>();
        let (mut image, tail) = (whole[..tail].to_vec(), &whole[tail..]);
        for _ in 0..3 {
            image.extend(record(uapi::CR_HDR_VMA, &[1; 48]));
        }
        image.extend(record(uapi::CR_HDR_FD, &[0; 16]));
        let pad = |image: &mut Vec<u8>| {
            let gap = image.len().next_multiple_of(4096) - image.len();
            if gap > 0 {
                image.extend(record(uapi::CR_HDR_PAD, &vec![0; gap - Header::SIZE]));
            }
            assert_eq!(image.len() % 4096, 0);
        };
        let pages = |nr: u32| {
            let words = [1, nr, 0, 0].map(u32::to_ne_bytes);
            record(uapi::CR_HDR_PAGES, words.as_flattened())
        };
        // The bytes of pages look like records of another kind.
        let noise = record(uapi::CR_HDR_FD, &[0; 16]);
        let page: Vec<u8> = noise.iter().copied().cycle().take(4096).collect();
        for nr in [2, 1] {
            image.extend(pages(nr));
            image.extend(record(uapi::CR_HDR_EXTENTS, &[0; 16]));
            pad(&mut image);
            image.extend(page.repeat(nr as usize));
        }
        let words = [1_u64, 0, 9].map(u64::to_ne_bytes);
        image.extend(record(uapi::CR_HDR_DATA, words.as_flattened()));
        pad(&mut image);
        image.extend([7; 16]);
        image.extend(tail);

        let expected = Counts {
            tasks: 1,
            processes: 1,
            mappings: 3,
            fds: 1,
            pages: 3,
        };
        assert_eq!(count(&memfd(&image), 0), Some(expected));
        let behind = [vec![5; 24], image.clone()].concat();
        assert_eq!(count(&memfd(&behind), 24), Some(expected));
        assert_eq!(count(&memfd(&image[..image.len() - 1]), 0), None);
        let minimal = Counts {
            tasks: 1,
            processes: 1,
            ..Counts::default()
        };
        assert_eq!(count(&memfd(&whole), 0), Some(minimal));
    }

    #[test]
    fn counts_are_those_of_the_checks() {
        let image = ImageBuilder::tree().build();
        let whole = ckpt_image::verify(&*image, crate::image::expect(None)).unwrap();
        let counts = Counts {
            tasks: whole.totals.tasks,
            processes: whole.totals.processes,
            mappings: whole.totals.mappings,
            fds: whole.totals.fds,
            pages: whole.totals.pages,
        };
        assert_ne!(counts, Counts::default());
        assert_eq!(count(&memfd(&image), 0), Some(counts));
    }
}
