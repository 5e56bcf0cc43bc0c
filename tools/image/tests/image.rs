// SPDX-License-Identifier: GPL-2.0

//! The image of one task is taken, and nothing else is.

use ckpt_image::{
    image::{
        name_of,
        Checker,
        Errno,
        Expect,
        Field,
        FieldKind,
        Head,
        Header,
        Kind,
        Reason,
        Record as _,
        Refusal,
        Tail,
        Task,
        TaskStats,
        Text,
        UtsText, //
    },
    reseal,
    rewrite,
    uapi,
    verify,
    Error,
    ImageBuilder,
    Reader,
    SAMPLE_KERNEL, //
};
use proptest::{
    collection::vec,
    prelude::*, //
};
use std::io;
use zerocopy::IntoBytes;

const ANY: Expect<'static> = Expect {
    kernel: None,
    crid: None,
    flags: uapi::CHECKPOINT_FLAGS as u64,
};

/// What restart(2) expects when it is given the id of the image.
const EXACT: Expect<'static> = Expect {
    kernel: Some(SAMPLE_KERNEL),
    crid: Some(1),
    flags: uapi::CHECKPOINT_FLAGS as u64,
};

// Where the records of `ImageBuilder::new()` begin.
const HEAD: usize = 0;
const TASK: usize = HEAD + 8 + 240;
const STRING: usize = TASK + 8 + 72;
const TASK_STATS: usize = STRING + 8 + 16;
const TAIL: usize = TASK_STATS + 8 + 104;
const LEN: usize = TAIL + 8 + 16;

