// SPDX-License-Identifier: GPL-2.0
/*
 * NUMA policies, of memory and of the task. With one node there is not much to
 * choose from, but much to remember; with two, pages are where they belong.
 */
#include "subject.h"
#include "memory.h"
#include "craft.h"

#include <linux/mempolicy.h>

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif
#ifndef MPOL_F_NUMA_BALANCING
#define MPOL_F_NUMA_BALANCING (1 << 13)
#endif

/* MPOL_WEIGHTED_INTERLEAVE, of which there is no macro to ask for. */
#define WEIGHTED_INTERLEAVE 6

#define NODES 1024

static bool no_policies(void)
{
	return syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0) && errno == ENOSYS;
}

/* What @p, or the task if that is NULL, has: mode and flags. */
static int policy_of(const void *p, unsigned long *nodes)
{
	unsigned long mask[NODES / 64] = { 0 };
	int mode = -1;

	CHECK(!syscall(SYS_get_mempolicy, &mode, mask, NODES, p,
		       p ? MPOL_F_ADDR : 0));
	*nodes = mask[0];
	return mode;
}

static void bind(void *p, size_t size, int mode, unsigned long nodes)
{
	CHECK(!syscall(SYS_mbind, p, size, mode, nodes ? &nodes : NULL,
		       nodes ? 65 : 0, 0));
}

static int node_of(void *p)
{
	int node = -1;

	CHECK(!syscall(SYS_get_mempolicy, &node, NULL, 0, p, MPOL_F_NODE | MPOL_F_ADDR));
	return node;
}

#define POLICY_TEST(name) \
	static void name##_subject(void); \
	TEST_F_TIMEOUT(subject, name, 120) \
	{ \
		if (no_policies()) \
			SKIP(return, "the kernel has no NUMA policies"); \
		run_subject(_metadata, name##_subject, variant->how); \
	} \
	static void name##_subject(void)

static const struct {
	int mode;
	unsigned long nodes;
} policies[] = {
	{ MPOL_BIND, 1 },
	{ MPOL_BIND | MPOL_F_STATIC_NODES, 1 },
	{ MPOL_BIND | MPOL_F_RELATIVE_NODES, 1 },
	{ MPOL_BIND | MPOL_F_NUMA_BALANCING, 1 },
	{ MPOL_PREFERRED, 1 },
	{ MPOL_PREFERRED | MPOL_F_STATIC_NODES, 1 },
	{ MPOL_PREFERRED_MANY, 1 },
	{ MPOL_INTERLEAVE, 1 },
	{ MPOL_INTERLEAVE | MPOL_F_RELATIVE_NODES, 1 },
	/* There is no such node, which is fine as long as there is another. */
	{ MPOL_INTERLEAVE | MPOL_F_STATIC_NODES, 1 | 1UL << 9 },
	{ WEIGHTED_INTERLEAVE, 1 },
	{ MPOL_LOCAL, 0 },
};

/* Side by side in one mapping, which they split. */
POLICY_TEST(of_private_memory)
{
	char *p = map_private(2 * PAGE * ARRAY_SIZE(policies));
	unsigned long before[ARRAY_SIZE(policies)], after;
	int mode[ARRAY_SIZE(policies)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(policies); i++)
		bind(p + 2 * PAGE * i, PAGE, policies[i].mode, policies[i].nodes);
	fill(p, 2 * PAGE * ARRAY_SIZE(policies), 1);
	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		mode[i] = policy_of(p + 2 * PAGE * i, &before[i]);
		CHECK(mode[i] == policies[i].mode);
		CHECK(before[i] == policies[i].nodes);
	}
	checkpoint_and_compare();
	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		CHECK(policy_of(p + 2 * PAGE * i, &after) == mode[i]);
		CHECK(after == before[i]);
		/* What is between them has none. */
		CHECK(policy_of(p + 2 * PAGE * i + PAGE, &after) == MPOL_DEFAULT);
	}
	CHECK(filled(p, 2 * PAGE * ARRAY_SIZE(policies), 1));
}

POLICY_TEST(of_shared_memory)
{
	char *p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	unsigned long nodes;

	bind(p, 2 * PAGE, MPOL_PREFERRED_MANY, 1);
	fill(p, 4 * PAGE, 1);
	checkpoint_and_compare();
	CHECK(policy_of(p, &nodes) == MPOL_PREFERRED_MANY && nodes == 1);
	CHECK(policy_of(p + 2 * PAGE, &nodes) == MPOL_DEFAULT);
	CHECK(filled(p, 4 * PAGE, 1));
}

