// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel of the VM does, counted instruction by instruction: a plugin for
 * QEMU's TCG (its docs/devel/tcg-plugins.rst), which builds the tree of calls.
 *
 *   -plugin calls.so,symbols=FILE,out=FILE
 *
 * tools/bench/run --calls builds and uses it, calls.py shows what comes out. Symbols
 * are what nm -nC prints. The tree has a line for each function called from another:
 * number, number of the caller, instructions of its own, calls, name.
 *
 * Where a stack is shows when a call puts its return address there, or a return
 * takes it, so tasks may change in the middle. Made for a VM of one processor.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-plugin.h"

int qemu_plugin_version = 1;

/* Kernel stacks are aligned to their size. */
#define STACK_SHIFT	14
#define STACKS		(1U << 16)
#define DEPTH		256

static void *grow(void *array, size_t nr, size_t size)
{
	/* To the next power of two, when it is full. */
	if (nr & (nr - 1))
		return array;
	array = realloc(array, (nr ? 2 * nr : 1) * size);
	if (!array)
		abort();
	return array;
}

/* Functions */

struct symbol {
	uint64_t addr;
	char *name;
};

static struct symbol *symbols;
static size_t nr_symbols;

static bool read_symbols(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[4096], type;
	unsigned long addr;
	int name;

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%lx %c %n", &addr, &type, &name) < 2 || !strchr("tTwW", type) ||
		    !(addr >> 63) || (nr_symbols && symbols[nr_symbols - 1].addr == addr))
			continue;
		symbols = grow(symbols, nr_symbols, sizeof(*symbols));
		symbols[nr_symbols++] = (struct symbol){ addr, strdup(line + name) };
	}
	if (file)
		fclose(file);
	return nr_symbols;
}

static size_t find_symbol(uint64_t addr)
{
	size_t low = 0, high = nr_symbols;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (symbols[middle].addr <= addr)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The tree; number 0 is above all */

struct node {
	size_t function, parent, child, next;
	uint64_t instructions, calls;
};

static struct node *nodes;
static size_t nr_nodes;

static size_t add_node(size_t parent, size_t function)
{
	nodes = grow(nodes, nr_nodes, sizeof(*nodes));
	nodes[nr_nodes] = (struct node){ .function = function, .parent = parent };
	return nr_nodes++;
}

static size_t child_of(size_t parent, size_t function)
{
	size_t nr;

	for (nr = nodes[parent].child; nr; nr = nodes[nr].next)
		if (nodes[nr].function == function)
			return nr;
	nr = add_node(parent, function);
	nodes[nr].next = nodes[parent].child;
	nodes[parent].child = nr;
	return nr;
}

/* Where the stacks are */

struct frame {
	uint64_t sp;
	size_t node;
};

struct stack {
	uint64_t number;
	unsigned int depth;
	struct frame frames[DEPTH];
};

static struct stack *stacks[STACKS];
static struct stack *now;
/* The return address of a call whose function is what comes next. */
static uint64_t called;

/* Finds the stack that @sp is on, and forgets the frames below it. */
static void unwind(uint64_t sp)
{
	uint64_t number = sp >> STACK_SHIFT;
	unsigned int slot = number * 0x9e3779b97f4a7c15 >> 48;

	if (!now || now->number != number) {
		while (stacks[slot] && stacks[slot]->number != number)
			slot = (slot + 1) % STACKS;
		if (!stacks[slot]) {
			stacks[slot] = calloc(1, sizeof(*stacks[slot]));
			if (!stacks[slot])
				abort();
			stacks[slot]->number = number;
		}
		now = stacks[slot];
	}
	while (now->depth && now->frames[now->depth - 1].sp <= sp)
		now->depth--;
}

static void on_call(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t addr, void *data)
{
	unwind(addr);
	called = addr;
}

static void on_return(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t addr, void *data)
{
	unwind(addr);
	called = 0;
}

struct block {
	size_t function, instructions;
};

static void on_block(unsigned int cpu, void *data)
{
	const struct block *block = data;
	size_t node;

	if (!now)
		return;
	node = now->depth ? now->frames[now->depth - 1].node : 0;
	if (called && now->depth < DEPTH) {
		node = child_of(node, block->function);
		nodes[node].calls++;
		now->frames[now->depth++] = (struct frame){ called, node };
	} else if (!now->depth) {
		node = child_of(0, block->function);
	} else if (nodes[node].function != block->function) {
		const size_t caller = nodes[node].parent;

		if (nodes[caller].function == block->function && now->depth > 1) {
			/* Back from an interrupt. */
			now->depth--;
			node = caller;
		} else {
			/* A jump in place of a call and a return. */
			node = child_of(caller, block->function);
			now->frames[now->depth - 1].node = node;
		}
	}
	called = 0;
	nodes[node].instructions += block->instructions;
}

/* Whether an instruction is a call, or a return. */
static void look(const uint8_t *code, size_t len, bool *calls, bool *returns)
{
	static const char prefixes[] = { 0x2e, 0x3e, 0x66, 0xf2, 0xf3 };

	while (len && (memchr(prefixes, *code, sizeof(prefixes)) || (*code & 0xf0) == 0x40)) {
		code++;
		len--;
	}
	*calls = len && (*code == 0xe8 || (*code == 0xff && len > 1 && (code[1] >> 3 & 7) == 2));
	*returns = len && (*code == 0xc2 || *code == 0xc3);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	const uint64_t addr = qemu_plugin_tb_vaddr(tb);
	struct qemu_plugin_insn *last;
	struct block *block;
	bool calls, returns;

	/* User mode. */
	if (!(addr >> 63))
		return;
	/* QEMU may go back to it at any time. */
	block = malloc(sizeof(*block));
	if (!block)
		abort();
	block->function = find_symbol(addr);
	block->instructions = qemu_plugin_tb_n_insns(tb);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);

	last = qemu_plugin_tb_get_insn(tb, block->instructions - 1);
	look(qemu_plugin_insn_data(last), qemu_plugin_insn_size(last), &calls, &returns);
	if (calls)
		qemu_plugin_register_vcpu_mem_cb(last, on_call, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_W, NULL);
	else if (returns)
		qemu_plugin_register_vcpu_mem_cb(last, on_return, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_R, NULL);
}

static void on_exit_write(qemu_plugin_id_t id, void *data)
{
	FILE *file = fopen(data, "w");
	size_t i;

	if (!file) {
		perror(data);
		return;
	}
	for (i = 1; i < nr_nodes; i++)
		fprintf(file, "%zu %zu %lu %lu %s\n", i, nodes[i].parent, nodes[i].instructions,
			nodes[i].calls, symbols[nodes[i].function].name);
	fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	const char *names = NULL, *out = NULL;
	int i;

	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "symbols=", 8))
			names = argv[i] + 8;
		else if (!strncmp(argv[i], "out=", 4))
			out = argv[i] + 4;
	}
	if (!names || !out || !read_symbols(names)) {
		fprintf(stderr, "symbols=FILE and out=FILE are needed\n");
		return -1;
	}
	add_node(0, 0);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, on_exit_write, strdup(out));
	return 0;
}