fn refusal(image: &[u8], expect: Expect<'_>) -> Refusal {
    match verify(image, expect) {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Why a sample that was changed by `change` is refused, although its checksum is right.
fn why(change: impl FnOnce(&mut ImageBuilder)) -> String {
    let mut builder = ImageBuilder::new();
    change(&mut builder);
    refusal(&builder.build(), EXACT).to_string()
}

#[test]
fn valid_image() {
    let image = ImageBuilder::new().build();
    assert_eq!(image.len(), LEN);
    for expect in [ANY, EXACT] {
        let summary = verify(&*image, expect).unwrap();
        assert_eq!(summary.bytes, image.len() as u64);
        assert_eq!(summary.records, 5);
        assert_eq!(summary.head, ImageBuilder::new().head);
        assert_eq!(summary.tasks.len(), 1);
        assert_eq!(summary.tasks[0].comm, b"sample");
        assert_eq!(summary.tasks[0].stats, ImageBuilder::new().tasks[0].stats);
    }
}

#[test]
fn every_truncation_is_an_early_end() {
    let image = ImageBuilder::new().build();
    for len in 0..image.len() {
        let refusal = refusal(&image[..len], EXACT);
        assert_eq!(refusal.errno(), Errno::Pipe, "{len}: {refusal}");
        let Reason::Truncated { found, expected } = refusal.reason else {
            panic!("{len}: {refusal}");
        };
        assert!(found < expected, "{len}: {refusal}");

        // The inspector says the same, after it has shown what there is.
        let records: Vec<_> = Reader::new(&image[..len]).collect();
        let (last, whole) = records.split_last().unwrap();
        assert!(whole.iter().all(Result::is_ok));
        match last {
            Err(Error::Refused(same)) => assert_eq!(*same, refusal),
            other => panic!("{len}: {other:?}"),
        }
    }
}

#[test]
fn every_changed_byte_is_refused() {
    let mut image = ImageBuilder::new().build();
    let mut tried = 0;
    for at in 0..image.len() {
        let was = image[at];
        for byte in (0..=u8::MAX).filter(|&byte| byte != was) {
            image[at] = byte;
            for expect in [ANY, EXACT] {
                assert!(verify(&*image, expect).is_err(), "{at}: {was} -> {byte}");
            }
            tried += 1;
        }
        image[at] = was;
    }
    assert_eq!(tried, LEN * 255);
}

/// What may be anything, if somebody who changes it also mends the checksum.
#[test]
fn every_changed_byte_behind_the_checksum() {
    let any_value = [
        (HEAD, Kind::Head, &["time"][..]),
        // Only five bits of the flags, only some signals, and no negative numbers.
        (HEAD, Kind::Head, &["flags"]),
        (TASK, Kind::Task, &["exit_signal", "pgid", "sid", "flags"]),
        (STRING, Kind::String, &["text"]),
    ];
    let is_free = |at: usize| {
        (TASK_STATS + 8..TAIL).contains(&at)
            || any_value.iter().any(|(record, kind, names)| {
                let fields = kind.fields().iter();
                fields.filter(|f| names.contains(&f.name)).any(|field| {
                    let size = if *kind == Kind::String {
                        16
                    } else {
                        field.size
                    };
                    let begin = record + Header::SIZE + field.offset;
                    (begin..begin + size).contains(&at)
                })
            })
    };

    let original = ImageBuilder::new().build();
    let mut taken = vec![0usize; original.len()];
    for at in 0..TAIL {
        for byte in (0..=u8::MAX).filter(|&byte| byte != original[at]) {
            let mut image = original.clone();
            image[at] = byte;
            if reseal(&mut image) && verify(&*image, EXACT).is_ok() {
                assert!(is_free(at), "{at}: {} -> {byte}", original[at]);
                taken[at] += 1;
            }
        }
    }
    let at = |record: usize, offset: usize| taken[record + Header::SIZE + offset];
    // All values of the time, every set of flags, 0 to 64 but SIGCHLD.
    assert_eq!(at(HEAD, 16), 255);
    assert_eq!(at(HEAD, 24), 31);
    assert_eq!(at(TASK, 12), 64);
    // Six of the flags, of which one is not without another.
    assert_eq!(at(TASK, 40), 47);
}

#[test]
fn head() {
    for (expected, change) in [
        (
            "image offset 0: HEAD: magic is 0x0000000000000001, not 0x00feed0cc0a2d200",
            (|head| head.magic = 1) as fn(&mut Head),
        ),
        ("image offset 0: HEAD: rev is 1, not 2", |h| h.rev = 1),
        ("image offset 0: HEAD: rev is 3, not 2", |h| h.rev = 3),
        ("image offset 0: HEAD: major is 6, not 7", |h| h.major = 6),
        ("image offset 0: HEAD: minor is 4, not 3", |h| h.minor = 4),
        ("image offset 0: HEAD: patch is 5, not 4", |h| h.patch = 5),
        ("image offset 0: HEAD: unknown flags 0x48", |h| {
            h.flags = 0x7f
        }),
        (
            "image offset 0: HEAD: release \"7.3.4-x\\n\" is not that of this kernel",
            |head| head.release = UtsText::new(b"7.3.4-x\n").0,
        ),
        (
            "image offset 0: HEAD: version \"\" is not that of this kernel",
            |head| head.version = [0; 64],
        ),
        (
            "image offset 0: HEAD: machine \"x86_65\" is not that of this kernel",
            |head| head.machine[5] = b'5',
        ),
        (
            "image offset 0: HEAD: machine goes on after its end",
            |head| head.machine[63] = b'!',
        ),
        ("image offset 0: HEAD: crid is 2, not 1", |head| {
            head.crid = 2
        }),
        ("image offset 0: HEAD: crid 0 is less than 1", |head| {
            head.crid = 0
        }),
        ("image offset 0: HEAD: crid -1 is less than 1", |head| {
            head.crid = -1
        }),
        (
            "image offset 0: HEAD: page_size 0 is not a power of two",
            |head| head.page_size = 0,
        ),
        (
            "image offset 0: HEAD: page_size is 65536, not 4096",
            |head| head.page_size = 65536,
        ),
        ("image offset 0: HEAD: pid 0 is less than 1", |h| h.pid = 0),
        ("image offset 0: HEAD: nr_tasks 0 is less than 1", |head| {
            head.nr_tasks = 0
        }),
        (
            "image offset 0: HEAD: nr_tasks 65537 is over the limit of 65536",
            |head| head.nr_tasks = 65_537,
        ),
        // The next task does not come.
        ("image offset 464: TAIL: expected CREDS here", |head| {
            head.nr_tasks = 2
        }),
    ] {
        assert_eq!(why(|builder| change(&mut builder.head)), expected);
    }
}

#[test]
fn head_of_another_kernel_is_taken_if_any_will_do() {
    let mut builder = ImageBuilder::new();
    builder.head.major = 6;
    builder.head.release = [b'x'; 64];
    builder.head.page_size = 65536;
    builder.head.crid = i32::MAX;
    verify(&*builder.build(), ANY).unwrap();
    refusal(&builder.build(), EXACT);
}

#[test]
fn task() {
    for (expected, change) in [
        (
            "image offset 248: TASK: state is 1, not 0",
            (|task| task.state = 1) as fn(&mut Task),
        ),
        ("image offset 248: TASK: exit_state 16 is unknown", |task| {
            task.exit_state = 16
        }),
        ("image offset 248: TASK: exit_code is -1, not 0", |task| {
            task.exit_code = -1
        }),
        (
            "image offset 248: TASK: exit_code -1 is less than 0",
            |task| (task.exit_state, task.exit_code) = (32, -1),
        ),
        (
            "image offset 248: TASK: exit_code 65536 is over the limit of 65535",
            |task| (task.exit_state, task.exit_code) = (32, 65_536),
        ),
        ("image offset 248: TASK: exit_state 32 is unknown", |task| {
            task.exit_state = 32
        }),
        (
            "image offset 248: TASK: threads live on, but none follows",
            |task| (task.exit_state, task.flags) = (32, 1),
        ),
        (
            "image offset 248: TASK: flags has the bits 0x1, which it cannot have",
            |task| task.flags = uapi::CR_TASK_OUTLIVED,
        ),
        (
            "image offset 248: TASK: flags has the bits 0x40, which it cannot have",
            |task| (task.exit_state, task.flags) = (32, 0x41),
        ),
        (
            "image offset 248: TASK: exit_signal -1 is less than 0",
            |task| task.exit_signal = -1,
        ),
        (
            "image offset 248: TASK: exit_signal -2 is less than -1",
            |task| task.exit_signal = -2,
        ),
        (
            "image offset 248: TASK: exit_signal 65 is over the limit of 64",
            |task| task.exit_signal = 65,
        ),
        (
            "image offset 248: TASK: task_comm_len -1 is less than 1",
            |task| task.task_comm_len = -1,
        ),
        ("image offset 248: TASK: pid 0 is less than 1", |task| {
            task.pid = 0
        }),
        ("image offset 248: TASK: pid is 413, not 412", |task| {
            (task.pid, task.tgid) = (413, 413)
        }),
        ("image offset 248: TASK: tgid 0 is less than 1", |task| {
            task.tgid = 0
        }),
        (
            "image offset 248: TASK: exit_signal is 17, not -1",
            |task| task.tgid = 413,
        ),
        ("image offset 248: TASK: ppid -1 is less than 0", |task| {
            task.ppid = -1
        }),
        ("image offset 248: TASK: ppid is 1, not 0", |task| {
            task.ppid = 1
        }),
        (
            "image offset 248: TASK: mm 1 is over the limit of 0",
            |task| task.mm = 1,
        ),
        (
            "image offset 248: TASK: files 1 is over the limit of 0",
            |task| task.files = 1,
        ),
        (
            "image offset 248: TASK: fs 1 is over the limit of 0",
            |task| task.fs = 1,
        ),
        (
            "image offset 248: TASK: sighand 1 is over the limit of 0",
            |task| task.sighand = 1,
        ),
        ("image offset 248: TASK: vfork -1 is less than 0", |task| {
            task.vfork = -1
        }),
        (
            "image offset 248: TASK: sysvsem 1 is over the limit of 0",
            |task| task.sysvsem = 1,
        ),
        ("image offset 248: TASK: pgid -1 is less than 0", |task| {
            task.pgid = -1
        }),
        ("image offset 248: TASK: sid -1 is less than 0", |task| {
            task.sid = -1
        }),
        ("image offset 328: STRING: len is 16, not 17", |task| {
            task.task_comm_len = 17
        }),
    ] {
        assert_eq!(why(|builder| change(&mut builder.tasks[0].task)), expected);
    }
}

#[test]
fn comm() {
    let with = |len: usize| ImageBuilder::new().comm(&vec![b'x'; len]).build();
    for len in [1, 7, 8, 9, 15, 16, 17, 4095, 4096] {
        let summary = verify(&*with(len), EXACT).unwrap();
        assert_eq!(summary.tasks[0].comm.len(), len);
    }
    for (len, expected) in [
        (0, "image offset 248: TASK: task_comm_len 0 is less than 1"),
        (
            4097,
            "image offset 248: TASK: task_comm_len 4097 is over the limit of 4096",
        ),
        (
            40000,
            "image offset 248: TASK: task_comm_len 40000 is over the limit of 4096",
        ),
    ] {
        assert_eq!(refusal(&with(len), EXACT).to_string(), expected);
    }

    // Behind 13 bytes, there are 3 of padding.
    let mut image = with(13);
    assert_eq!(image[STRING + 8 + 12..][..4], *b"x\0\0\0");
    for at in STRING + 8 + 13..STRING + 8 + 16 {
        image[at] = 1;
        reseal(&mut image);
        assert_eq!(
            refusal(&image, EXACT).to_string(),
            "image offset 328: STRING: the padding is not 0"
        );
        image[at] = 0;
    }
}

#[test]
fn tail() {
    let original = ImageBuilder::new().build();
    for (at, expected) in [
        (TAIL + 8, "magic is 0x002d2a0cc0deeff"),
        (TAIL + 16, "cksum is "),
        // The high half of cksum is no part of the CRC, but it is not free either.
        (TAIL + 23, "cksum is 0xff"),
    ] {
        let mut image = original.clone();
        image[at] ^= 0xff;
        let message = refusal(&image, EXACT).to_string();
        let expected = format!("image offset {TAIL}: TAIL: {expected}");
        assert!(message.starts_with(&expected), "{message}");
    }
}

/// At every place of the grammar, every number of a record type.
#[test]
fn order() {
    let image = ImageBuilder::new().build();
    let places = [HEAD, TASK, STRING, TASK_STATS, TAIL];
    let names: [(&str, &[&str]); 5] = [
        ("HEAD", &[]),
        ("TASK", &["PIPE", "SHM", "INODE", "FILE"]),
        ("STRING", &[]),
        ("TASK_STATS", &[]),
        ("TAIL", &["CREDS"]),
    ];
    for (place, (expected, others)) in places.into_iter().zip(names) {
        let one_of = match expected {
            "TAIL" => "CREDS or TAIL".to_owned(),
            _ => [&[expected], others].concat().join(" or "),
        };
        for number in i16::MIN..=i16::MAX {
            let mut changed = image.clone();
            changed[place..place + 2].copy_from_slice(&number.to_ne_bytes());
            let result = verify(&*changed, EXACT);
            if name_of(number) == Some(expected) {
                assert!(result.is_ok());
                continue;
            }
            let Err(Error::Refused(refusal)) = result else {
                panic!("{number} at {place}: {result:?}");
            };
            assert_eq!((refusal.offset, refusal.record), (place as u64, number));
            assert_eq!(refusal.errno(), Errno::Inval);
            let why = match name_of(number) {
                _ if number == 0x100 && place == HEAD => {
                    "record type 256: the image is from a machine of other byte order".to_owned()
                }
                // It may stand here, but this is not the payload of it.
                Some(name) if others.contains(&name) => continue,
                Some(name) => format!("{name}: expected {one_of} here"),
                None if number == 0 => "unknown record type".to_owned(),
                None => format!("record type {number}: unknown record type"),
            };
            assert_eq!(refusal.to_string(), format!("image offset {place}: {why}"));
        }
    }
}

/// At every place, every length, before a byte of the payload is read.
#[test]
fn lengths_and_parents() {
    let image = ImageBuilder::new().build();
    for place in [HEAD, TASK, STRING, TASK_STATS, TAIL] {
        let right = Reader::new(&*image)
            .map(|record| record.unwrap())
            .find(|record| record.offset == place as u64)
            .map(|record| record.header)
            .unwrap();

        for len in i16::MIN..=i16::MAX {
            // The image ends with the header: a reader must not want more to refuse it.
            let mut image = image[..place + Header::SIZE].to_vec();
            image[place + 2..place + 4].copy_from_slice(&len.to_ne_bytes());
            let reason = refusal(&image, EXACT).reason;
            if len == right.len {
                assert!(matches!(reason, Reason::Truncated { found: 0, .. }));
            } else if len < 0 {
                assert_eq!(reason, Reason::NegativeLength { found: len });
            } else {
                assert!(matches!(reason, Reason::Length { .. }), "{reason}");
            }
        }
        for bit in 0..32 {
            let mut wrong = right;
            wrong.parent = 1 << bit;
            let mut image = image.clone();
            image[place..place + Header::SIZE].copy_from_slice(wrong.as_bytes());
            let reason = refusal(&image, EXACT).reason;
            assert_eq!(reason, Reason::Parent { found: 1 << bit });
        }
    }
}

fn header_bytes(header: &Header) -> [u8; Header::SIZE] {
    header.as_bytes().try_into().unwrap()
}

#[test]
fn padded_length_of_every_header() {
    for len in i16::MIN..=i16::MAX {
        let header = Header {
            kind: 1,
            len,
            parent: 0,
        };
        assert_eq!(Header::parse(&header_bytes(&header)), header);
        match usize::try_from(len) {
            Ok(len) => {
                assert_eq!(header.payload_len(), Some(len));
                assert_eq!(header.padded_len(), len.next_multiple_of(8));
            }
            Err(_) => {
                assert_eq!(header.payload_len(), None);
                assert_eq!(header.padded_len(), 0);
            }
        }
    }
}

/// A reader that does not keep to the order is told so, and gets no image taken.
#[test]
fn protocol() {
    let image = ImageBuilder::new().build();
    let header: [u8; 8] = image[..8].try_into().unwrap();
    let wrong = |mut checker: Checker<'_>, result: Result<(), Refusal>| {
        let refusal = result.unwrap_err();
        assert_eq!(refusal.reason, Reason::Protocol);
        assert_eq!(checker.header(&header).unwrap_err(), refusal);
        assert_eq!(checker.payload(&image[8..TASK]).unwrap_err(), refusal);
        assert_eq!(checker.truncated(0), refusal);
        assert!(!checker.done());
    };

    let mut checker = Checker::new(ANY);
    let result = checker.payload(&image[8..TASK]).map(drop);
    wrong(checker, result);

    let mut checker = Checker::new(ANY);
    checker.header(&header).unwrap();
    let result = checker.header(&header).map(drop);
    wrong(checker, result);

    for end in [8, TASK - 8, TASK - 1, TASK + 1, LEN] {
        let mut checker = Checker::new(ANY);
        checker.header(&header).unwrap();
        let result = checker.payload(&image[8..end]).map(drop);
        wrong(checker, result);
    }
}

/// Reads a byte at a time, and is interrupted before each.
struct Slow<'a>(&'a [u8], bool);