POLICY_TEST(of_the_task)
{
	unsigned long one = 1, nodes;
	char *p;

	CHECK(!syscall(SYS_set_mempolicy, MPOL_INTERLEAVE | MPOL_F_STATIC_NODES,
		       &one, 65));
	checkpoint_here();
	CHECK(policy_of(NULL, &nodes) == (MPOL_INTERLEAVE | MPOL_F_STATIC_NODES));
	CHECK(nodes == 1);
	/* It is what memory has that has none of its own. */
	p = map_private(PAGE);
	p[0] = 1;
	CHECK(node_of(p) == 0);
}

static void default_subject(void)
{
	unsigned long nodes;

	CHECK(!syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
	checkpoint_here();
	CHECK(policy_of(NULL, &nodes) == MPOL_DEFAULT && !nodes);
}

/* Who has none gets none from its restarter. */
TEST_F_TIMEOUT(subject, of_the_restarter_does_not_stay, 120)
{
	unsigned long one = 1;

	if (no_policies())
		SKIP(return, "the kernel has no NUMA policies");
	ASSERT_EQ(0, syscall(SYS_set_mempolicy, MPOL_BIND, &one, 65));
	run_subject(_metadata, default_subject, variant->how);
	ASSERT_EQ(0, syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
}

static void two_nodes_subject(void)
{
	char *p = map_private(64 * PAGE);
	int i;

	bind(p, 32 * PAGE, MPOL_BIND, 2);
	bind(p + 32 * PAGE, 32 * PAGE, MPOL_BIND, 1);
	fill(p, 64 * PAGE, 1);
	checkpoint_here();
	for (i = 0; i < 64; i++)
		CHECK(node_of(p + i * PAGE) == (i < 32 ? 1 : 0));
	CHECK(filled(p, 64 * PAGE, 1));
}

TEST_F_TIMEOUT(subject, pages_are_on_their_nodes, 120)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "the machine has one node; it was not booted with numa=fake=2");
	run_subject(_metadata, two_nodes_subject, variant->how);
}

/* What get_mempolicy(2) does not tell is in the next image. */
static void home_subject(void)
{
	char *p = map_private(4 * PAGE);

	bind(p, 4 * PAGE, MPOL_BIND, 1);
	CHECK(!syscall(SYS_set_mempolicy_home_node, p, 4 * PAGE, 0, 0));
	checkpoint_here();
}

static struct cr_hdr_policy *policy(struct walk *w)
{
	return craft_nth(w, CR_HDR_POLICY, 0);
}

static bool home_was_there;

static void home_that_is_not_there(struct walk *w)
{
	home_was_there = policy(w)->home_node == 0 && policy(w)->mode == MPOL_BIND;
	policy(w)->home_node = 60;
}

static void node_that_is_not_there(struct walk *w)
{
	policy(w)->nodes[0] |= 1UL << 40;
}

static void node_beyond_all(struct walk *w)
{
	policy(w)->nodes[15] |= 1UL << 63;
}

static void mode_of_nothing(struct walk *w)
{
	policy(w)->mode = 99;
}

static void flags_of_nothing(struct walk *w)
{
	policy(w)->flags = 1;
}

static void policy_outside(struct walk *w)
{
	policy(w)->start = 0x10000;
	policy(w)->end = 0x11000;
}

static void policy_without_nodes(struct walk *w)
{
	memset(policy(w)->nodes, 0, sizeof(policy(w)->nodes));
}

TEST_F(subject, bad_policies)
{
	if (variant->how != KILLED)
		return;
	if (no_policies())
		SKIP(return, "the kernel has no NUMA policies");
	restart_fails(_metadata, home_subject, home_that_is_not_there, NULL, EINVAL,
		      "there are no such nodes");
	EXPECT_TRUE(home_was_there);
	restart_fails(_metadata, home_subject, node_that_is_not_there, NULL, EINVAL,
		      "there are no such nodes");
	restart_fails(_metadata, home_subject, node_beyond_all, NULL, EINVAL,
		      "there are no such nodes");
	restart_fails(_metadata, home_subject, policy_without_nodes, NULL, EINVAL,
		      "there are no such nodes");
	restart_fails(_metadata, home_subject, mode_of_nothing, NULL, EINVAL,
		      "POLICY: mode");
	restart_fails(_metadata, home_subject, flags_of_nothing, NULL, EINVAL,
		      "POLICY: ");
	restart_fails(_metadata, home_subject, policy_outside, NULL, EINVAL,
		      "it is for no mapping");
}

/* The home node of a process that came back is saved once more. */
static void home_again_subject(void)
{
	home_subject();
}

TEST_F_TIMEOUT(subject, home_node, 120)
{
	if (no_policies())
		SKIP(return, "the kernel has no NUMA policies");
	run_subject(_metadata, home_again_subject, variant->how);
}

TEST_HARNESS_MAIN
