#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Shows what a function of the kernel does, and those that it calls.

The file is what tools/bench/run --calls FOLDER leaves for a part. A name stands for every
function that ends with it. Instructions of all calls are added up; what ran meanwhile on
other stacks, as tasks and workers that were waited for, stands under functions of its own.
"""

import argparse
import collections
import signal

SHORT = 100  # of a name


class Tree:
    """The tree of calls: lists by the number of a node, which is above those of its callees."""

    def __init__(self, path):
        self.parent, self.own, self.calls, self.name = [0], [0], [0], [""]
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                _, parent, own, calls, name = line.rstrip("\n").split(" ", 4)
                self.parent.append(int(parent))
                self.own.append(int(own))
                self.calls.append(int(calls))
                self.name.append(name)
        self.total = list(self.own)
        self.callees = collections.defaultdict(list)
        for node in reversed(range(1, len(self.own))):
            self.total[self.parent[node]] += self.total[node]
            self.callees[self.parent[node]].append(node)

    def find(self, name):
        """The calls of a function that are in no other call of it."""
        found = {n for n, of in enumerate(self.name) if n and of.endswith(name)}

        def is_inner(node):
            while node := self.parent[node]:
                if node in found:
                    return True
            return False

        return [node for node in found if not is_inner(node)]

    def by_name(self, nodes):
        """What the functions called from any of these take, the longest first."""
        groups = collections.defaultdict(list)
        for node in nodes:
            for callee in self.callees[node]:
                groups[self.name[callee]].append(callee)
        return sorted(groups.items(), key=lambda g: -sum(self.total[n] for n in g[1]))

    def below(self, nodes):
        """All nodes from these on."""
        todo = list(nodes)
        while todo:
            node = todo.pop()
            todo += self.callees[node]
            yield node


def show(tree, nodes, whole, args, depth=0):
    """Prints the callees, and theirs."""
    for name, group in tree.by_name(nodes):
        total, own, calls = (sum(of[n] for n in group)
                             for of in (tree.total, tree.own, tree.calls))
        if 100 * total < args.least * whole:
            break
        print(f"{'  ' * depth}{100 * total / whole:5.1f} %  {calls:8} calls"
              f"  {100 * own / whole:4.1f} % its own  {name[:SHORT]}")
        if depth + 1 < args.depth:
            show(tree, group, whole, args, depth + 1)


def main():
    """Prints the tree below each function, and what most of it is spent in."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("file")
    p.add_argument("function", nargs="+", help="such as do_checkpoint, do_restart, worker_main")
    p.add_argument("--depth", type=int, default=6, help="of calls (default: %(default)s)")
    p.add_argument("--least", type=float, default=1, metavar="PERCENT",
                   help="of the whole that is worth a line (default: %(default)s)")
    p.add_argument("--top", type=int, default=20, help="functions without their callees")
    args = p.parse_args()
    tree = Tree(args.file)

    for name in args.function:
        nodes = tree.find(name)
        whole = sum(tree.total[n] for n in nodes)
        calls = sum(tree.calls[n] for n in nodes)
        print(f"{name}: {whole} instructions in {calls} calls")
        show(tree, nodes, max(whole, 1), args)
        own = collections.Counter()
        for node in tree.below(nodes):
            own[tree.name[node]] += tree.own[node]
        print(f"{name}: most of its own")
        for of, n in own.most_common(args.top):
            print(f"{100 * n / max(whole, 1):5.1f} %  {of[:SHORT]}")


if __name__ == "__main__":
    main()