impl io::Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = buffer.len().min(1);
        io::Read::read(&mut self.0, &mut buffer[..len])
    }
}

#[test]
fn reads_nothing_behind_the_tail() {
    let image = ImageBuilder::new().build();
    let mut stream = image.repeat(3);
    stream.extend_from_slice(b"more");

    let mut input = Slow(&stream, false);
    for index in 1..=3 {
        verify(&mut input, EXACT).unwrap();
        assert_eq!(input.0.len(), stream.len() - index * LEN);
    }
    assert_eq!(input.0, b"more");

    let mut input = Slow(&stream, false);
    for _ in 0..3 {
        let mut reader = Reader::new(input);
        assert_eq!(reader.by_ref().map(Result::unwrap).count(), 5);
        assert_eq!(reader.offset(), LEN as u64);
        assert!(reader.next_record().unwrap().is_none());
        input = reader.into_inner();
    }
    assert_eq!(input.0, b"more");
}

#[test]
fn what_is_no_image() {
    let verdict = |bytes: &[u8]| Reader::new(bytes).next_record().unwrap_err().to_string();
    assert_eq!(verdict(b"\x7fELF and so on"), "not a checkpoint image");
    let mut image = ImageBuilder::new().build();
    image[8] ^= 1;
    assert_eq!(verdict(&image), "not a checkpoint image");
    image[..8].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    let swapped = if cfg!(target_endian = "little") {
        "image offset 0: record type 256: the image is from a machine of other byte order"
    } else {
        "image offset 0: HEAD: len 0 is not 240"
    };
    assert_eq!(verdict(&image), swapped);
}

