// SPDX-License-Identifier: GPL-2.0

//! `ckpt checkpoint`, `ckpt restart` and `ckpt run`, as far as a kernel without the calls goes.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ckpt_image::ImageBuilder;
use common::{ckpt, run, sample, Files};
use serde_json::Value;

const LACKS: &str = "the running kernel lacks checkpoint(2) and restart(2)";

/// Does the running kernel lack the calls, and nothing else stand in front of it? If not, the tests
/// of what happens then have nothing to test.
fn lacks_calls() -> bool {
    let json = run(&mut ckpt(["self-test", "--json"])).json();
    (0..2).all(|n| {
        let detail = json["checks"][n]["detail"].as_str();
        detail.is_some_and(|detail| detail.starts_with("there is no"))
    })
}

/// A process that only waits.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Self {
        let sleep = Command::new("sleep").arg("60").spawn().unwrap();
        Sleeper(sleep)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn nothing_can_be_checked() {
    if !lacks_calls() {
        return;
    }
    let sleeper = Sleeper::new();
    run(ckpt(["check"]).arg(sleeper.pid()))
        .code(4)
        .stdout("")
        .complaint(LACKS);
}

#[test]
fn a_failed_checkpoint_leaves_no_file() {
    if !lacks_calls() {
        return;
    }
    let (files, sleeper) = (Files::new(), Sleeper::new());
    let image = files.path().join("image");
    run(ckpt(["checkpoint", "-o"]).arg(&image).arg(sleeper.pid()))
        .code(4)
        .stdout("")
        .complaint(LACKS);
    assert!(names(files.path()).is_empty());

    // One that is there is left as it is.
    let image = files.add("image", b"an older image");
    run(ckpt(["checkpoint", "-o"]).arg(&image).arg(sleeper.pid())).code(4);
    assert_eq!(names(files.path()), ["image"]);
    assert_eq!(fs::read(&image).unwrap(), b"an older image");
}

#[test]
fn a_device_is_written_to_not_replaced() {
    let sleeper = Sleeper::new();
    run(&mut ckpt(["checkpoint", "-o", "/dev/null", &sleeper.pid()]));
    let kind = fs::metadata("/dev/null").unwrap().file_type();
    assert!(kind.is_char_device());
}

#[test]
fn a_file_that_cannot_be_written() {
    let files = Files::new();
    let image = files.path().join("none/image");
    run(ckpt(["checkpoint", "1", "-o"]).arg(&image))
        .code(3)
        .complaint(&format!("{}: No such file or directory", image.display()));
    run(ckpt(["checkpoint", "1", "-o"]).arg(files.path())).code(3);
}

#[test]
fn json_of_a_failed_checkpoint() {
    if !lacks_calls() {
        return;
    }
    let (files, sleeper) = (Files::new(), Sleeper::new());
    let image = files.path().join("image");
    let check = |json: &Value| {
        assert_eq!(json["schema"], "ckpt.checkpoint.v1");
        assert_eq!(json["ok"], false);
        assert_eq!(json["pid"].to_string(), sleeper.pid());
        assert_eq!(json["error"]["errno"], 38);
        assert_eq!(json["error"]["log"], Value::Array(Vec::new()));
    };
    let to_file = run(ckpt(["checkpoint", "--json", "-o"])
        .arg(&image)
        .arg(sleeper.pid()));
    check(&to_file.code(4).json());
    // Standard output is the image's.
    let to_stdout = run(&mut ckpt(["checkpoint", "--json", &sleeper.pid()]))
        .code(4)
        .stdout("");
    check(&serde_json::from_str(&to_stdout.err).unwrap());
}

/// The image of a process that has or had the pid.
fn image_of(pid: i32) -> Vec<u8> {
    let mut builder = ImageBuilder::new();
    builder.head.pid = pid;
    builder.tasks[0].task.pid = pid;
    builder.tasks[0].task.tgid = pid;
    builder.build()
}

