/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Restarters of a subject (see proc.h) that are not like the subject was: with
 * less, with more, with another image. Either they become the subject, or they
 * are told why not and have what they had.
 */
#ifndef __CKPT_RESTARTER_H
#define __CKPT_RESTARTER_H

#include "proc.h"

#include <linux/capability.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>

/* As struct sched_attr, which not every C library leaves alone. */
struct attr {
	__u32 size;
	__u32 policy;
	__u64 flags;
	__s32 nice;
	__u32 priority;
	__u64 runtime;
	__u64 deadline;
	__u64 period;
	__u32 util_min;
	__u32 util_max;
};

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE		6
#endif
#define ATTR_RESET_ON_FORK	0x01
#define ATTR_DL_OVERRUN		0x04
#define ATTR_UTIL_CLAMP		0x60

static inline int set_attr(struct attr *attr)
{
	attr->size = sizeof(*attr);
	return syscall(SYS_sched_setattr, 0, attr, 0);
}

static inline struct attr get_attr(void)
{
	struct attr attr = { 0 };

	syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0);
	return attr;
}

#ifndef MEMBARRIER_CMD_GET_REGISTRATIONS
#define MEMBARRIER_CMD_GET_REGISTRATIONS (1 << 9)
#endif

#define IOPRIO(class, level)	((class) << 13 | (level))

static inline int set_ioprio(int ioprio)
{
	return syscall(SYS_ioprio_set, 1, 0, ioprio);
}

static inline int get_ioprio(void)
{
	return syscall(SYS_ioprio_get, 1, 0);
}

static inline bool write_proc(const char *name, const char *text)
{
	char path[64];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

static inline int read_proc(const char *name)
{
	char path[64], text[32] = { 0 };
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? atoi(text) : -1;
}

/* Gives up what these tests are about, and nothing that files need. */
static inline void drop_caps(void)
{
	const __u32 less = 1U << CAP_SYS_RESOURCE | 1U << CAP_SYS_NICE |
			   1U << CAP_SYS_ADMIN;
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &header, caps))
		_exit(97);
	caps[0].effective &= ~less;
	caps[0].permitted &= ~less;
	caps[0].inheritable &= ~less;
	if (syscall(SYS_capset, &header, caps))
		_exit(97);
}

/* What a restart might change of its caller. */
struct own {
	struct rlimit limits[16];
	struct attr attr;
	cpu_set_t cpus;
	int nice;
	int ioprio;
	int slack;
	int oom;
	int pdeath;
	int subreaper;
	int tsc;
	int thp;
	int mce;
	int io_flusher;
	int spec[3];
	int personality;
	int membarrier;
	__u64 xcomp;
	pid_t sid;
	pid_t pgrp;
};

static inline void note(struct own *own)
{
	int i;

	memset(own, 0, sizeof(*own));
	for (i = 0; i < 16; i++)
		getrlimit(i, &own->limits[i]);
	own->attr = get_attr();
	sched_getaffinity(0, sizeof(own->cpus), &own->cpus);
	own->nice = getpriority(PRIO_PROCESS, 0);
	own->ioprio = get_ioprio();
	own->slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	own->oom = read_proc("oom_score_adj");
	prctl(PR_GET_PDEATHSIG, &own->pdeath, 0, 0, 0);
	prctl(PR_GET_CHILD_SUBREAPER, &own->subreaper, 0, 0, 0);
	prctl(PR_GET_TSC, &own->tsc, 0, 0, 0);
	own->thp = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
	own->mce = prctl(PR_MCE_KILL_GET, 0, 0, 0, 0);
	own->io_flusher = prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0);
	for (i = 0; i < 3; i++)
		own->spec[i] = prctl(PR_GET_SPECULATION_CTRL, i, 0, 0, 0);
	own->personality = personality(0xffffffff);
	own->membarrier = syscall(SYS_membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS,
				  0, 0);
	/* ARCH_GET_XCOMP_PERM: registers that it has asked for. */
	syscall(SYS_arch_prctl, 0x1022, &own->xcomp);
	own->sid = getsid(0);
	own->pgrp = getpgrp();
}

/* How a subject is restarted. */
struct restarter {
	void (*craft)(struct walk *w);	/* what becomes of its image */
	void (*before)(void);		/* what the restarter does first */
	int err;			/* of restart(2), 0 if it is right */
	const char *what;		/* what its log has in it then */
};

