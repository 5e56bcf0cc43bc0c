/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Images of subjects that are changed before somebody restarts them, or that
 * somebody restarts on a machine which lacks something.
 */
#ifndef __CKPT_CRAFT_H
#define __CKPT_CRAFT_H

#include "proc.h"

/*
 * @fn prepares something, and calls checkpoint_here(), by which it ends. @craft
 * changes the image, or what the machine has, and @mend undoes the latter. The
 * restart fails with @err, and says @what in one line.
 */
static inline void restart_fails(struct __test_metadata *_metadata, void (*fn)(void),
				 void (*craft)(struct walk *w), void (*mend)(void),
				 int err, const char *what)
{
	struct subject s = { .metadata = _metadata };
	char text[1024] = { 0 };
	struct walk w;
	int fd, logfd, status;
	pid_t pid;

	ASSERT_TRUE(subject_start(&s, fn, KILLED));
	if (!subject_checkpoint(&s, KILLED, CHECKPOINT_KILL)) {
		kill(s.pid, SIGKILL);
		waitpid(s.pid, NULL, 0);
		return;
	}
	close(s.in);
	close(s.out);
	w = walk_file(s.image);
	EXPECT_EQ(NULL, w.wrong);
	if (!w.wrong) {
		craft(&w);
		walk_seal(&w);
		fd = tmp_memfd();
		logfd = tmp_memfd();
		EXPECT_TRUE(write_all(fd, w.buf, w.len));
		lseek(fd, 0, SEEK_SET);
		pid = spawn_restart(0, fd, 0, 0, logfd, -1, -1);
		status = wait_ms(pid, PATIENCE);
		if (status == -1) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + err)
			TH_LOG("status %#x, wanted errno %d", status, err);
		EXPECT_LE(0, pread(logfd, text, sizeof(text) - 1, 0));
		EXPECT_TRUE(!strncmp(text, "restart: ", 9) && !!strstr(text, what) &&
			    one_printable_line(text))
			TH_LOG("log '%s', wanted '%s'", text, what);
		close(fd);
		close(logfd);
		if (mend)
			mend();
	}
	walk_free(&w);
	subject_close(&s);
}

/* The @n-th record of a type; the test has seen to it that it is there. */
static inline void *craft_nth(struct walk *w, int type, int n)
{
	struct rec *r = walk_nth(w, type, n);

	return r ? walk_payload(w, r) : NULL;
}

/* Writes a number to a file of /proc/sys or /sys; returns what was there. */
static inline long swap_number(const char *path, long value)
{
	char text[32] = { 0 };
	int fd = open(path, O_RDWR | O_CLOEXEC), n;
	long was = -1;

	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) > 0)
		was = atol(text);
	n = snprintf(text, sizeof(text), "%ld\n", value);
	if (pwrite(fd, text, n, 0) != n)
		was = -1;
	close(fd);
	return was;
}

/* The number in such a file, -1 if there is none. */
static inline long read_number(const char *path)
{
	char text[32] = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long value = -1;

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		value = atol(text);
	close(fd);
	return value;
}

#endif /* __CKPT_CRAFT_H */
