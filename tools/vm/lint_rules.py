#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The rules of the house that can be read off the files: one line per rule, every
breach with its file and line. Exit code 1 when there is one.

The rules are those of Documentation/checkpoint/design.rst; a rule that is wrong is
changed there and here, not worked around.
"""

import re
import subprocess
import sys
from pathlib import Path

from rust_source import code, without_tests

REPO = Path(__file__).resolve().parents[2]
ADDED_LINES = 40  # in one file, by one patch: more than wiring belongs in a new file

# Who may import whom: from a module one may reach those of a lower number. The root
# lists resources and pipelines, so it may reach all; save and restore know nothing
# of one another.
LAYER = {"image": 0, "stream": 1, "log": 2, "tree": 3, "resource": 4, "jobs": 5, "save": 6,
         "restore": 6}
# What the crate root provides to everybody.
ROOT_NAMES = {"uapi", "Record", "crc32c"}

results = []


def rule(text):
    """A rule is a function that yields its breaches."""
    def register(function):
        breaches = list(function())
        print(f"{'FAIL' if breaches else 'ok  '} {text}")
        for b in breaches:
            print(f"     {b}")
        results.append(not breaches)
        return function
    return register


def tracked():
    out = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO, capture_output=True, check=False)
    if out.returncode == 0:
        names = out.stdout.decode().split("\0")
    else:
        names = [str(p.relative_to(REPO)) for p in REPO.rglob("*")]
    return sorted(n for n in names if n and (REPO / n).is_file())


FILES = tracked()


def read(name):
    return (REPO / name).read_text(encoding="utf-8", errors="replace")


def rust_files(*dirs):
    return [f for f in FILES if f.endswith(".rs") and f.startswith(dirs)]


def search(names, pattern, prepare=code):
    for name in names:
        for n, line in enumerate(prepare(read(name)).split("\n"), 1):
            if m := pattern.search(line):
                yield f"{name}:{n}: {m.group(0).strip()}"


@rule("checkpoint/ is safe Rust but for its entry module")
def _():
    names = [f for f in rust_files("checkpoint/") if f != "checkpoint/checkpoint.rs"]
    return search(names, re.compile(r"\bunsafe\b|\ballow\(\s*unsafe_code"))


@rule("the crate root denies unsafe code")
def _():
    if "checkpoint/checkpoint.rs" not in FILES:
        yield "checkpoint/checkpoint.rs is not there"
    elif not re.search(r"#!\[(deny|forbid)\([^)]*unsafe_code", read("checkpoint/checkpoint.rs")):
        yield "checkpoint/checkpoint.rs has no #![deny(unsafe_code)]"


@rule("nothing in kernel Rust panics by design")
def _():
    names = [f for f in rust_files("checkpoint/", "rust/", "arch/")
             if not f.startswith("rust/macros/") and Path(f).name != "tests.rs"]
    return search(
        names,
        re.compile(r"\.unwrap\(\)|\.expect\(|\bpanic!|\bunreachable!|\btodo!|\bunimplemented!"),
        lambda t: without_tests(code(t)))


@rule("image/ knows only core, zerocopy and its own crate")
def _():
    pattern = re.compile(r"\b(?:std|alloc|kernel|bindings|pin_init|libc)::\w*|\bextern\s+crate\b")
    yield from search(rust_files("checkpoint/image/"), pattern, lambda t: without_tests(code(t)))
    use = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?use\s+(?!(?:::)?(?:core|zerocopy|zerocopy_derive|crate|self|super)\b"
                     r")(\w+)::")
    local = re.compile(r"\bmod\s+(\w+)")
    for name in rust_files("checkpoint/image/"):
        text = without_tests(code(read(name)))
        mods = set(local.findall(text))
        for n, line in enumerate(text.split("\n"), 1):
            if (m := use.match(line)) and m.group(1) not in mods:
                yield f"{name}:{n}: use {m.group(1)}"


@rule("no module calls back up")
def _():
    for name in rust_files("checkpoint/"):
        parts = Path(name).with_suffix("").parts[1:]
        own = LAYER.get(parts[0])
        if parts[0] == "checkpoint":
            continue
        if own is None:
            yield f"{name}: its layer is not listed in {Path(__file__).name}"
            continue
        text = without_tests(code(read(name)))
        for m in re.finditer(r"\bcrate::\s*(\{[^;]*?\}\s*;|\w+)", text, re.S):
            n = text.count("\n", 0, m.start()) + 1
            targets = [m.group(1)]
            if m.group(1).startswith("{"):
                # The first names inside the outermost braces.
                flat, depth = "", 0
                for ch in m.group(1):
                    depth += {"{": 1, "}": -1}.get(ch, 0)
                    if depth == 1 and ch != "{":
                        flat += ch
                targets = [t.strip().split("::")[0].split(" ")[0] for t in flat.split(",")]
            for t in filter(None, targets):
                if t in ROOT_NAMES or t == parts[0]:
                    continue
                if t not in LAYER:
                    yield f"{name}:{n}: crate::{t} is in no layer"
                elif LAYER[t] >= own:
                    yield f"{name}:{n}: {parts[0]} imports {t}"


@rule("only rust/ and the entry module say bindings::")
def _():
    names = [f for f in rust_files("checkpoint/") if f != "checkpoint/checkpoint.rs"]
    return search(names, re.compile(r"\bbindings::"))


@rule("the only C in checkpoint/ is syscalls.c, and it holds only system calls")
def _():
    for f in FILES:
        if f.startswith("checkpoint/") and f.endswith((".c", ".h", ".S")):
            if f != "checkpoint/syscalls.c":
                yield f
                continue
            text = re.sub(r"/\*.*?\*/|//[^\n]*", "", read(f), flags=re.S)
            for m in re.finditer(r"^(?!SYSCALL_DEFINE)\w[^;{}#]*\)\s*\{", text, re.M):
                yield f"{f}: {' '.join(m.group(0).split())}"


@rule("every source file says its licence")
def _():
    suffixes = (".rs", ".c", ".h", ".S", ".py", ".sh", ".rst", ".config", ".toml", ".mk",
                ".1", ".2", ".5", ".7")
    for f in FILES:
        if f.startswith("patches/"):
            continue
        head = read(f)[:400]
        wanted = (f.endswith(suffixes) or Path(f).name in ("Makefile", "Kconfig", "Kbuild")
                  or head.startswith("#!"))
        # A macro test's expected output is compared word by word.
        if wanted and "SPDX-License-Identifier: GPL-2.0" not in head:
            yield f


def series():
    path = REPO / "patches/series"
    if not path.exists():
        return []
    lines = (line.split("#")[0].split() for line in path.read_text().splitlines())
    return [words[0] for words in lines if words]


@rule("patches/series lists every patch, and every one exists")
def _():
    listed = series()
    have = {Path(f).name for f in FILES if f.startswith("patches/") and f.endswith(".patch")}
    yield from (f"{p} is listed twice" for p in {p for p in listed if listed.count(p) > 1})
    yield from (f"{p} does not exist" for p in set(listed) - have)
    yield from (f"{p} is not in the series" for p in have - set(listed))


@rule("every patch has an author, a subject, a message and a sign-off")
def _():
    for p in series():
        head = read(f"patches/{p}").split("\n--- ")[0].split("\n---\n")[0]
        for what, pattern in (
            ("From:", r"^From: .+ <.+>$"),
            ("Subject:", r"^Subject: (\[PATCH[^]]*\] )?[\w/.-]+: .+$"),
            ("Signed-off-by:", r"^Signed-off-by: .+ <.+>$"),
        ):
            if not re.search(pattern, head, re.M):
                yield f"patches/{p}: no {what}"
        body = re.split(r"\n\n", head, maxsplit=1)[-1]
        if not re.search(r"^(?!Signed-off-by|Subject|From)\w.{20}", body, re.M):
            yield f"patches/{p}: no message"


@rule(f"no patch adds more than {ADDED_LINES} lines to a file, or a whole file")
def _():
    for p in series():
        added, name = {}, None
        for line in read(f"patches/{p}").split("\n"):
            if line.startswith("--- /dev/null"):
                yield f"patches/{p}: a new file belongs at its path in the repository"
            elif line.startswith("+++ "):
                name = line[4:].split("\t")[0].split("/", 1)[-1]
            elif line.startswith("+") and name:
                added[name] = added.get(name, 0) + 1
        yield from (f"patches/{p}: {n} lines into {f}" for f, n in added.items()
                    if n > ADDED_LINES)


@rule("no file names a registry's host or a path of one machine")
def _():
    # Written in pieces, so that this file is not its own breach.
    words = ["crates" r"\.io", "pypi" r"\.org", "deb" r"\.debian\.org", "python" "hosted",
             "npm" "js", "docker" r"\.io", "proxy" r"\.golang", "/wo" r"rk/", r"(?<![\w$}])/ro" r"ot\b",
             "/home/" r"\w"]
    pattern = re.compile("|".join(words))
    names = [f for f in FILES if Path(f).name != "Cargo.lock"]
    return search(names, pattern, lambda t: t)


@rule("no file is a leftover of a build or an edit")
def _():
    return (f for f in FILES if f.endswith((".o", ".orig", ".rej", ".pyc", "~")))


if __name__ == "__main__":
    print(f"TOTAL {sum(results)} {len(results) - sum(results)}")
    sys.exit(not all(results))