#[test]
fn errors_of_the_stream_are_passed_on() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("on fire"))
        }
    }
    let message = "cannot read the image: on fire";
    assert_eq!(verify(Broken, ANY).unwrap_err().to_string(), message);
    let mut reader = Reader::new(Broken);
    assert_eq!(reader.next().unwrap().unwrap_err().to_string(), message);
    assert!(reader.next().is_none());
}

#[test]
fn fields_cover_every_record() {
    for kind in Kind::ALL {
        let Some(len) = kind.payload_len() else {
            let [field] = kind.fields() else {
                panic!("{} has more than one field", kind.name());
            };
            assert!(field.kind.is_rest() && field.offset == 0 && field.size == 0);
            continue;
        };
        let mut end = 0;
        for field in kind.fields() {
            assert_eq!(field.offset, end, "{} {}", kind.name(), field.name);
            end += field.size;
        }
        assert_eq!(end, usize::from(len), "{}", kind.name());
        assert_eq!(end % 8, 0);
    }
    assert_eq!((Head::LEN, Head::NAME), (240, "HEAD"));
    assert_eq!((Task::LEN, Task::NAME), (72, "TASK"));
    assert_eq!((TaskStats::LEN, TaskStats::NAME), (104, "TASK_STATS"));
    assert_eq!((Tail::LEN, Tail::NAME), (16, "TAIL"));
}