#[test]
fn restart_without_the_call() {
    if !lacks_calls() {
        return;
    }
    let files = Files::new();
    let image = files.add("image", &sample());
    let pidfile = files.path().join("pid");
    run(ckpt(["restart", "--new-pid", "--pidfile"])
        .arg(&pidfile)
        .arg(&image))
    .code(4)
    .stdout("")
    .complaint(LACKS);
    assert!(!pidfile.exists());
    run(ckpt(["restart", "--new-pid"]).write_stdin(sample()))
        .code(4)
        .complaint(LACKS);

    let done = run(ckpt(["restart", "--new-pid", "--json"]).arg(&image))
        .code(4)
        .stdout("");
    let json: Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!(json["schema"], "ckpt.restart.v1");
    assert_eq!(json["pid"], Value::Null);
    assert_eq!(json["error"]["errno"], 38);
    assert_eq!(
        (&json["tasks"], &json["processes"]),
        (&Value::from(1), &Value::from(1))
    );
    let done = run(ckpt(["restart", "--new-pid", "--json", "--detach"]).arg(&image)).code(4);
    assert_eq!(done.json()["ok"], false);
}

#[test]
fn a_pid_that_cannot_be_had() {
    let files = Files::new();
    let sleeper = Sleeper::new();
    let pid = sleeper.pid();
    let image = files.add("image", &image_of(pid.parse().unwrap()));
    let done = run(ckpt(["restart"]).arg(&image)).code(3).stdout("");
    let taken = format!("ckpt: pid {pid} is taken (--new-pid takes another): File exists\n");
    let forbidden = format!(
        "ckpt: cannot choose pid {pid} without CAP_CHECKPOINT_RESTORE \
         (--new-pid takes another): Operation not permitted\n"
    );
    assert!([taken, forbidden].contains(&done.err), "{}", done.err);

    let image = files.add("image", &image_of(0));
    run(ckpt(["restart"]).arg(&image))
        .code(1)
        .complaint(&format!(
            "{}: the image has no pid: --new-pid takes any",
            image.display()
        ));
}

/// The init of a container is that of a new pid namespace: its pid is taken in this one.
#[test]
fn the_init_of_a_container() {
    if !lacks_calls() {
        return;
    }
    let files = Files::new();
    let image = files.add("image", &image_of(1));
    let done = run(ckpt(["restart"]).arg(&image)).stdout("");
    let lacks = format!("ckpt: {LACKS}\n");
    let forbidden = "ckpt: cannot make the pid namespace of a container without CAP_SYS_ADMIN \
                     (--new-pid needs none): Operation not permitted\n";
    assert!([&*lacks, forbidden].contains(&&*done.err), "{}", done.err);
}

#[test]
fn a_container_gets_no_descriptors() {
    for command in ["checkpoint", "check"] {
        let done = run(&mut ckpt([command, "--container", "--inherit", "1"])).code(2);
        assert!(done.err.contains("cannot be used with"), "{}", done.err);
    }
}

#[test]
fn what_is_no_image_is_not_restarted() {
    let files = Files::new();
    let image = files.add("image", &[0; 1000]);
    run(ckpt(["restart"]).arg(&image))
        .code(1)
        .complaint(&format!("{}: not a checkpoint image", image.display()));
    run(ckpt(["restart", "-"]).write_stdin(&sample()[..100]))
        .code(1)
        .complaint("standard input: the image ends in its first record");
    run(ckpt(["restart"]).write_stdin(""))
        .code(1)
        .complaint("standard input: there is no image");
    let none = files.path().join("none");
    run(ckpt(["restart"]).arg(&none))
        .code(3)
        .complaint(&format!("{}: No such file or directory", none.display()));
    run(ckpt(["restart"]).arg(files.path()))
        .code(3)
        .complaint(&format!("{}: Is a directory", files.path().display()));
}

/// What a shell that `ckpt run` starts says.
fn shell(options: &[&str], script: &str) -> common::Done {
    run(ckpt(["run"]).args(options).args(["--", "sh", "-c", script]))
}

#[test]
fn run_passes_on_the_exit_status() {
    shell(&[], "exit 0").code(0).quiet().stdout("");
    shell(&[], "echo out; echo err >&2; exit 7")
        .code(7)
        .stdout("out\n");
    shell(&[], "kill -TERM $$").code(143).quiet();
    shell(&[], "kill -KILL $$").code(137).quiet();
    run(&mut ckpt(["run", "no-such-program"]))
        .code(3)
        .complaint("cannot start no-such-program: No such file or directory");
}

