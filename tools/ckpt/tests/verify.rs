// SPDX-License-Identifier: GPL-2.0

//! `ckpt verify`

mod common;

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use ckpt_image::ImageBuilder;
use common::{ckpt, expected, flip, process, run, sample, Files, SIZE, STRING};
use serde_json::json;

#[test]
fn ok() {
    run(ckpt(["verify", "-"]).write_stdin(sample()))
        .code(0)
        .quiet()
        .stdout("standard input: ok: id 1, task \"sample\", 488 bytes, 5 records\n");
}

#[test]
fn json() {
    let done = run(ckpt(["verify", "--json", "-"]).write_stdin(sample()))
        .code(0)
        .quiet();
    expected("verify.json", &done.out);
    assert_eq!(done.json()["images"][0]["summary"]["id"], 1);
}

#[test]
fn json_of_what_is_refused() {
    let image = ImageBuilder::new().comm(&[b'x'; 5000]).build();
    let done = run(ckpt(["verify", "--json", "-"]).write_stdin(image))
        .code(1)
        .quiet();
    expected("verify-refused.json", &done.out);
    assert_eq!(done.json()["images"][0]["error"]["kind"], "invalid");
}

#[test]
fn refused_with_the_kernels_words() {
    let image = ImageBuilder::new().comm(&[b'x'; 5000]).build();
    run(ckpt(["verify", "-"]).write_stdin(image))
        .code(1)
        .quiet()
        .stdout(
            "standard input: refused: \
         image offset 248: TASK: task_comm_len 5000 is over the limit of 4096\n",
        );
}

#[test]
fn every_truncation() {
    let image = sample();
    for len in 0..SIZE {
        let done = run(ckpt(["verify", "-"]).write_stdin(&image[..len]))
            .code(1)
            .quiet();
        assert!(
            done.out.contains(" the image ends after "),
            "{len}: {}",
            done.out
        );
    }
}

#[test]
fn every_changed_byte() {
    let image = sample();
    for at in 0..SIZE {
        run(ckpt(["verify", "--quiet", "-"]).write_stdin(flip(&image, at)))
            .code(1)
            .quiet()
            .stdout("");
    }
}

#[test]
fn a_line_for_each_image() {
    let files = Files::new();
    let good = files.add("good", &sample());
    let bad = files.add("bad", &flip(&sample(), STRING + 8));
    let done = run(ckpt(["verify", "good", "bad", "good"]).current_dir(files.path()));
    let lines: Vec<_> = done.out.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("good: ok: "));
    assert!(lines[1].starts_with("bad: refused: image offset 464: TAIL: cksum is "));
    assert_eq!(lines[0], lines[2]);
    done.code(1).quiet();

    // What cannot be read does not keep the others from being checked, and weighs more.
    let done = run(ckpt(["verify"]).args([
        bad.as_path(),
        files.path().join("none").as_path(),
        good.as_path(),
    ]))
    .code(3);
    assert_eq!(done.out.lines().count(), 2);
    let none = files.path().join("none");
    done.complaint(&format!("{}: No such file or directory", none.display()));
}

#[test]
fn io_errors() {
    let files = Files::new();
    run(ckpt(["verify", "."]).current_dir(files.path()))
        .code(3)
        .stdout("")
        .complaint(".: Is a directory");
    let done = run(ckpt(["verify", "--json", "none"]).current_dir(files.path())).code(3);
    assert_eq!(done.json()["images"][0]["error"]["kind"], "io");
    done.complaint("none: No such file or directory");
}

#[test]
fn images_one_behind_the_other() {
    let files = Files::new();
    let image = sample();
    files.add("two", &[image.clone(), image.clone()].concat());
    files.add("junk", &[image, b"junk".to_vec()].concat());
    let verify = |args: &[&str]| run(ckpt(["verify"]).args(args).current_dir(files.path())).quiet();
    let line = "ok: id 1, task \"sample\", 488 bytes, 5 records";

    verify(&["two"])
        .code(0)
        .stdout(&format!("two: {line}; 488 more bytes not looked at\n"));
    verify(&["--all", "two"])
        .code(0)
        .stdout(&format!("two: {line}\ntwo, from byte 488: {line}\n"));
    verify(&["--all", "junk"]).code(1).stdout(&format!(
        "junk: {line}\n\
         junk, from byte 488: refused: image offset 0: the image ends after 4 of 8 bytes\n"
    ));
}

/// What is behind an image on standard input is for the next program.
#[test]
fn no_byte_is_read_behind_an_image() {
    let two = [
        sample(),
        ImageBuilder::new().comm(b"second\0").build(),
        b"rest".to_vec(),
    ]
    .concat();
    let script = r#""$0" verify - && "$0" inspect - >/dev/null && cat"#;

    let mut child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_ckpt")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&two).unwrap();
    let out = child.wait_with_output().unwrap().stdout;
    assert!(out.ends_with(b"5 records\nrest"), "{}", out.escape_ascii());

    // The same with a file: its position is shared.
    let files = Files::new();
    let mut file = File::open(files.add("two", &two)).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_ckpt"))
        .args(["verify", "--quiet", "-"])
        .stdin(file.try_clone().unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(file.stream_position().unwrap(), SIZE as u64);
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, &two[SIZE..]);
}

