/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of what cannot be saved: it is refused by name, and who was to be saved
 * goes on and notices nothing.
 */
#ifndef __CKPT_REFUSE_H
#define __CKPT_REFUSE_H

#include "proc.h"

FIXTURE(refuse)
{
	struct subject s;
};

FIXTURE_SETUP(refuse)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(refuse)
{
	remove_dir();
}

/*
 * @fn prepares something that cannot be saved, and calls checkpoint_here().
 * The call is refused with EOPNOTSUPP and with a line that names the task and
 * has @what in it; in the file for the image there is nothing that could be
 * taken for one; and the process goes on to its end.
 */
static inline void refused(struct __test_metadata *_metadata, struct subject *s,
			   void (*fn)(void), const char *what)
{
	char text[1024] = { 0 }, name[64];
	char c;
	long ret;
	int err;

	ASSERT_TRUE(subject_start(s, fn, LEFT));
	s->ready = read_byte(s->out);
	if (s->ready == 'k') {
		/* It says, letter by letter, what the machine does not have. */
		read_text(s->out, text, sizeof(text));
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
		SKIP(return, "the machine has no such thing: %s", text);
	}
	ASSERT_EQ(SAY_READY[0], s->ready) {
		read_text(s->out, text, sizeof(text));
		TH_LOG("it said '%c%s'", s->ready, text);
	}
	ASSERT_TRUE(proc_wait_asleep(s->pid));
	errno = 0;
	ret = sys_checkpoint(s->pid, s->image, CHECKPOINT_LOG | CHECKPOINT_KILL,
			     s->logfd);
	err = errno;
	ASSERT_LE(0, pread(s->logfd, text, sizeof(text) - 1, 0));
	EXPECT_EQ(-1, ret);
	EXPECT_EQ(EOPNOTSUPP, err);
	snprintf(name, sizeof(name), "checkpoint: task %d (", s->pid);
	EXPECT_TRUE(!strncmp(text, name, strlen(name)))
		TH_LOG("log '%s', wanted '%s'", text, name);
	EXPECT_TRUE(!!strstr(text, what))
		TH_LOG("log '%s', wanted '%s'", text, what);
	EXPECT_TRUE(one_printable_line(text))
		TH_LOG("log '%s' is not one line", text);
	/* What was written before it was refused is no image. */
	if (file_size(s->image) > 0) {
		struct walk w = walk_file(s->image);

		EXPECT_NE(NULL, w.wrong);
		walk_free(&w);
	}
	/* Nor was it killed, or stopped, or interrupted. */
	sleep_ms(20);
	c = proc_state(s->pid);
	EXPECT_EQ('S', c)
		TH_LOG("state %c", c);
	if (subject_finish(s, "who could not be saved"))
		subject_close(s);
	/* Who shared something with it is the test's own child. */
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* In the subject: it cannot be tried on this machine. */
static inline void lacks(const char *what)
{
	dprintf(1, "k%s: %s", what, strerror(errno));
	_exit(0);
}

#define REFUSE_TEST(name, what) \
	static void name##_subject(void); \
	TEST_F(refuse, name) \
	{ \
		refused(_metadata, &self->s, name##_subject, what); \
	} \
	static void name##_subject(void)

/* A descriptor of this kind, 5. */
static inline void with_fd(int fd, const char *what)
{
	if (fd < 0)
		lacks(what);
	CHECK(dup2(fd, 5) == 5);
	if (fd != 5)
		close(fd);
	checkpoint_here();
	CHECK(fcntl(5, F_GETFD) >= 0);
}

#endif /* __CKPT_REFUSE_H */
