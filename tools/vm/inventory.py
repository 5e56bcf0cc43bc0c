#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Holds Documentation/checkpoint/inventory.toml against a built kernel.

    inventory.py check BUILD   compare; the last line is "PASSED FAILED"
    inventory.py write         write inventory.rst

What the kernel has comes from three places: structures from an object that is
compiled for it with the flags of the guest, flags from the preprocessor, and
operations of files from the symbols of vmlinux. A symbol has no type there, so
everything that is as large as some file_operations has to be classed, if only as
"other". What is embedded in another structure is not found by that.
"""

import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
DOCS = REPO / "Documentation/checkpoint"
SOURCE = DOCS / "inventory.toml"
PAGE = DOCS / "inventory.rst"
PROBE = REPO / "tools/vm/inventory_probe.c"
SELFTESTS = REPO / "tools/testing/selftests/checkpoint"
RESOURCES = REPO / "checkpoint/resource"

CLASSES = ("saved", "refused", "derived", "irrelevant", "other")
TESTED = ("saved", "refused")
FOPS = "file_operations"

# How a word of flags is found among the macros: not the masks and their widths.
MACROS = {
    "task_struct.flags": r"PF_\w+",
    "task_struct.atomic_flags": r"PFA_\w+",
    "task_struct.jobctl": r"JOBCTL_\w+_BIT",
    "signal_struct.flags": r"SIGNAL_\w+",
    "mm_struct.flags": r"MMF_\w+",
    "thread_info.flags": r"TIF_\w+",
    "file.f_mode": r"FMODE_\w+",
}
NO_FLAG = re.compile(r"_MASK\b|_MASK$|_BITS$|_SHIFT$|_DEFAULT|PF__HOLE__")
ENUMS = {
    "vm_area_struct.vm_flags": r"VMA_(\w+)_BIT",
    "thread_info.syscall_work": r"SYSCALL_WORK_BIT_(\w+)",
}


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def command_of(build):
    """The command line of kernel/fork.o, without what is its own."""
    words = (build / "kernel/.fork.o.cmd").read_text().splitlines()[0].split(":=", 1)[1]
    words = shlex.split(words)
    # The compiler, without the cache before it.
    while not Path(words[0]).name.startswith("clang"):
        words.pop(0)
    return [w for w in words[: words.index("-c")] if not w.startswith("-Wp,-MMD")]


def member_name(text):
    """The name in a declaration as pahole prints it; None for padding."""
    text = re.sub(r"__attribute__\(\(.*?\)\)+", "", text).strip().rstrip(";").strip()
    pointer = re.search(r"\(\*+(\w+)(\[\w*\])?\)\(", text)
    if pointer:
        return pointer.group(1)
    text, bits = re.subn(r"\s*:\s*\d+$", "", text)
    plain = re.sub(r"(\[\w*\])+$", "", text).rstrip()
    name = re.fullmatch(r"(.*[\s*])(\w+)", plain)
    # "unsigned int :0" and "struct file * [64]:4096" only fill up.
    if not name or bits and name.group(2) in ("int", "long", "short", "char"):
        return None
    return name.group(2)


def members_of(dump, struct):
    """Members in pahole's text, those of anonymous structures among the others."""
    stack = []
    for line in dump.splitlines():
        text = line.strip()
        if text.startswith("/*") or not text:
            continue
        if text.endswith("{"):
            stack.append([])
        elif text.startswith("}"):
            inner = stack.pop()
            if not stack:
                return inner
            # Without an offset it is one that was there before, shown again.
            end = re.match(r"\}\s*(\w*)[^;]*;\s*/\*", text)
            if end:
                prefix = end.group(1) + "." if end.group(1) else ""
                if prefix == "__attribute__.":
                    prefix = ""
                stack[-1] += [prefix + name for name in inner]
        elif text.endswith(";") or "; /*" in re.sub(r"\s+", " ", text):
            name = member_name(text.split("/*")[0])
            if name:
                stack[-1].append(name)
    sys.exit(f"error: pahole shows no end of {struct}")


def kernel_has(build, structs):
    """All names that have to be classed, by table."""
    command = command_of(build)
    with tempfile.TemporaryDirectory() as tmp:
        probe = Path(tmp) / "probe.o"
        source = Path(tmp) / "probe.c"
        source.write_text(PROBE.read_text())
        run(*command, "-g", "-w", "-c", "-o", str(probe), str(source), cwd=build)
        has = {s: members_of(run("pahole", "-C", s, str(probe)), s) for s in structs}
        shape = run("pahole", "-C", FOPS, str(probe))
        text = run(*command, "-w", "-E", "-dD", str(source), cwd=build)
    size = int(re.search(r"/\* size: (\d+)", shape).group(1))

    macros = dict(re.findall(r"^#define (\w+) (.+)$", text, re.M))
    for table, pattern in MACROS.items():
        has[table] = [m for m in macros if re.fullmatch(pattern, m) and not NO_FLAG.search(m)]
    for table, pattern in ENUMS.items():
        has[table] = re.findall(rf"^\s*{pattern}\b\s*(?:=[^,]*)?,", text, re.M)

    has[FOPS] = []
    for line in run("nm", "-S", "--defined-only", str(build / "vmlinux")).splitlines():
        fields = line.split()
        # Data; functions may be as large by chance.
        if len(fields) == 4 and fields[2] in "dDrRbB":
            length = int(fields[1], 16)
            if length and length % size == 0:
                has[FOPS].append(fields[3])
    return has


