// SPDX-License-Identifier: GPL-2.0

//! What is measured: calls, and what has to be there before them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use crate::image;
use crate::measure::Failure;
use crate::sys::{self, Call};

/// Calls, made one after the other as often as asked for.
pub(crate) struct Case {
    /// What is called.
    pub(crate) name: String,
    /// The kind of file, if the case is about one.
    pub(crate) target: Option<&'static str>,
    /// The case that it is to be held against, by its place in the list.
    pub(crate) against: Option<usize>,
    pub(crate) calls: Vec<Call>,
    prepare: Prepare,
    /// Keeps the descriptor open that the calls name.
    _file: Option<Rc<File>>,
}

/// What is done before a chunk of calls, unmeasured.
enum Prepare {
    Nothing,
    /// Puts the position of a file back to its beginning.
    Rewind(Rc<File>),
    /// Empties a stream.
    Drain(Rc<File>),
    /// Empties a stream, and fills it with an image for each call.
    Fill {
        reader: Rc<File>,
        writer: Rc<File>,
        image: &'static [u8],
    },
}

impl Case {
    /// Makes everything ready for `times` calls.
    pub(crate) fn prepare(&self, times: u32) -> io::Result<()> {
        match &self.prepare {
            Prepare::Nothing => Ok(()),
            Prepare::Rewind(file) => match Call::rewind(file.as_ref()).once() {
                Ok(_) => Ok(()),
                Err(wrong) => Err(wrong
                    .error()
                    .unwrap_or_else(|| io::Error::other("lseek(2) did not go to the beginning"))),
            },
            Prepare::Drain(reader) => drain(reader),
            Prepare::Fill {
                reader,
                writer,
                image,
            } => {
                drain(reader)?;
                (0..times).try_for_each(|_| writer.as_ref().write_all(image))
            }
        }
    }
}

/// A case to run without its call.
pub(crate) fn empty() -> Case {
    Case {
        name: "nothing".into(),
        target: None,
        against: None,
        calls: vec![Call::getpid()],
        prepare: Prepare::Nothing,
        _file: None,
    }
}

/// Reads all that is in a stream now.
fn drain(mut reader: &File) -> io::Result<()> {
    let mut buffer = vec![0; 65536];

    while sys::readable(reader)? > 0 {
        if reader.read(&mut buffer)? == 0 {
            break;
        }
    }
    Ok(())
}

/// The bytes of one image of this process, and in which pieces restart(2) reads it.
pub(crate) struct Sample {
    pub(crate) bytes: &'static [u8],
    pub(crate) pieces: Vec<usize>,
}

/// Takes a checkpoint of this process, and holds it against what it should be.
pub(crate) fn sample() -> Result<Sample, Failure> {
    let mut file = sys::memfd(c"sample").map_err(Failure::doing("memfd_create"))?;
    let call = Call::checkpoint(&file);
    call.once()
        .map_err(|wrong| Failure::wrong("checkpoint(2)", &wrong))?;

    let mut bytes = Vec::new();
    rewind(&file)?;
    file.read_to_end(&mut bytes)
        .map_err(Failure::doing("read the image"))?;
    let pieces =
        image::pieces(&bytes).map_err(|malformed| Failure::Image(malformed.to_string()))?;

    rewind(&file)?;
    Call::restart(&file)
        .once()
        .map_err(|wrong| Failure::wrong("restart(2)", &wrong))?;
    Ok(Sample {
        bytes: bytes.leak(),
        pieces,
    })
}

fn rewind(file: &File) -> Result<(), Failure> {
    Call::rewind(file)
        .once()
        .map_err(|wrong| Failure::wrong("lseek(2)", &wrong))?;
    Ok(())
}

fn buffer(len: usize) -> &'static mut [u8] {
    vec![0; len].leak()
}

