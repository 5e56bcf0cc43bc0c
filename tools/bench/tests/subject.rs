// SPDX-License-Identifier: GPL-2.0

//! The process that is measured, asked as the benchmark asks it. No call of ours is needed for it.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ckpt_bench");

fn start(args: &[&str]) -> (Child, ChildStdin, ChildStdout) {
    let mut child = Command::new(PROGRAM)
        .arg("--subject")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (child, to, from)
}

fn answer(from: &mut ChildStdout) -> u64 {
    let mut answer = [0; 8];
    from.read_exact(&mut answer).unwrap();
    u64::from_ne_bytes(answer)
}

#[test]
fn answers_until_there_are_no_more_questions() {
    let (mut child, mut to, mut from) = start(&["100", "1048576", "monotonic"]);
    let mut ask = |question: &[u8]| {
        to.write_all(question).unwrap();
        answer(&mut from)
    };

    let begin = ask(b"n");
    assert_eq!(ask(b"c"), 1);
    let (fork, exec) = (ask(b"f"), ask(b"e"));
    assert!(0 < fork && 0 < exec);
    let spinning = ask(b"s");
    thread::sleep(Duration::from_millis(2));
    let longest = ask(&[spinning.to_ne_bytes(), u64::MAX.to_ne_bytes()].concat());
    let end = ask(b"n");
    assert!(begin < spinning && spinning < end);
    assert!(0 < longest && longest < end - spinning);

    drop(to);
    assert!(child.wait().unwrap().success());
}

/// The kernel is to find nothing in it that would be refused.
#[test]
fn stands_alone() {
    let (mut child, mut to, mut from) = start(&["0", "4096", "monotonic"]);
    to.write_all(b"n").unwrap();
    answer(&mut from);

    let of = |name: &str| format!("/proc/{}/{name}", child.id());
    let mut open: Vec<String> = std::fs::read_dir(of("fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    open.sort_unstable();
    assert_eq!(open, ["0", "1", "2"]);
    assert_eq!(std::fs::read_dir(of("task")).unwrap().count(), 1);
    let stat = std::fs::read_to_string(of("stat")).unwrap();
    let session = stat.rsplit(')').next().unwrap().split(' ').nth(4).unwrap();
    assert_eq!(session, child.id().to_string());

    drop(to);
    assert!(child.wait().unwrap().success());
}

#[test]
fn ends_at_what_it_does_not_understand() {
    let (mut child, mut to, _from) = start(&["0", "4096", "monotonic"]);
    to.write_all(b"?").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));

    let (mut child, ..) = start(&["many", "4096", "monotonic"]);
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let (mut child, ..) = start(&[]);
    assert!(child.wait().unwrap().success());
}