#[test]
fn fields_as_text() {
    let image = ImageBuilder::new().build();
    let text: Vec<_> = Reader::new(&*image)
        .map(Result::unwrap)
        .flat_map(|record| {
            let fields = record.fields().unwrap();
            fields
                .map(|(field, value)| format!("{} {} = {value}", field.c_type(), field.name))
                .collect::<Vec<_>>()
        })
        .collect();
    for line in [
        "__u64 magic = 71755283111793152",
        "__u16 major = 7",
        "char[64] release = \"7.3.4\"",
        "__s32 crid = 1",
        "__s32 exit_signal = 17",
        "char[] text = \"sample\"",
        "__u64 min_flt = 97",
    ] {
        assert!(text.iter().any(|t| t == line), "no {line:?} in {text:#?}");
    }
    assert_eq!(text.len(), 14 + 18 + 1 + 13 + 2);
}

#[test]
fn values_of_every_kind_of_field() {
    let bytes: Vec<u8> = (0xf8..=0xff).collect();
    let of = |size: usize, kind: FieldKind| {
        let field = Field {
            name: "sample",
            offset: 0,
            size,
            kind,
        };
        let value = field.value(&bytes).map(|v| v.to_string());
        (field.c_type().to_string(), value.unwrap_or_default())
    };
    let array = |signed, width| FieldKind::Array { signed, width };
    let is = |found: (String, String), c_type: &str, value: &str| {
        assert_eq!((found.0.as_str(), found.1.as_str()), (c_type, value));
    };
    is(of(1, FieldKind::Unsigned), "__u8", "248");
    is(of(1, FieldKind::Signed), "__s8", "-8");
    is(of(4, FieldKind::Text), "char[4]", r#""\xf8\xf9\xfa\xfb""#);
    is(of(3, array(false, 1)), "__u8[3]", "[248, 249, 250]");
    is(of(2, array(true, 1)), "__s8[2]", "[-8, -7]");
    is(of(0, array(true, 1)), "__s8[0]", "[]");
    // No such field, but no panic either.
    is(of(3, FieldKind::Unsigned), "__u24", "");
    is(of(9, FieldKind::Text), "char[9]", "");
    is(of(4, array(false, 0)), "__u0[0]", "[]");
    if cfg!(target_endian = "little") {
        is(of(2, FieldKind::Unsigned), "__u16", "63992");
        is(of(2, FieldKind::Signed), "__s16", "-1544");
        is(of(4, FieldKind::Signed), "__s32", "-67438088");
        is(of(8, FieldKind::Signed), "__s64", "-283686952306184");
        is(of(8, array(true, 4)), "__s32[2]", "[-67438088, -66052]");
    }
}

#[test]
fn text_limits() {
    let max = uapi::CR_LEN_MAX as usize;
    assert!(Text::new(&vec![0; max]).is_some());
    assert!(Text::new(&vec![0; max + 1]).is_none());
    assert_eq!(
        Header::text(Text::new(&vec![0; max]).unwrap(), 0).len,
        i16::MAX
    );

    assert_eq!(UtsText::new(&[b'x'; 65]).0, [b'x'; 64]);
    assert_eq!(UtsText::new(b"a\0b").0, UtsText::new(b"a").0);
}

#[test]
fn checksum_is_crc32c() {
    // The check value of CRC-32C in every catalogue of CRCs.
    assert_eq!(ckpt_image::crc32c(0, b"123456789"), 0xe306_9283);
    let halves = ckpt_image::crc32c(ckpt_image::crc32c(0, b"1234"), b"56789");
    assert_eq!(halves, 0xe306_9283);
}

fn any_task() -> impl Strategy<Value = Task> {
    (0..=64, 0..=i32::MAX, 0..=i32::MAX).prop_map(|(exit_signal, pgid, sid)| Task {
        exit_signal,
        pid: 412,
        tgid: 412,
        pgid,
        sid,
        ..Task::default()
    })
}

fn any_stats() -> impl Strategy<Value = TaskStats> {
    any::<[u64; 13]>().prop_map(|numbers| zerocopy::transmute!(numbers))
}

/// Records that follow no order, with headers that tell the truth or do not.
fn any_records() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![
        4 => prop::sample::select(Kind::ALL).prop_map(|kind| kind.number()),
        1 => any::<i16>(),
    ];
    let lie = prop_oneof![8 => Just(0i16), 1 => any::<i16>()];
    let record = (kind, vec(any::<u8>(), 0..300), lie).prop_map(|(kind, payload, lie)| {
        let header = Header {
            kind,
            len: (payload.len() as i16).wrapping_add(lie),
            parent: 0,
        };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&payload);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    });
    vec(record, 0..8).prop_map(|records| records.concat())
}