/// Session and process group, from the file in /proc.
const IDS: &str = "read -r pid comm state ppid pgrp session rest </proc/$$/stat; ";

#[test]
fn run_gives_a_session_of_its_own() {
    let script = format!("{IDS} test $pid = $session -a $pid = $pgrp");
    shell(&[], &script).code(0);
    shell(&["--keep-session"], &script).code(1);
}

#[test]
fn run_leaves_no_descriptors() {
    // ls has one for the folder that it looks at.
    let mut command = Command::new("bash");
    let script = format!(
        "exec 5</dev/null 9>/dev/null 200</; '{}' run -- ls /proc/self/fd",
        env!("CARGO_BIN_EXE_ckpt")
    );
    let output = command.args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n1\n2\n3\n");
}

#[test]
fn run_and_standard_input() {
    let read = |options: &[&str]| {
        run(ckpt(["run"])
            .args(options)
            .args(["cat"])
            .write_stdin("text"))
        .code(0)
        .out
    };
    assert_eq!(read(&[]), "");
    assert_eq!(read(&["--keep-stdin"]), "text");
    let files = Files::new();
    let text = files.add("text", b"from a file");
    let output = Command::new(env!("CARGO_BIN_EXE_ckpt"))
        .args(["run", "cat"])
        .stdin(fs::File::open(text).unwrap())
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"from a file");
}

#[test]
fn run_does_not_change_signals() {
    // The shell's own view: nothing blocked or ignored that was not before.
    let script = "grep -E '^Sig(Blk|Ign)' /proc/self/status";
    let direct = Command::new("sh").args(["-c", script]).output().unwrap();
    let done = shell(&[], script).code(0);
    assert_eq!(done.out, String::from_utf8(direct.stdout).unwrap());
}

#[test]
fn run_tells_the_pid() {
    let files = Files::new();
    let pidfile = files.path().join("pid");
    let done = run(ckpt(["run", "--json", "--pidfile"])
        .arg(&pidfile)
        .args(["sh", "-c", "echo $$"]))
    .code(0);
    let json: Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!(json["schema"], "ckpt.run.v1");
    assert_eq!(format!("{}\n", json["pid"]), done.out);
    assert_eq!(fs::read_to_string(&pidfile).unwrap(), done.out);
    assert_eq!(names(files.path()), ["pid"]);
}

#[test]
fn run_detached() {
    let files = Files::new();
    let flag = files.path().join("flag");
    let script = format!("sleep 0.3; mkdir '{}'", flag.display());
    let script = format!("exec >/dev/null 2>&1; {script}");
    let done = run(&mut ckpt([
        "run", "--detach", "--json", "sh", "-c", &script,
    ]))
    .code(0);
    assert!(done.json()["pid"].is_number());
    wait_until(|| flag.exists());
}

/// Waits a while for something to happen.
#[track_caller]
fn wait_until(happened: impl Fn() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(20), "nothing happens");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A `ckpt run` with a shell that has said a first word.
fn started(script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    // Whoever runs the tests in the background may ignore SIGINT, and no shell traps that then.
    let mut child = Command::new("env")
        .args(["--default-signal", env!("CARGO_BIN_EXE_ckpt")])
        .args(["run", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, out)
}

fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn signals_are_passed_on() {
    for signal in ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH"] {
        let script =
            format!("trap 'echo got; exit 9' {signal}; echo ready; while :; do sleep 0.02; done");
        let (mut child, mut out) = started(&script);
        kill(&format!("-{signal}"), child.id());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "got\n", "{signal}");
        assert_eq!(child.wait().unwrap().code(), Some(9), "{signal}");
    }
    // One without a handler ends the program, and so the command.
    let (mut child, _out) = started("echo ready; while :; do sleep 0.02; done");
    kill("-TERM", child.id());
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(143), None));
}

#[test]
fn image_files_are_private() {
    // The mode is that of the file under its temporary name, so it never is another.
    let (files, sleeper) = (Files::new(), Sleeper::new());
    let image = files.path().join("image");
    let done = run(ckpt(["checkpoint", "-o"]).arg(&image).arg(sleeper.pid()));
    if done.code == 0 {
        let mode = fs::metadata(&image).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
