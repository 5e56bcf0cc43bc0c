// SPDX-License-Identifier: GPL-2.0

//! The image of several tasks is taken if they are a tree, and not if they are anything else.

use ckpt_image::{
    image::{
        BulkKind,
        Errno,
        Expect,
        Extent,
        Kind,
        Refusal,
        Shared,
        SharedExtent,
        Task,
        Tree, //
    },
    reseal,
    rewrite,
    uapi,
    verify,
    BulkData,
    Error,
    ImageBuilder,
    Parts,
    Reader,
    TaskRecords,
    SAMPLE_KERNEL, //
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index, //
};
use zerocopy::IntoBytes;

const EXACT: Expect<'static> = Expect {
    kernel: Some(SAMPLE_KERNEL),
    crid: Some(1),
    flags: uapi::CHECKPOINT_FLAGS as u64,
};

/// For images with pages of another size.
const ANY: Expect<'static> = Expect {
    kernel: None,
    ..EXACT
};

fn refusal(image: &[u8], expect: Expect<'_>) -> Refusal {
    match verify(image, expect) {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Why the sample is refused after `change`, and which of its tasks that is of, 1 is the first.
fn why(change: impl FnOnce(&mut ImageBuilder)) -> (usize, String) {
    let mut builder = ImageBuilder::tree();
    change(&mut builder);
    let image = builder.build();
    let refusal = refusal(&image, EXACT);
    let tasks = Reader::new(&*image)
        .flatten()
        .filter(|record| record.kind() == Some(Kind::Task) && record.offset <= refusal.offset);
    let text = refusal.to_string();
    let (_, text) = text.split_once(": ").unwrap();
    (tasks.count(), text.to_owned())
}

fn parts(builder: &mut ImageBuilder, number: usize) -> &mut Parts {
    builder.tasks[number - 1].parts.as_mut().unwrap()
}

fn extent(start: u64) -> Extent {
    Extent {
        start,
        nr_pages: 1,
        flags: 0,
    }
}

/// The sample with pages that are small, so that all of its bytes can be tried.
fn small() -> ImageBuilder {
    let mut builder = ImageBuilder::tree();
    builder.head.page_size = 64;
    builder.bulk = vec![
        BulkData::Data(1, 0, b"in the pipe".to_vec()),
        BulkData::Pages(1, vec![extent(0x40_3000)], vec![1; 64]),
        BulkData::Pages(4, vec![extent(0x40_3040)], vec![2; 64]),
        BulkData::Pages(4, vec![extent(0x102_0000)], vec![3; 64]),
        BulkData::Pages(7, vec![extent(0x100_0000)], vec![4; 64]),
    ];
    // Those of xsave(2) and the address spaces are most of it, and are tried elsewhere.
    for task in builder.tasks.iter_mut().skip(1) {
        if let Some(parts) = &mut task.parts {
            parts.vmas.truncate(3);
            parts.groups.clear();
        }
    }
    builder.counted()
}

#[test]
fn valid_tree() {
    let builder = ImageBuilder::tree();
    let image = builder.build();
    let summary = verify(&*image, EXACT).unwrap();
    assert_eq!(summary.bytes, image.len() as u64);
    assert_eq!(rewrite(&image, EXACT).unwrap(), image);
    assert!(summary
        .tasks
        .iter()
        .map(|task| task.task)
        .eq(builder.tasks.iter().map(|task| task.task)));
    let totals = summary.totals;
    assert_eq!((totals.tasks, totals.processes, totals.zombies), (12, 7, 4));
    // 1, 4 and 7 came with one.
    assert_eq!(totals.spaces, 3);
    assert_eq!(totals.mappings, 11 + 3 + 3);
    assert_eq!(totals.pages, 4 + 3);
    // 1, 2, 4 and 8 came with a table.
    assert_eq!(totals.fds, 14 + 3 * 3);

    // What belongs to whom, by the numbers of the tasks.
    let tasks: Vec<_> = builder.tasks.iter().map(|task| task.task).collect();
    let mut by_pid = vec![0; tasks.len()];
    let tree = Tree::check(&tasks, &mut by_pid).unwrap();
    assert_eq!(tree.len(), 12);
    assert!(!tree.is_empty());
    let numbers = |of: &dyn Fn(usize) -> Option<usize>| {
        let numbers = (0..12).map(|index| of(index).map_or(0, |index| index + 1));
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(
        numbers(&|index| tree.parent(index)),
        [0, 0, 0, 1, 2, 1, 1, 0, 0, 4, 0, 8]
    );
    assert_eq!(
        numbers(&|index| tree.leader(index)),
        [1, 1, 1, 4, 5, 6, 7, 7, 7, 10, 10, 12]
    );
    for (shared, owners) in [
        (Shared::Mm, [1, 1, 1, 4, 1, 0, 7, 7, 7, 7, 7, 0]),
        (Shared::Files, [1, 2, 2, 4, 2, 0, 0, 8, 8, 0, 1, 0]),
        (Shared::Fs, [1, 1, 3, 4, 3, 0, 0, 8, 8, 0, 8, 0]),
        (Shared::Sighand, [1, 1, 1, 4, 1, 0, 7, 7, 7, 7, 7, 0]),
    ] {
        assert_eq!(numbers(&|index| tree.owner(index, shared)), owners);
    }
    assert_eq!(tree.find(413), Some(1));
    for pid in [0, -1, 1, 414 + 100, i32::MAX] {
        assert_eq!(tree.find(pid), None);
    }
    assert_eq!((tree.parent(12), tree.leader(12)), (None, None));
    assert_eq!(tree.owner(12, Shared::Mm), None);
}

#[test]
fn memory_of_the_reader() {
    let task = ImageBuilder::new().tasks[0].task;
    for len in [0, 2] {
        let mut by_pid = vec![7; len];
        let (index, reason) = Tree::check(&[task], &mut by_pid).unwrap_err();
        assert_eq!(
            (index, &*reason.to_string()),
            (0, "read in the wrong order")
        );
    }
    assert!(Tree::check(&[], &mut []).unwrap().is_empty());
}

fn permit(task: &mut TaskRecords, flag: u32) {
    if let Some(parts) = &mut task.parts {
        parts.thread.flags |= flag;
    }
}

#[test]
fn what_is_no_tree() {
    type Change = fn(&mut Vec<TaskRecords>);
    for (number, expected, change) in [
        (
            6,
            "TASK: pid 415 is that of a task before it",
            (|t| (t[5].task.pid, t[5].task.tgid) = (415, 415)) as Change,
        ),
        (3, "TASK: pid 413 is that of a task before it", |t| {
            t[2].task.pid = 413
        }),
        // Where a group is.
        (
            3,
            "TASK: tgid is 415, which is no pid of the leader before it",
            |t| t[2].task.tgid = 415,
        ),
        (
            4,
            "TASK: tgid is 412, which is no pid of the leader before it",
            |t| {
                t.swap(2, 3);
                if let Some(parts) = &mut t[3].parts {
                    parts.pending.clear();
                    parts.signals.nr_pending = 0;
                }
            },
        ),
        (
            8,
            "TASK: tgid is 420, which is no pid of a leader whose threads live on",
            |t| {
                t[6].task.flags = 0;
                // That it has an address space would be seen before.
                t[6].task.mm = 0;
            },
        ),
        (7, "TASK: threads live on, but none follows", |t| {
            drop(t.drain(7..9));
            t[7].task.mm = 1;
            t[7].task.sighand = 1;
            t[8].task.mm = 1;
            t[8].task.sighand = 1;
            t[8].task.fs = 1;
            t[9].task.ppid = 412;
        }),
        (10, "TASK: threads live on, but none follows", |t| {
            drop(t.remove(10))
        }),
        // The last group, too.
        (12, "TASK: threads live on, but none follows", |t| {
            t[11].task.flags = uapi::CR_TASK_OUTLIVED
        }),
        // Whose child.
        (4, "TASK: ppid 0 is less than 1", |t| t[3].task.ppid = 0),
        (2, "TASK: ppid is 412, not 0", |t| t[1].task.ppid = 412),
        // What a thread has of its leader.
        (2, "TASK: pgid is 413, not 412", |t| t[1].task.pgid = 413),
        (2, "TASK: sid is 0, not 400", |t| t[1].task.sid = 0),
        (2, "TASK: mm 0 is less than 1", |t| t[1].task.mm = 0),
        (2, "TASK: sighand 0 is less than 1", |t| {
            t[1].task.sighand = 0
        }),
        (3, "TASK: mm is 2, not 1", |t| t[2].task.mm = 2),
        (8, "TASK: sighand is 1, not 7", |t| t[7].task.sighand = 1),
        (11, "TASK: mm is 10, not 7", |t| t[10].task.mm = 10),
        // What the process has permission for, also if the leader has ended.
        (2, "THREAD: flags is 8, not 0", |t| {
            permit(&mut t[1], uapi::CR_THREAD_XCOMP_PERM)
        }),
        (3, "THREAD: flags is 16, not 0", |t| {
            permit(&mut t[2], uapi::CR_THREAD_XCOMP_GUEST_PERM)
        }),
        (9, "THREAD: flags is 0, not 8", |t| {
            permit(&mut t[7], uapi::CR_THREAD_XCOMP_PERM)
        }),
        // What others have.
        (3, "TASK: files 3 is over the limit of 2", |t| {
            t[2].task.files = 3
        }),
        (
            3,
            "TASK: fs is 2, which is no number of a task that came with paths",
            |t| t[2].task.fs = 2,
        ),
        (
            5,
            "TASK: files is 3, which is no number of a task that came with a descriptor table",
            |t| t[4].task.files = 3,
        ),
        (
            5,
            "TASK: mm is 3, which is no number of a task that came with an address space",
            |t| t[4].task.mm = 3,
        ),
        (
            10,
            "TASK: sighand is 5, which is no number of a task that came with signal actions",
            |t| t[9].task.sighand = 5,
        ),
        (
            5,
            "TASK: sighand is 1, which is no number of a task with the same address space",
            |t| t[4].task.mm = 4,
        ),
        (
            5,
            "TASK: sighand is 1, which is no number of a task with the same address space",
            |t| t[4].task.mm = 0,
        ),
        (
            9,
            "TASK: files is 7, which is no number of a task that came with a descriptor table",
            |t| t[8].task.files = 7,
        ),
        // What has ended.
        (6, "TASK: mm is 1, not 0", |t| t[5].task.mm = 1),
        (6, "TASK: files is 1, not 0", |t| t[5].task.files = 1),
        (7, "TASK: fs is 1, not 0", |t| t[6].task.fs = 1),
        (6, "TASK: sighand is 4, not 0", |t| t[5].task.sighand = 4),
        (3, "TASK: exit_state is 32, not 0", |t| {
            t[2].task.exit_state = uapi::CR_EXIT_ZOMBIE
        }),
    ] {
        let found = why(|builder| change(&mut builder.tasks));
        // The number of tasks is that of the sample.
        let found = match found.1.as_str() {
            "DATA: expected TASK here" => why(|builder| {
                change(&mut builder.tasks);
                builder.head.nr_tasks = builder.tasks.len() as u32;
            }),
            _ => found,
        };
        assert_eq!(found, (number, expected.to_owned()));
    }
}

#[test]
fn what_is_no_parent() {
    for (number, ppid) in [(4, 999), (4, 415), (4, 416), (12, 417), (12, 420)] {
        let found = why(|builder| builder.tasks[number - 1].task.ppid = ppid);
        let expected =
            format!("TASK: ppid is {ppid}, which is no pid of a task before it that lives");
        assert_eq!(found, (number, expected));
    }
}

/// The root lives, or threads of it do.
#[test]
fn roots() {
    let zombie = |flags| {
        let mut builder = ImageBuilder::tree();
        let root = &mut builder.tasks[0].task;
        (root.exit_state, root.flags) = (uapi::CR_EXIT_ZOMBIE, flags);
        builder
    };
    // Nothing is left of it that others have, nor can it be a parent.
    let mut outlived = zombie(uapi::CR_TASK_OUTLIVED);
    outlived.tasks.truncate(3);
    outlived.tasks[1].task.fs = 0;
    outlived.tasks[1].task.sysvsem = 0;
    outlived.bulk.truncate(6);
    verify(&*outlived.counted().build(), EXACT).unwrap();

    let mut dead = zombie(0);
    dead.tasks.truncate(1);
    dead.bulk.clear();
    let refusal = refusal(&dead.counted().build(), EXACT).to_string();
    assert!(
        refusal.ends_with(": TASK: exit_state 32 is unknown"),
        "{refusal}"
    );
}

/// Which records there are of a task, and how they follow.
#[test]
fn records() {
    type Change = fn(&mut ImageBuilder);
    for (number, expected, change) in [
        (
            12,
            "DATA: expected TASK here",
            (|b| b.head.nr_tasks = 13) as Change,
        ),
        (
            12,
            "TASK: expected PAGES or SHARED or DATA or TAIL here",
            |b| b.head.nr_tasks = 11,
        ),
        (3, "TASK: expected CREDS here", |b| b.tasks[1].parts = None),
        (7, "TASK: expected CREDS here", |b| b.tasks[5].parts = None),
        // With the signal actions of another there are none.
        (5, "PROCESS: nr_actions 1 is over the limit of 0", |b| {
            let action = parts(b, 1).actions[0];
            parts(b, 5).actions.push(action);
            *b = b.clone().counted();
        }),
        // The timers are those of the process.
        (2, "SIGINFO: timer 3 is over the limit of 2", |b| {
            parts(b, 2).pending[0].timer = 3
        }),
        (5, "SIGINFO: timer 1 is over the limit of 0", |b| {
            let pending = parts(b, 2).pending[0];
            parts(b, 5).pending.push(pending);
            *b = b.clone().counted();
        }),
        // A lock of a process is on what has a descriptor in its table, not in another.
        (
            4,
            "LOCK: objref is 8, which is no FILE with a descriptor",
            |b| {
                let lock = parts(b, 1).locks[1];
                parts(b, 4).locks.push(lock);
                *b = b.clone().counted();
            },
        ),
        // A policy is within a mapping of its own address space.
        (
            4,
            "POLICY: start 0x7f0000000000 is not within one mapping",
            |b| {
                let policy = parts(b, 1).policies[1];
                parts(b, 4).policies.push(policy);
                *b = b.clone().counted();
            },
        ),
        (
            4,
            "AIO: id 0x7f0000200000 is not where a ring is mapped",
            |b| {
                let aio = parts(b, 1).aio[0];
                parts(b, 4).aio.push(aio);
                *b = b.clone().counted();
            },
        ),
    ] {
        assert_eq!(why(change), (number, expected.to_owned()));
    }
}

#[test]
fn pages_of_several_address_spaces() {
    let with = |task, start| {
        let mut builder = ImageBuilder::tree();
        let before = builder.bulk.len() - 5;
        builder.bulk.truncate(before);
        builder
            .bulk
            .push(BulkData::Pages(task, vec![extent(start)], vec![4; 4096]));
        builder
    };
    let refused = |builder: ImageBuilder| {
        let text = refusal(&builder.build(), EXACT).to_string();
        text.split_once(": ").unwrap().1.to_owned()
    };
    // The addresses begin again with each.
    verify(&*with(4, 0x40_3000).build(), EXACT).unwrap();
    for task in [2, 5, 6, 8, 10] {
        assert_eq!(
            refused(with(task, 0x40_3000)),
            format!("PAGES: task is {task}, which is no number of a task that came with an address space")
        );
    }
    assert_eq!(
        refused(with(13, 0x40_3000)),
        "PAGES: task 13 is over the limit of 12"
    );
    // This is mapped in the first only.
    let start = 0x7ffd_0000_0000;
    assert_eq!(
        refused(with(4, start)),
        "EXTENTS: the extent at 0x7ffd00000000 is not within one private mapping"
    );
    // Task after task, and address after address.
    let mut builder = with(7, 0x40_3000);
    builder
        .bulk
        .push(BulkData::Pages(4, vec![extent(0x40_3000)], vec![4; 4096]));
    assert_eq!(refused(builder), "PAGES: task 4 is less than 7");
    let mut builder = with(4, 0x100_0000);
    builder
        .bulk
        .push(BulkData::Pages(4, vec![extent(0x40_3000)], vec![4; 4096]));
    assert_eq!(
        refused(builder),
        "EXTENTS: start 0x403000 is below 0x1001000"
    );

    let image = ImageBuilder::tree().build();
    let tasks: Vec<_> = Reader::new(&*image)
        .filter_map(|record| match record.unwrap().bulk?.bulk.kind {
            BulkKind::Pages { task, .. } | BulkKind::Shared { task } => Some(task),
            BulkKind::Data { .. } => None,
        })
        .collect();
    assert_eq!(tasks, [1, 1, 4, 4, 4, 7, 7]);
}

#[test]
fn pages_that_address_spaces_share() {
    let good = SharedExtent {
        start: 0x100_0000,
        from_start: 0x100_0000,
        nr_pages: 2,
        from_task: 4,
    };
    let with = |shared: &[(u32, &[SharedExtent])], pages: &[u32]| {
        let mut builder = ImageBuilder::tree();
        let before = builder.bulk.len() - 5;
        builder.bulk.truncate(before);
        for (task, extents) in shared {
            builder.bulk.push(BulkData::Shared(*task, extents.to_vec()));
        }
        for task in pages {
            let extents = vec![extent(0x40_3000)];
            builder
                .bulk
                .push(BulkData::Pages(*task, extents, vec![4; 4096]));
        }
        builder
    };
    let why = |shared: &[(u32, &[SharedExtent])], pages: &[u32]| {
        let text = refusal(&with(shared, pages).build(), EXACT).to_string();
        text.split_once(": ").unwrap().1.to_owned()
    };
    let image = with(&[(7, &[good])], &[7]).build();
    assert_eq!(verify(&*image, EXACT).unwrap().totals.shared, 2);
    assert_eq!(rewrite(&image, EXACT).unwrap(), image);

    for (task, extent, expected) in [
        (1, good, "SHARED: task 1 is less than 2"),
        (
            8,
            good,
            "SHARED: task is 8, which is no number of a task that came with an address space",
        ),
        (13, good, "SHARED: task 13 is over the limit of 12"),
        (
            4,
            good,
            "SHARED_EXTENTS: from_task 4 is over the limit of 3",
        ),
        (
            7,
            SharedExtent {
                from_task: 0,
                ..good
            },
            "SHARED_EXTENTS: from_task 0 is less than 1",
        ),
        (
            7,
            SharedExtent {
                from_task: 2,
                ..good
            },
            "SHARED: from_task is 2, which is no number of a task that came with an address space",
        ),
        (
            7,
            SharedExtent {
                nr_pages: 0,
                ..good
            },
            "SHARED_EXTENTS: nr_pages 0 is less than 1",
        ),
        (
            7,
            SharedExtent {
                nr_pages: u32::MAX,
                ..good
            },
            "SHARED: the extent at 0x1000000 is not within one private mapping",
        ),
        (
            7,
            SharedExtent {
                start: 0x100_0001,
                ..good
            },
            "SHARED_EXTENTS: start 0x1000001 is no multiple of 0x1000",
        ),
        (
            7,
            SharedExtent {
                from_start: 0xffff_8880_0000_0000,
                ..good
            },
            "SHARED_EXTENTS: from_start 0xffff888000000000 is beyond what a process can have",
        ),
        // This is mapped in the first only.
        (
            7,
            SharedExtent {
                start: 0x7ffd_0000_0000,
                ..good
            },
            "SHARED: the extent at 0x7ffd00000000 is not within one private mapping",
        ),
        (
            7,
            SharedExtent {
                from_start: 0x7ffd_0000_0000,
                ..good
            },
            "SHARED: task 4 has no private page at 0x7ffd00000000",
        ),
    ] {
        assert_eq!(why(&[(task, &[extent])], &[]), expected);
    }
    // None at all, not in order, and not before the pages of the same address space.
    assert_eq!(why(&[(7, &[])], &[]), "SHARED: nr_extents 0 is less than 1");
    for twice in [&[(7, &[good, good][..])][..], &[(7, &[good]), (7, &[good])]] {
        assert_eq!(
            why(twice, &[]),
            "SHARED_EXTENTS: start 0x1000000 is below 0x1002000"
        );
    }
    let mut builder = with(&[], &[7]);
    builder.bulk.push(BulkData::Shared(7, vec![good]));
    let text = refusal(&builder.build(), EXACT).to_string();
    assert!(text.ends_with("SHARED: task 7 is less than 8"), "{text}");
    assert_eq!(why(&[(7, &[good])], &[4]), "PAGES: task 4 is less than 7");
}

#[test]
fn every_truncation_is_an_early_end() {
    let image = small().build();
    verify(&*image, ANY).unwrap();
    for len in 0..image.len() {
        let refusal = refusal(&image[..len], ANY);
        assert_eq!(refusal.errno(), Errno::Pipe, "{len}: {refusal}");
    }
}

#[test]
fn every_changed_byte_is_refused() {
    let mut image = small().build();
    for at in 0..image.len() {
        let was = image[at];
        for byte in [was ^ 1, !was] {
            image[at] = byte;
            assert!(verify(&*image, ANY).is_err(), "{at}: {was} -> {byte}");
        }
        image[at] = was;
    }
}

/// How many, as in an image of a large service.
#[test]
fn many_tasks() {
    // Pids in no order, and each task but the first a child of the one before.
    let mut tasks: Vec<_> = (0..10_000u32)
        .map(|index| {
            let pid = (index.wrapping_mul(7919) % 10_007) as i32 + 1;
            Task {
                pid,
                tgid: pid,
                ..Task::default()
            }
        })
        .collect();
    for index in 1..tasks.len() {
        tasks[index].ppid = tasks[index - 1].pid;
    }
    let mut by_pid = vec![0; tasks.len()];
    let tree = Tree::check(&tasks, &mut by_pid).unwrap();
    for (index, task) in tasks.iter().enumerate() {
        assert_eq!(tree.find(task.pid), Some(index));
        assert_eq!(tree.parent(index), index.checked_sub(1));
    }
    tasks[9_999].pid = tasks[17].pid;
    tasks[9_999].tgid = tasks[17].pid;
    let (index, reason) = Tree::check(&tasks, &mut by_pid).unwrap_err();
    assert_eq!(index, 9_999);
    assert_eq!(
        reason.to_string(),
        format!("pid {} is that of a task before it", tasks[17].pid)
    );
}

/// Whether these are a tree, told without any regard to how long that takes.
fn is_tree(tasks: &[Task]) -> bool {
    let place = |pid: i32| tasks.iter().position(|task| task.pid == pid);
    let leads = |task: &Task| task.pid == task.tgid;
    let lives = |task: &Task| task.exit_state == 0;
    let outlived = |task: &Task| task.flags == uapi::CR_TASK_OUTLIVED;
    let threads = |leader: &Task| {
        let threads = tasks.iter().filter(|task| task.tgid == leader.pid);
        threads.filter(|task| !leads(task)).count()
    };
    // The task that came with what this one has, if that is one before it.
    let mm = |index: usize, task: &Task| match task.mm {
        0 => index,
        number => number as usize - 1,
    };
    let came_with_mm = |task: &Task| leads(task) && (lives(task) || outlived(task)) && task.mm == 0;
    let came_with_sighand =
        |task: &Task| leads(task) && (lives(task) || outlived(task)) && task.sighand == 0;

    tasks.iter().enumerate().all(|(index, task)| {
        let before = &tasks[..index];
        let refers = |number: u32, is: &dyn Fn(&Task) -> bool| {
            number == 0 || before.get(number as usize - 1).is_some_and(is)
        };
        let alone = tasks.iter().filter(|other| other.pid == task.pid).count() == 1;
        let state = match (task.exit_state, task.flags) {
            (0, 0) => task.exit_code == 0,
            (uapi::CR_EXIT_ZOMBIE, 0) => leads(task) && threads(task) == 0,
            (uapi::CR_EXIT_ZOMBIE, uapi::CR_TASK_OUTLIVED) => leads(task) && threads(task) > 0,
            _ => false,
        };
        let family = if index == 0 {
            task.pid == 1
                && leads(task)
                && task.exit_signal >= 0
                && task.ppid == 0
                && (lives(task) || outlived(task))
        } else if leads(task) {
            task.exit_signal >= 0
                && place(task.ppid).is_some_and(|parent| parent < index && lives(&tasks[parent]))
        } else {
            let group = place(task.tgid).filter(|&leader| {
                leader < index
                    && leads(&tasks[leader])
                    && tasks[leader..index].iter().all(|t| t.tgid == task.tgid)
            });
            task.exit_signal == -1
                && task.ppid == 0
                && group.is_some_and(|leader| {
                    let of = &tasks[leader];
                    let number = |number: u32| match number {
                        0 => leader as u32 + 1,
                        number => number,
                    };
                    (task.pgid, task.sid) == (of.pgid, of.sid)
                        && task.mm == number(of.mm)
                        && task.sighand == number(of.sighand)
                })
        };
        let shares = refers(task.mm, &came_with_mm)
            && refers(task.files, &|of| lives(of) && of.files == 0)
            && refers(task.fs, &|of| lives(of) && of.fs == 0)
            && refers(task.sighand, &came_with_sighand)
            && (task.sighand == 0 || {
                let of = task.sighand as usize - 1;
                mm(of, &tasks[of]) == mm(index, task)
            })
            && (lives(task) || (task.files, task.fs) == (0, 0))
            && (lives(task) || outlived(task) || (task.mm, task.sighand) == (0, 0));
        let numbers = task.pid > 0 && task.tgid > 0 && task.pgid >= 0 && task.sid >= 0;
        alone && state && family && shares && numbers
    })
}

/// What decides about a group of threads.
type Choice = (Index, u8, u8, Index, Index);

/// Tasks that are a tree, one group behind the other.
fn grow(choices: &[Choice]) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for (number, &(parent, threads, bits, of, other)) in choices.iter().enumerate() {
        let pid = 100 * number as i32 + 1;
        let bit = |bit: u8| bits >> bit & 1 == 1;
        let pick = |index: Index, tasks: &[Task], is: &dyn Fn(&Task) -> bool| {
            let numbers = 1..=tasks.len() as u32;
            let found: Vec<_> = numbers.filter(|&n| is(&tasks[n as usize - 1])).collect();
            match found.is_empty() {
                true => 0,
                false => *index.get(&found),
            }
        };
        let living: Vec<_> = tasks.iter().filter(|task| task.is_alive()).collect();
        let first = tasks.is_empty();
        let mut leader = Task {
            pid,
            tgid: pid,
            ppid: if first { 0 } else { parent.get(&living).pid },
            pgid: if bit(0) { pid } else { 1 },
            sid: 1,
            exit_signal: 17,
            ..Task::default()
        };
        if !first && bit(1) {
            leader.mm = pick(of, &tasks, &Task::has_mm);
            if bit(2) {
                let mm = leader.mm;
                leader.sighand = pick(other, &tasks, &|task| {
                    task.is_process() && task.sighand == 0 && {
                        let number = tasks.iter().position(|t| t.pid == task.pid).unwrap() + 1;
                        task.mm == mm || (task.mm == 0 && number as u32 == mm)
                    }
                });
            }
        }
        // The root and the first thread stay, so that there is always a parent.
        let threads = threads % 4;
        let ended = !first && bit(3);
        if ended {
            leader.exit_state = uapi::CR_EXIT_ZOMBIE;
            leader.exit_code = 0x200;
            if threads > 0 {
                leader.flags = uapi::CR_TASK_OUTLIVED;
            } else {
                (leader.mm, leader.sighand) = (0, 0);
            }
        }
        if !ended && bit(4) {
            leader.files = pick(other, &tasks, &Task::has_files);
            leader.fs = pick(of, &tasks, &Task::has_fs);
        }
        tasks.push(leader);
        let own = tasks.len() as u32;
        for thread in 1..=threads {
            let number = |number: u32| if number == 0 { own } else { number };
            let mut task = Task {
                pid: pid + i32::from(thread),
                ppid: 0,
                exit_signal: -1,
                exit_state: 0,
                exit_code: 0,
                flags: 0,
                mm: number(leader.mm),
                sighand: number(leader.sighand),
                files: 0,
                fs: 0,
                ..leader
            };
            if bit(5) {
                task.files = pick(of, &tasks, &Task::has_files);
            }
            if bit(6) {
                task.fs = pick(other, &tasks, &Task::has_fs);
            }
            tasks.push(task);
        }
    }
    tasks
}

/// The image of these tasks, of which each has as little as it can.
fn image_of(tasks: &[Task]) -> Vec<u8> {
    let all = ImageBuilder::process();
    let mut builder = ImageBuilder::new();
    builder.objects = all.objects;
    builder.head.pid = 1;
    let of = all.tasks[0].parts.as_ref().unwrap();
    let parts = Parts {
        creds: of.creds,
        limits: of.limits,
        sched: of.sched,
        attrs: of.attrs,
        cpu: of.cpu,
        xstate: vec![0; 576],
        fs: of.fs,
        mm: of.mm,
        mm_context: of.mm_context,
        auxv: of.auxv.clone(),
        vmas: of.vmas[..1].to_vec(),
        ..Parts::default()
    };
    builder.tasks = tasks
        .iter()
        .map(|&task| {
            TaskRecords::new(task)
                .parts(parts.clone())
                .comm(b"one of many\0")
        })
        .collect();
    builder.counted().build()
}

fn any_tree() -> impl Strategy<Value = Vec<Task>> {
    let choice = (
        any::<Index>(),
        any::<u8>(),
        any::<u8>(),
        any::<Index>(),
        any::<Index>(),
    );
    vec(choice, 1..8).prop_map(|choices| grow(&choices))
}

proptest! {
    #[test]
    fn round_trip(tasks in any_tree()) {
        prop_assert!(is_tree(&tasks), "{tasks:#?}");
        let image = image_of(&tasks);
        let summary = verify(&*image, EXACT).unwrap();
        let task_comm_len = 12;
        let found: Vec<_> = summary.tasks.iter().map(|task| task.task).collect();
        let expected: Vec<_> = tasks.iter().map(|&task| Task { task_comm_len, ..task }).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(rewrite(&image, EXACT).unwrap(), image);
    }

    /// What is taken after a change to one field or two is a tree, and nothing else is refused.
    #[test]
    fn changed_fields(
        tasks in any_tree(),
        changes in vec((any::<Index>(), 0..11u8, any::<Index>(), 0..4u32), 1..3),
    ) {
        let mut changed = tasks.clone();
        for (at, field, value, small) in changes {
            let pid = value.get(&tasks).pid;
            let number = value.index(tasks.len() + 2) as u32;
            let task = &mut changed[at.index(tasks.len())];
            match field {
                0 => task.pid = pid,
                1 => task.tgid = pid,
                2 => task.ppid = pid,
                3 => task.mm = number,
                4 => task.files = number,
                5 => task.fs = number,
                6 => task.sighand = number,
                7 => task.exit_state = [0, 32, 16, 32][small as usize],
                8 => task.flags = small & uapi::CR_TASK_OUTLIVED,
                9 => task.pgid = pid,
                _ => task.exit_signal = small as i32 - 1,
            }
        }
        // How a task that lives is said to have ended is another matter.
        for task in &mut changed {
            if task.is_alive() {
                task.exit_code = 0;
            }
        }
        let result = verify(&*image_of(&changed), EXACT);
        prop_assert_eq!(result.is_ok(), is_tree(&changed), "{:#?}: {:#?}", result.err(), changed);
    }

    /// Whatever is changed, nothing panics; what is taken is written the same again.
    #[test]
    fn changed_bytes(changes in vec((any::<Index>(), any::<u8>()), 1..4), tasks: bool) {
        let mut image = small().build();
        let places: Vec<_> = Reader::new(&*image)
            .map(Result::unwrap)
            .filter(|record| !tasks || record.kind() == Some(Kind::Task))
            .flat_map(|record| {
                let header = record.header.as_bytes().len();
                let begin = record.offset as usize;
                begin..begin + header + record.padded.len()
            })
            .collect();
        for (at, byte) in changes {
            image[*at.get(&places)] = byte;
        }
        reseal(&mut image);
        match verify(&*image, ANY) {
            Ok(_) => prop_assert_eq!(rewrite(&image, ANY).unwrap(), image),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