/// Everything that a tool does with a file which may be anything.
fn look_at(image: &[u8]) {
    for expect in [ANY, EXACT] {
        match verify(image, expect) {
            Ok(summary) => assert!(summary.bytes <= image.len() as u64),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    for record in Reader::new(image) {
        match record {
            Ok(record) => {
                for (field, value) in record.fields().into_iter().flatten() {
                    assert!(!format!("{} {value}", field.c_type()).is_empty());
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

proptest! {
    #[test]
    fn round_trip(
        task in any_task(),
        stats in any_stats(),
        comm in vec(any::<u8>(), 1..=4096),
        time: u64,
        crid in 1..=i32::MAX,
        flags in 0..=7u64,
    ) {
        let mut builder = ImageBuilder::new();
        builder.head = Head::new(&SAMPLE_KERNEL, time, flags, crid, 412, 1);
        builder.tasks[0].task = task;
        builder.tasks[0].stats = stats;
        let builder = builder.comm(&comm);
        let image = builder.build();

        let summary = verify(&*image, Expect { crid: Some(crid), ..EXACT }).unwrap();
        prop_assert_eq!(summary.bytes, image.len() as u64);
        prop_assert_eq!(summary.head, builder.head);
        prop_assert_eq!(summary.tasks[0].task, builder.tasks[0].task);
        prop_assert_eq!(summary.tasks[0].stats, builder.tasks[0].stats);
        let until_nul = comm.split(|&b| b == 0).next().unwrap();
        prop_assert_eq!(&*summary.tasks[0].comm, until_nul);

        // What the reading side took, the writing side makes the same bytes of.
        prop_assert_eq!(rewrite(&image, ANY).unwrap(), image);
    }

    #[test]
    fn other_kernels_are_refused(
        version: (u16, u16, u16),
        release in vec(1..=u8::MAX, 0..=64),
    ) {
        let kernel = ckpt_image::image::Kernel { version, release: &release, ..SAMPLE_KERNEL };
        let image = ImageBuilder::of(&kernel).build();
        verify(&*image, Expect { kernel: Some(kernel), ..ANY }).unwrap();
        prop_assert!(verify(&*image, EXACT).is_err());
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..1024)) {
        look_at(&bytes);
    }

    #[test]
    fn any_records_in_any_order(mut bytes in any_records()) {
        look_at(&bytes);
        reseal(&mut bytes);
        look_at(&bytes);
    }

    #[test]
    fn several_changed_bytes(changes in vec((0..LEN, any::<u8>()), 1..8)) {
        let mut image = ImageBuilder::new().build();
        for (at, byte) in changes {
            image[at] = byte;
        }
        look_at(&image);
        reseal(&mut image);
        look_at(&image);
    }
}
