// SPDX-License-Identifier: GPL-2.0

//! What all commands have in common, `ckpt completions` and `ckpt self-test`.

mod common;

use std::fs::File;
use std::process::{Command, Stdio};

use common::{ckpt, run, sample, Files};

#[test]
fn usage() {
    for (args, complaint) in [
        (
            &["inspect"][..],
            "the following required arguments were not provided: <IMAGE> (see 'ckpt --help')",
        ),
        (
            &["verify", "--wrong"],
            "unexpected argument '--wrong' found (see 'ckpt --help')",
        ),
        (
            &["wrong"],
            "unrecognized subcommand 'wrong' (see 'ckpt --help')",
        ),
        (
            &["verify", "--json", "--quiet", "x"],
            "the argument '--json' cannot be used with '--quiet' (see 'ckpt --help')",
        ),
        (
            &["checkpoint", "--kill", "--stop", "1"],
            "the argument '--kill' cannot be used with '--stop' (see 'ckpt --help')",
        ),
        (
            &["checkpoint", "0"],
            "invalid value '0' for '<PID>': 0 is not in 1..=2147483647 (see 'ckpt --help')",
        ),
        (
            &["checkpoint", "--sync", "1"],
            "the following required arguments were not provided: --output <FILE> \
             (see 'ckpt --help')",
        ),
        (
            &["check"],
            "the following required arguments were not provided: <PID>... (see 'ckpt --help')",
        ),
        (
            &["restart", "--inherit", "5", "x"],
            "invalid value '5' for '--inherit <IMAGE_FD=FD>': two numbers of descriptors are \
             needed, as in 5=3 (see 'ckpt --help')",
        ),
        (
            &["restart", "--inherit", "5=1000000", "x"],
            "invalid value '5=1000000' for '--inherit <IMAGE_FD=FD>': descriptor 1000000 is not \
             open (see 'ckpt --help')",
        ),
        (
            &["restart", "--detach", "--no-setsid", "x"],
            "the argument '--detach' cannot be used with '--no-setsid' (see 'ckpt --help')",
        ),
        (
            &["run", "--keep-session", "--detach", "true"],
            "the argument '--keep-session' cannot be used with '--detach' (see 'ckpt --help')",
        ),
        (
            &["run"],
            "the following required arguments were not provided: <COMMAND>... \
             (see 'ckpt --help')",
        ),
        (
            &["verify", "-", "-"],
            "standard input can be read only once",
        ),
    ] {
        run(&mut ckpt(args)).code(2).stdout("").complaint(complaint);
    }
}

#[test]
fn help() {
    let done = run(&mut ckpt(["--help"])).code(0).quiet();
    for command in [
        "check",
        "checkpoint",
        "restart",
        "run",
        "inspect",
        "verify",
        "self-test",
        "completions",
    ] {
        assert!(done.out.contains(command), "{}", done.out);
        run(&mut ckpt([command, "--help"])).code(0).quiet();
    }
    assert_eq!(run(&mut ckpt([""; 0])).code(2).out, "");
    assert!(run(&mut ckpt(["--version"]))
        .code(0)
        .quiet()
        .out
        .starts_with("ckpt "));
}

#[test]
fn completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = run(&mut ckpt(["completions", shell])).code(0).quiet();
        assert!(done.out.contains("self-test"), "{shell}");
        assert!(
            !done.out.contains("-child"),
            "{shell} offers a hidden option"
        );
    }
    run(&mut ckpt(["completions", "tcsh"])).code(2);
}

#[test]
fn bash_takes_the_completions() {
    let script = format!(
        "set -eu; eval \"$('{0}' completions bash)\"; COMP_WORDS=(ckpt ver); COMP_CWORD=1; \
         _ckpt ckpt ver ckpt; echo \"${{COMPREPLY[@]}}\"",
        env!("CARGO_BIN_EXE_ckpt")
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "verify");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let files = Files::new();
    let many = sample().repeat(2000);
    let many = files.add("many", &many);
    for args in [
        &["inspect", "--all"][..],
        &["inspect", "--all", "--raw"],
        &["inspect", "--all", "--json"],
        &["verify", "--all"],
        &["completions", "zsh"],
        &["--help"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ckpt"));
        command.args(args);
        if args.contains(&"--all") {
            command.arg(&many);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let files = Files::new();
    let image = files.add("image", &sample());
    for command in ["inspect", "verify"] {
        let output = Command::new(env!("CARGO_BIN_EXE_ckpt"))
            .arg(command)
            .arg(&image)
            .stdout(File::create("/dev/full").unwrap())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "ckpt: cannot write to standard output: No space left on device\n"
        );
    }
}

#[test]
fn self_test() {
    let done = run(&mut ckpt(["self-test", "--json"]));
    let json = done.json();
    assert_eq!(json["schema"], "ckpt.self-test.v1");
    assert!(json["kernel"]["release"].is_string());
    let text = run(&mut ckpt(["self-test"]));
    let checks = json["checks"].as_array().unwrap();
    assert_eq!(text.code, done.code);
    if checks[0]["ok"] == true {
        // A kernel with the calls, as in the test VM.
        assert_eq!(json["ok"], true, "{json:#}");
        assert!(json["checkpoint_unprivileged"].is_number());
        assert_eq!(checks.len(), 12);
        let done = done.code(0).quiet();
        assert!(text.out.ends_with("self-test: 12 checks passed\n"));
        drop(done);
    } else {
        assert_eq!(json["ok"], false);
        assert_eq!(checks.len(), 2);
        let done = done.code(4);
        done.complaint("the running kernel lacks checkpoint(2) and restart(2)");
    }
}