/// The list of cases. Files hold `chunk` images.
pub(crate) fn all(sample: &Sample, chunk: u32) -> io::Result<Vec<Case>> {
    let mut list = List {
        cases: Vec::new(),
        sample,
    };
    let image = sample.bytes;

    // So often that their pages are there from now on.
    let file = Rc::new(sys::memfd(c"image")?);
    for _ in 0..chunk {
        file.as_ref().write_all(image)?;
    }
    let null = Rc::new(OpenOptions::new().write(true).open("/dev/null")?);
    let (pipe_reader, pipe_writer) = sys::pipe()?;
    let (pipe_reader, pipe_writer) = (Rc::new(pipe_reader), Rc::new(pipe_writer));
    let (a, b) = UnixStream::pair()?;
    let [socket_reader, socket_writer] = [a, b].map(|s| Rc::new(File::from(OwnedFd::from(s))));

    list.writing("tmpfs", &file, || Prepare::Rewind(file.clone()));
    list.writing("/dev/null", &null, || Prepare::Nothing);
    list.writing("pipe", &pipe_writer, || Prepare::Drain(pipe_reader.clone()));
    list.writing("socket", &socket_writer, || {
        Prepare::Drain(socket_reader.clone())
    });

    list.reading("tmpfs", &file, || Prepare::Rewind(file.clone()));
    for (target, reader, writer) in [
        ("pipe", &pipe_reader, &pipe_writer),
        ("socket", &socket_reader, &socket_writer),
    ] {
        list.reading(target, reader, || Prepare::Fill {
            reader: reader.clone(),
            writer: writer.clone(),
            image,
        });
    }

    let pieces: Vec<Call> = sample
        .pieces
        .iter()
        .map(|&len| Call::read(file.as_ref(), buffer(len)))
        .collect();
    list.cases.push(Case {
        name: format!("read(2) in {} pieces", pieces.len()),
        target: Some("tmpfs"),
        against: None,
        calls: pieces,
        prepare: Prepare::Rewind(file.clone()),
        _file: Some(file.clone()),
    });
    list.part("getpid(2)", Call::getpid());
    list.part("getrusage(2)", Call::usage(sys::new_usage()));
    list.part("prctl(2) PR_SET_NAME", Call::set_name(c"ckpt_bench"));
    list.part("checkpoint(2) refused: fd", Call::checkpoint_fd());
    list.part("checkpoint(2) refused: flags", Call::checkpoint_flags());
    list.part("restart(2) refused: fd", Call::restart_fd());
    Ok(list.cases)
}

struct List<'a> {
    cases: Vec<Case>,
    sample: &'a Sample,
}

impl List<'_> {
    fn pair(
        &mut self,
        target: &'static str,
        file: &Rc<File>,
        (base, base_call): (&str, Call),
        (name, call): (&str, Call),
        prepare: impl Fn() -> Prepare,
    ) {
        let against = self.cases.len();

        for (name, call, against) in [(base, base_call, None), (name, call, Some(against))] {
            self.cases.push(Case {
                name: name.to_owned(),
                target: Some(target),
                against,
                calls: vec![call],
                prepare: prepare(),
                _file: Some(file.clone()),
            });
        }
    }

    /// checkpoint(2) to a file, and write(2) of the same bytes.
    fn writing(&mut self, target: &'static str, file: &Rc<File>, prepare: impl Fn() -> Prepare) {
        self.pair(
            target,
            file,
            ("write(2)", Call::write(file.as_ref(), self.sample.bytes)),
            ("checkpoint(2)", Call::checkpoint(file.as_ref())),
            prepare,
        );
    }

    /// restart(2) from a file, and read(2) of the same bytes.
    fn reading(&mut self, target: &'static str, file: &Rc<File>, prepare: impl Fn() -> Prepare) {
        let to = buffer(self.sample.bytes.len());

        self.pair(
            target,
            file,
            ("read(2)", Call::read(file.as_ref(), to)),
            ("restart(2)", Call::restart(file.as_ref())),
            prepare,
        );
    }

    /// A call without a file.
    fn part(&mut self, name: &str, call: Call) {
        self.cases.push(Case {
            name: name.to_owned(),
            target: None,
            against: None,
            calls: vec![call],
            prepare: Prepare::Nothing,
            _file: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything but the two calls themselves works on any kernel.
    #[test]
    fn cases_without_the_calls() {
        let mut image = Vec::new();
        for len in [24i16, 0, 16] {
            image.extend([1, 0]);
            image.extend(len.to_ne_bytes());
            image.resize(image.len() + 4 + usize::try_from(len).unwrap(), 0);
        }
        let sample = Sample {
            pieces: image::pieces(&image).unwrap(),
            bytes: image.leak(),
        };
        let times = 64;
        let cases = all(&sample, times).unwrap();

        for case in &cases {
            if case.name.contains("checkpoint") || case.name.contains("restart") {
                continue;
            }
            for _ in 0..3 {
                case.prepare(times).unwrap();
                sys::repeat::<true>(&case.calls, times).unwrap();
            }
        }
        for (i, case) in cases.iter().enumerate() {
            assert_eq!(
                case.against.is_some(),
                matches!(case.name.as_str(), "checkpoint(2)" | "restart(2)")
            );
            if let Some(against) = case.against {
                assert!(against < i && cases[against].target == case.target);
            }
        }
    }
}