def class_of(entry):
    return next((c for c in CLASSES if c in entry), None)


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, good, text):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"inventory: {text}")


def has_test(reference):
    """Whether a selftest FILE:NAME is there."""
    name, _, test = reference.partition(":")
    path = SELFTESTS / name
    if not path.is_file() or not re.fullmatch(r"\w+", test):
        return False
    text = path.read_text()
    return bool(
        re.search(rf"^[A-Z_]+\((?:\w+,\s*)?{test}\b", text, re.M)
        or re.search(rf"^FIXTURE_VARIANT_ADD\(\w+,\s*{test}\b", text, re.M)
    )


def has_resource(name):
    return (RESOURCES / f"{name}.rs").is_file() or (RESOURCES / name / "mod.rs").is_file()


def check_entry(report, table, entry):
    """One entry by itself: its class, its words, what it refers to."""
    names = entry.get("names", [])
    where = f"{table}: {' '.join(names[:3]) or 'an entry without names'}"
    kinds = [c for c in CLASSES if c in entry]
    known = set(CLASSES) | {"names", "tests"}
    report.check(
        len(kinds) == 1 and names and not set(entry) - known,
        f"{where}: not of one class with names",
    )
    if len(kinds) != 1:
        return
    kind = kinds[0]
    report.check(isinstance(entry[kind], str) and entry[kind], f"{where}: {kind} says nothing")
    report.check(
        kind != "other" or table == FOPS, f"{where}: 'other' is for symbols without a type only"
    )
    if kind == "saved":
        for resource in entry[kind].split():
            report.check(has_resource(resource), f"{where}: there is no resource {resource}")
    tests = entry.get("tests", [])
    report.check(
        bool(tests) == (kind in TESTED), f"{where}: tests are of what is saved or refused"
    )
    for test in tests:
        report.check(has_test(test), f"{where}: there is no selftest {test}")


def check(build):
    tables = tomllib.loads(SOURCE.read_text())
    report = Report()
    structs = [t for t in tables if "." not in t and t != FOPS]
    has = kernel_has(build, structs)
    for table in sorted(set(has) | set(tables)):
        report.check(table in tables, f"{table}: nothing of it is classed")
        report.check(bool(has.get(table)), f"{table}: the kernel has none of it")
        classed = []
        for entry in tables.get(table, []):
            check_entry(report, table, entry)
            classed += entry.get("names", [])
        for name in sorted({n for n in classed if classed.count(n) > 1}):
            report.check(False, f"{table}: {name} is classed twice")
        kernel = set(has.get(table, []))
        for name in sorted(kernel | set(classed)):
            if name not in kernel:
                report.check(False, f"{table}: {name} is not in the kernel any more")
            else:
                report.check(name in classed, f"{table}: {name} is new: it is not classed")
    report.check(
        PAGE.is_file() and PAGE.read_text() == page(tables),
        f"{PAGE.name} is not what tools/vm/inventory.py write makes",
    )
    print(report.passed, report.failed)


HEAD = """.. SPDX-License-Identifier: GPL-2.0

.. Made from inventory.toml by tools/vm/inventory.py: do not edit it here.

=========
Inventory
=========

All that the kernel keeps for a process, and what becomes of it. ``make inventory``
holds this against the kernel that was built: it fails if a member is new, is gone,
or is not classed. There are four classes:

saved
    by a module in ``checkpoint/resource``, as the selftests show that are named.
refused
    checkpoint(2) fails with a line in its log, as the selftests show.
derived
    it follows from what is saved.
irrelevant
    for the reason given. Where that is *the restarter's*, the process has what the
    caller of restart(2) had, as after execve(2); *at rest* is what holds nothing
    while a task stands still at the edge of user mode.

A member of a structure that has no name is listed as one of the structure around.
"""

TITLES = {
    FOPS: "Operations of files",
    "vm_area_struct.vm_flags": "vm_area_struct.vm_flags",
}


def page(tables):
    out = [HEAD]
    for table, entries in tables.items():
        title = TITLES.get(table, table)
        out.append(f"\n{title}\n{'=' * len(title)}\n")
        out.append("\n.. list-table::\n   :widths: 40 12 48\n\n")
        for entry in entries:
            kind = class_of(entry)
            if kind == "other":
                continue
            why = entry[kind]
            if kind == "saved":
                why = "by " + ", ".join(f"``{r}``" for r in why.split())
            if entry.get("tests"):
                why += " (" + ", ".join(f"``{t}``" for t in entry["tests"]) + ")"
            names = ", ".join(f"``{n}``" for n in entry["names"])
            out.append(f"   * - {names}\n     - {kind}\n     - {why}\n")
    return "".join(out)


def main():
    if sys.argv[1:] == ["write"]:
        PAGE.write_text(page(tomllib.loads(SOURCE.read_text())))
    elif len(sys.argv) == 3 and sys.argv[1] == "check":
        check(Path(sys.argv[2]))
    else:
        sys.exit(__doc__)


main()
