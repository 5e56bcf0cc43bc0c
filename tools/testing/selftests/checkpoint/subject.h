/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests whose body is a subject (see proc.h), in three variants: it is saved by
 * another, which kills it; by another, which does not; and by itself.
 */
#ifndef __CKPT_SUBJECT_H
#define __CKPT_SUBJECT_H

#include "proc.h"

FIXTURE(subject)
{
	char none;
};

FIXTURE_VARIANT(subject)
{
	enum manner how;
};

FIXTURE_VARIANT_ADD(subject, killed) {
	.how = KILLED,
};

FIXTURE_VARIANT_ADD(subject, left) {
	.how = LEFT,
};

FIXTURE_VARIANT_ADD(subject, itself) {
	.how = ITSELF,
};

FIXTURE_SETUP(subject)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
}

FIXTURE_TEARDOWN(subject)
{
	remove_dir();
}

/* SUBJECT_TEST() - what follows is the body of the subject. */
#define SUBJECT_TEST(name) \
	static void name##_subject(void); \
	TEST_F_TIMEOUT(subject, name, 120) \
	{ \
		run_subject(_metadata, name##_subject, variant->how); \
	} \
	static void name##_subject(void)

#endif /* __CKPT_SUBJECT_H */
