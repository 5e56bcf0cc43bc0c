/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests whose body is a subject (see proc.h) that is saved in the middle of
 * something, which only another can do: one who kills it, or one who does not.
 */
#ifndef __CKPT_MIDWAY_H
#define __CKPT_MIDWAY_H

#include "proc.h"

/* Milliseconds from its end to its restart. */
#define MIDWAY_DEAD 500

FIXTURE(midway)
{
	char none;
};

FIXTURE_VARIANT(midway)
{
	enum manner how;
};

FIXTURE_VARIANT_ADD(midway, killed) {
	.how = KILLED,
};

FIXTURE_VARIANT_ADD(midway, left) {
	.how = LEFT,
};

FIXTURE_SETUP(midway)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
}

FIXTURE_TEARDOWN(midway)
{
	remove_dir();
}

/* MIDWAY_TEST() - what follows is the body of the subject. */
#define MIDWAY_TEST(name) \
	static void name##_subject(void); \
	TEST_F_TIMEOUT(midway, name, 120) \
	{ \
		run_subject_flags(_metadata, name##_subject, variant->how, \
				  MIDWAY_DEAD, 0); \
	} \
	static void name##_subject(void)

#endif /* __CKPT_MIDWAY_H */