#[test]
fn named_pipe() {
    let files = Files::new();
    let fifo = files.path().join("fifo");
    assert!(Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .unwrap()
        .success());
    let writer = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::write(fifo, sample()).unwrap()
    });
    run(ckpt(["verify"]).arg(&fifo)).code(0).quiet();
    writer.join().unwrap();
}

#[test]
fn a_slow_writer() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ckpt"))
        .args(["verify", "--quiet", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for byte in sample().chunks(7) {
        stdin.write_all(byte).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(child.wait().unwrap().success());
}

/// A program that shares standard input, as ssh does, may have set it so.
#[test]
fn an_input_that_does_not_block() {
    let (mut writer, reader) = UnixStream::pair().unwrap();
    reader.set_nonblocking(true).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ckpt"))
        .args(["verify", "--quiet", "-"])
        .stdin(OwnedFd::from(reader))
        .spawn()
        .unwrap();
    for bytes in sample().chunks(100) {
        std::thread::sleep(std::time::Duration::from_millis(20));
        writer.write_all(bytes).unwrap();
    }
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_running_kernel() {
    let image = sample();
    let done = run(ckpt(["verify", "--kernel", "-"]).write_stdin(image))
        .code(1)
        .quiet();
    assert!(
        done.out.contains("refused: image offset 0: HEAD: "),
        "{}",
        done.out
    );

    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap();
        text.trim_end().as_bytes().to_vec()
    };
    let (release, text) = (read("osrelease"), read("version"));
    let machine = String::from_utf8(Command::new("uname").arg("-m").output().unwrap().stdout);
    let page_size = String::from_utf8(
        Command::new("getconf")
            .arg("PAGESIZE")
            .output()
            .unwrap()
            .stdout,
    );
    let numbers: Vec<u16> = String::from_utf8(release.clone())
        .unwrap()
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0))
        .chain([0, 0, 0])
        .collect();
    let mut builder = ImageBuilder::of(&ckpt_image::image::Kernel {
        version: (numbers[0], numbers[1], numbers[2]),
        release: &release,
        text: &text,
        machine: machine.unwrap().trim().as_bytes(),
        page_size: page_size.unwrap().trim().parse().unwrap(),
    });
    run(ckpt(["verify", "--kernel", "-"]).write_stdin(builder.build()))
        .code(0)
        .quiet();
    builder.head.page_size *= 2;
    run(ckpt(["verify", "--kernel", "-"]).write_stdin(builder.build()))
        .code(1)
        .quiet();
}

#[test]
fn a_whole_process() {
    let image = process();
    run(ckpt(["verify", "-"]).write_stdin(image.clone()))
        .code(0)
        .quiet()
        .stdout(&format!(
            "standard input: ok: id 1, task \"sample\", {} bytes, 125 records, 11 mappings, \
             14 descriptors, 4 pages\n",
            image.len()
        ));
    let done = run(ckpt(["verify", "--json", "-"]).write_stdin(image)).code(0);
    assert_eq!(done.json()["images"][0]["summary"]["totals"]["fds"], 14);

    // References take memory of what was before: see tools/image.
    let mut builder = ImageBuilder::process();
    if let Some(parts) = &mut builder.tasks[0].parts {
        parts.fds[0].objref = 1;
    }
    let done = run(ckpt(["verify", "-"]).write_stdin(builder.build())).code(1);
    assert!(
        done.out.ends_with("FD: objref is 1, which is no FILE\n"),
        "{}",
        done.out
    );
}

#[test]
fn a_whole_tree() {
    let image = ImageBuilder::tree().build();
    let done = run(ckpt(["verify", "-"]).write_stdin(image.clone()));
    let out = done.code(0).quiet().out;
    assert!(
        out.starts_with("standard input: ok: id 1, task \"sample\" and 11 more in 7 processes, "),
        "{out}"
    );
    let json = run(ckpt(["verify", "--json", "-"]).write_stdin(image))
        .code(0)
        .json();
    let summary = &json["images"][0]["summary"];
    assert_eq!(summary["tasks"].as_array().unwrap().len(), 12);
    assert_eq!(summary["totals"]["processes"], 7);
    assert_eq!(summary["totals"]["zombies"], 4);
    let thread = &summary["tree"][1];
    assert_eq!(
        *thread,
        json!({
            "task": 2, "name": "sample", "pid": 413, "tgid": 412, "ppid": null, "pgid": 412,
            "sid": 400, "state": "alive", "mm": 1, "files": null, "fs": 1, "sighand": 1, "sysvsem": 1,
            "fds": 3, "mappings": 0, "pages": 0,
        })
    );
    assert_eq!(summary["tree"][3]["pages"], 2);

    let mut builder = ImageBuilder::tree();
    builder.tasks[11].task.ppid = 417;
    let done = run(ckpt(["verify", "-"]).write_stdin(builder.build())).code(1);
    assert!(
        done.out
            .ends_with("TASK: ppid is 417, which is no pid of a task before it that lives\n"),
        "{}",
        done.out
    );
}
