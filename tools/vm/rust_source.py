# SPDX-License-Identifier: GPL-2.0
"""What the lint scripts have to know of Rust's syntax."""

import re

TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|b?r(#*)\".*?\"\1|[bc]?\"(?:\\.|[^\"\\])*\"|b?'(?:\\[^']+|[^'\\])'",
    re.S)


def code(text):
    """Rust without comments and the insides of strings, line numbers kept."""
    return TOKEN.sub(lambda m: "\n" * m.group(0).count("\n") or " ", text)


TEST_MOD = re.compile(
    r"#\[(?:kunit_tests\(|[\w:]*kunit_tests\(|cfg\(\s*(?:test|CONFIG_KUNIT|any\(test))[^\n]*\n"
    r"(?:\s*#\[[^\n]*\n)*\s*(?:pub\s+)?mod\s+\w+\s*\{")


def without_tests(text):
    """Blanks test modules: an assertion is what a test is for."""
    while m := TEST_MOD.search(text):
        depth, i = 1, m.end()
        while depth and i < len(text):
            depth += {"{": 1, "}": -1}.get(text[i], 0)
            i += 1
        text = text[:m.start()] + "\n" * text[m.start():i].count("\n") + text[i:]
    return text