static inline bool change_image(struct subject *s, void (*craft)(struct walk *w))
{
	struct walk w = walk_file(s->image);
	bool ok = !w.wrong;

	if (ok) {
		craft(&w);
		walk_seal(&w);
		ok = pwrite(s->image, w.buf, w.len, 0) == (ssize_t)w.len;
	}
	walk_free(&w);
	return ok;
}

/* In the child: not in a session of its own, as settle() would have it. */
static inline void become(struct subject *s, const struct restarter *r, int in,
			  int out)
{
	static struct own own, now;
	int fd, logfd, err;

	fd = open("/dev/tty", O_RDWR);
	ioctl(fd, TIOCNOTTY);
	close(fd);
	fd = fcntl(s->image, F_DUPFD, 20);
	logfd = fcntl(s->logfd, F_DUPFD, 20);
	in = fcntl(in, F_DUPFD, 20);
	out = fcntl(out, F_DUPFD, 20);
	dup2(in, 0);
	dup2(out, 1);
	dup2(open("/dev/null", O_RDWR), 2);
	set_comm("restarter");
	keep_only(fd, logfd);
	if (r->before)
		r->before();
	note(&own);
	errno = 0;
	sys_restart(0, fd, CHECKPOINT_LOG, logfd);
	err = errno;
	note(&now);
	_exit(memcmp(&own, &now, sizeof(own)) ? 99 : 100 + err);
}

/* Restarts it; false if it is not what it should be. */
static inline bool restart_by(struct subject *s, const struct restarter *r)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&s->pid,
		.set_tid_size = 1,
	};
	struct __test_metadata *_metadata = s->metadata;
	char text[1024] = { 0 };
	int in[2], out[2], status;
	pid_t pid;

	if ((r->craft && !change_image(s, r->craft)) ||
	    pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || !subject_rewind(s)) {
		subject_failure(s, "image");
		return false;
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid)
		become(s, r, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	s->in = in[1];
	s->out = out[0];
	if (pid < 0) {
		subject_failure(s, "clone3 with its pid");
		return false;
	}
	if (!r->err) {
		if (proc_wait_comm(pid, "subject"))
			return true;
		subject_finish(s, "not restored");
		return false;
	}

	status = wait_ms(pid, PATIENCE);
	if (status == -1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(s->in);
	close(s->out);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 100 + r->err)
		TH_LOG("status %#x, wanted errno %d; 99: the caller changed", status,
		       r->err);
	if (pread(s->logfd, text, sizeof(text) - 1, 0) < 0)
		text[0] = '\0';
	EXPECT_TRUE(!!strstr(text, r->what))
		TH_LOG("log '%s', wanted '%s'", text, r->what);
	EXPECT_TRUE(one_printable_line(text))
		TH_LOG("log '%s' is not one line", text);
	return false;
}

/* Until there is an image, and the subject is dead. */
static inline bool save_subject(struct __test_metadata *_metadata, struct subject *s,
				void (*fn)(void))
{
	*s = (struct subject) { .metadata = _metadata };
	if (!subject_start(s, fn, KILLED)) {
		subject_failure(s, "start");
		return false;
	}
	if (!subject_checkpoint(s, KILLED, CHECKPOINT_KILL)) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
		return false;
	}
	close(s->in);
	close(s->out);
	return true;
}

/* All of it. */
static inline void run_restarter(struct __test_metadata *_metadata,
				 void (*fn)(void), const struct restarter *r)
{
	struct subject s;

	if (!save_subject(_metadata, &s, fn))
		return;
	if (restart_by(&s, r))
		subject_finish(&s, "the restored one");
	subject_close(&s);
}

/*
 * RESTARTER_TEST() - what follows is the body of the subject. The rest are
 * members of struct restarter.
 */
#define RESTARTER_TEST(name, ...) \
	static void name##_saved(void); \
	TEST_F_TIMEOUT(restarter, name, 120) \
	{ \
		static const struct restarter how = { __VA_ARGS__ }; \
		\
		run_restarter(_metadata, name##_saved, &how); \
	} \
	static void name##_saved(void)

FIXTURE(restarter)
{
	char none;
};

FIXTURE_SETUP(restarter)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
}

FIXTURE_TEARDOWN(restarter)
{
	remove_dir();
}

#endif /* __CKPT_RESTARTER_H */
