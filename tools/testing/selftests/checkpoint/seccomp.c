// SPDX-License-Identifier: GPL-2.0
/*
 * Filters of system calls, and strict mode: they hold in what was restored, and
 * no image gives anybody filters that seccomp(2) would not.
 */
#include "subject.h"

#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#define NR (offsetof(struct seccomp_data, nr))
#define BIG 4096		/* instructions that one filter can have */

static bool install(struct sock_filter *insns, unsigned short len,
		    unsigned int flags)
{
	struct sock_fprog prog = { len, insns };

	return !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* A filter that answers @err to the call @nr. */
static bool block(int nr, int err)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return install(insns, ARRAY_SIZE(insns), 0);
}

/* Likewise, as long as a filter can be. */
static bool block_at_length(int nr, int err)
{
	static struct sock_filter insns[BIG];
	int i;

	for (i = 0; i < BIG - 4; i++)
		insns[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, i);
	insns[i++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR);
	insns[i++] = (struct sock_filter)
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1);
	insns[i++] = (struct sock_filter)
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err);
	insns[i++] = (struct sock_filter)
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return install(insns, BIG, 0);
}

static bool allow_all(void)
{
	struct sock_filter insn = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

	return install(&insn, 1, 0);
}

/* The number behind @name in status. */
static long status_of(const char *name)
{
	static char text[8192];
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	char *at;

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, name);
	return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

static bool answers(int nr, int err)
{
	errno = 0;
	return syscall(nr, 0, 0, 0, 0, 0, 0) == -1 && errno == err;
}

/* Calls that nothing else in a subject makes. */
static const int unused[] = {
	SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getppid,
	SYS_getpgrp, SYS_umask, SYS_sync,
};

SUBJECT_TEST(each_filter_still_blocks)
{
	size_t i;

	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	for (i = 0; i < ARRAY_SIZE(unused); i++)
		CHECK(block(unused[i], 200 + i));
	checkpoint_here();
	for (i = 0; i < ARRAY_SIZE(unused); i++)
		CHECK(answers(unused[i], 200 + i));
	CHECK(prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(status_of("Seccomp_filters:") == ARRAY_SIZE(unused));
	CHECK(getpid() > 0);
}

/* Of those that say the same, the one that was installed last has its way. */
SUBJECT_TEST(filters_are_in_order)
{
	CHECK(block(SYS_getppid, 11) && block(SYS_getppid, 33) &&
	      block(SYS_getppid, 22));
	CHECK(answers(SYS_getppid, 22));
	checkpoint_here();
	CHECK(answers(SYS_getppid, 22));
	/* More can be installed, as ever. */
	CHECK(block(SYS_getppid, 44) && answers(SYS_getppid, 44));
	CHECK(status_of("Seccomp_filters:") == 4);
}

/* CAP_SYS_ADMIN takes no no_new_privs. */
SUBJECT_TEST(filter_with_new_privs)
{
	CHECK(block(SYS_getppid, 11));
	checkpoint_here();
	CHECK(answers(SYS_getppid, 11));
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
}

/* Installed by root, who then becomes somebody: root installs them again. */
SUBJECT_TEST(filter_of_a_user_with_new_privs)
{
	CHECK(block(SYS_getppid, 11));
	CHECK(!setresuid(1234, 1234, 1234));
	checkpoint_here();
	CHECK(answers(SYS_getppid, 11) && getuid() == 1234);
}

SUBJECT_TEST(longest_filter)
{
	CHECK(block_at_length(SYS_getppid, 11));
	checkpoint_here();
	CHECK(answers(SYS_getppid, 11));
	CHECK(getpid() > 0);
}

SUBJECT_TEST(many_filters)
{
	int i;

	for (i = 0; i < 300; i++)
		CHECK(block(SYS_getppid, 1 + i));
	checkpoint_here();
	CHECK(answers(SYS_getppid, 300));
	CHECK(status_of("Seccomp_filters:") == 300);
}

/* As many instructions as there may be: not one more goes. */
SUBJECT_TEST(full)
{
	int n = 0;

	while (block_at_length(SYS_getppid, 11))
		n++;
	CHECK(n > 1 && errno == ENOMEM);
	while (allow_all())
		n++;
	checkpoint_here();
	CHECK(!allow_all() && errno == ENOMEM);
	CHECK(status_of("Seccomp_filters:") == n);
}

static volatile sig_atomic_t trapped;

static void on_sys(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	trapped = info->si_syscall;
}

SUBJECT_TEST(trap)
{
	struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	CHECK(!sigaction(SIGSYS, &sa, NULL));
	CHECK(install(insns, ARRAY_SIZE(insns), 0));
	checkpoint_here();
	syscall(SYS_getppid);
	CHECK(trapped == SYS_getppid);
}

/* A listener that is gone makes a filter like any other. */
SUBJECT_TEST(listener_is_gone)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(insns), insns };
	int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			 SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);

	CHECK(fd >= 0 && !close(fd));
	CHECK(answers(SYS_getppid, ENOSYS));
	checkpoint_here();
	CHECK(answers(SYS_getppid, ENOSYS));
}

/* The interrupted call passes the filters again, which have seen it before. */
SUBJECT_TEST(interrupted_call_is_allowed)
{
	CHECK(block(SYS_restart_syscall, 11) && block(SYS_pause, 12));
	checkpoint_here();
	CHECK(answers(SYS_pause, 12));
}

/* A child of what was restored has them as well. */
SUBJECT_TEST(child_inherits)
{
	int status;
	pid_t pid;

	CHECK(block(SYS_getppid, 11));
	checkpoint_here();
	pid = fork();
	if (!pid)
		_exit(answers(SYS_getppid, 11) ? 0 : 1);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

/* Strict mode */

FIXTURE(seccomp)
{
	struct subject s;
};

FIXTURE_SETUP(seccomp)
{
	if (skip_without_root(_metadata, "to give pids"))
		return;
	ASSERT_TRUE(make_dir());
	self->s.metadata = _metadata;
}

FIXTURE_TEARDOWN(seccomp)
{
	remove_dir();
}

/* It may read, write and exit; but not by exit_group(2), as _exit() does. */
static void strictly(void)
{
	char c = 0;

	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	say(SAY_READY);
	if (read(0, &c, 1) == 1 && c == 'g')
		say("ok\n");
	syscall(SYS_exit, 0);
}

TEST_F(seccomp, strict)
{
	run_subject(_metadata, strictly, KILLED);
	run_subject(_metadata, strictly, LEFT);
}

static void strictly_disobedient(void)
{
	char c = 0;

	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	say(SAY_READY);
	if (read(0, &c, 1) == 1 && c == 'g')
		syscall(SYS_getppid);
	say("it was allowed\n");
	syscall(SYS_exit, 0);
}

TEST_F(seccomp, strict_is_strict)
{
	struct subject *s = &self->s;
	char text[64];
	int status;

	ASSERT_TRUE(subject_start(s, strictly_disobedient, KILLED));
	ASSERT_TRUE(subject_checkpoint(s, KILLED, CHECKPOINT_KILL));
	close(s->in);
	close(s->out);
	ASSERT_TRUE(subject_restart(s));
	ASSERT_EQ(1, write(s->in, "g", 1));
	EXPECT_TRUE(read_text(s->out, text, sizeof(text)));
	EXPECT_STREQ("", text);
	status = wait_ms(s->pid, PATIENCE);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		TH_LOG("status %#x", status);
	close(s->in);
	close(s->out);
	subject_close(s);
}

/* Callers of restart(2) */

/* What a caller says, if it is not restored. */
struct said {
	int err;
	long filters;
	char log[1024];
};

/*
 * A child that is made by @become, and restarts the image in @fd. Its ends of
 * pipes are put into @s.
 */
static bool restart_as(struct subject *s, void (*become)(void), struct said *said)
{
	int in[2], out[2], logfd = tmp_memfd(), fd = s->image;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || lseek(fd, 0, SEEK_SET))
		return false;
	s->pid = fork();
	if (!s->pid) {
		settle(in[0], out[1], -1);
		fd = fcntl(fd, F_DUPFD, 10);
		logfd = fcntl(logfd, F_DUPFD, 10);
		keep_only(fd, logfd);
		become();
		errno = 0;
		sys_restart(0, fd, CHECKPOINT_LOG, logfd);
		said->err = errno;
		said->filters = status_of("Seccomp_filters:");
		if (pread(logfd, said->log, sizeof(said->log) - 1, 0) < 0)
			_exit(98);
		_exit(3);
	}
	close(in[0]);
	close(out[1]);
	close(logfd);
	s->in = in[1];
	s->out = out[0];
	return s->pid > 0;
}

static void expect_not_restarted(struct __test_metadata *_metadata, struct subject *s,
				 const struct said *said, int error, const char *what, int nr)
{
	int status = wait_ms(s->pid, PATIENCE);

	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3)
		TH_LOG("status %#x", status);
	EXPECT_EQ(error, said->err);
	EXPECT_EQ(nr, said->filters);
	EXPECT_TRUE(one_printable_line(said->log));
	EXPECT_TRUE(!!strstr(said->log, what))
		TH_LOG("log '%s', wanted '%s'", said->log, what);
	close(s->in);
	close(s->out);
}

static void as_it_is(void)
{
}

/* Saves what @fn makes. */
static bool saved(struct subject *s, void (*fn)(void))
{
	if (!subject_start(s, fn, KILLED) ||
	    !subject_checkpoint(s, KILLED, CHECKPOINT_KILL))
		return false;
	close(s->in);
	close(s->out);
	return true;
}

static void of_a_family(void)
{
	CHECK(block(SYS_getppid, 11) && block(SYS_getpgrp, 12));
	checkpoint_here();
	CHECK(answers(SYS_getppid, 11) && answers(SYS_getpgrp, 12));
	CHECK(status_of("Seccomp_filters:") == 2);
}

static void the_parent_has_one(void)
{
	if (!block(SYS_getppid, 11))
		_exit(97);
}

/* What both have got from whom they come from is there once. */
TEST_F(seccomp, filters_in_common)
{
	struct said *said = shared(sizeof(*said));

	ASSERT_TRUE(saved(&self->s, of_a_family));
	ASSERT_TRUE(restart_as(&self->s, the_parent_has_one, said));
	EXPECT_TRUE(subject_finish(&self->s, "one filter in common"))
		TH_LOG("log: %s", said->log);
	subject_close(&self->s);
}

static void of_another_family(void)
{
	CHECK(block(SYS_getppid, 11));
	checkpoint_here();
	/* Filters of the restarter are there too, and stay. */
	CHECK(answers(SYS_getppid, 11) && answers(SYS_getpgrp, 55));
	CHECK(status_of("Seccomp_filters:") == 3);
}

static void with_filters(void)
{
	if (!block(SYS_getpgrp, 55) || !block(SYS_getppid, 66))
		_exit(97);
}

TEST_F(seccomp, filters_of_the_caller_stay)
{
	struct said *said = shared(sizeof(*said));

	ASSERT_TRUE(saved(&self->s, of_another_family));
	ASSERT_TRUE(restart_as(&self->s, with_filters, said));
	EXPECT_TRUE(subject_finish(&self->s, "filters of the caller"))
		TH_LOG("log: %s", said->log);
	subject_close(&self->s);
}

static void without_filters(void)
{
	checkpoint_here();
	CHECK(answers(SYS_getpgrp, 55) && answers(SYS_getppid, 66));
	CHECK(status_of("Seccomp_filters:") == 2);
}

TEST_F(seccomp, a_restart_is_no_way_out)
{
	struct said *said = shared(sizeof(*said));

	ASSERT_TRUE(saved(&self->s, without_filters));
	ASSERT_TRUE(restart_as(&self->s, with_filters, said));
	EXPECT_TRUE(subject_finish(&self->s, "no filters in the image"))
		TH_LOG("log: %s", said->log);
	subject_close(&self->s);
}

TEST_F(seccomp, strict_with_filters)
{
	struct said *said = shared(sizeof(*said));

	ASSERT_TRUE(saved(&self->s, strictly));
	ASSERT_TRUE(restart_as(&self->s, with_filters, said));
	expect_not_restarted(_metadata, &self->s, said, EINVAL,
			     "seccomp: strict mode, but the caller has filters", 2);
	subject_close(&self->s);
}

/* Strict mode takes the time stamp counter away. */
TEST_F(seccomp, strict_with_a_time_stamp_counter)
{
	struct said *said = shared(sizeof(*said));
	struct cr_hdr_task_attrs *attrs;
	struct walk w;

	ASSERT_TRUE(saved(&self->s, strictly));
	w = walk_file(self->s.image);
	ASSERT_EQ(NULL, w.wrong);
	attrs = walk_find(&w, CR_HDR_TASK_ATTRS);
	ASSERT_TRUE(!!(attrs->flags & CR_ATTR_NO_TSC));
	attrs->flags &= ~CR_ATTR_NO_TSC;
	walk_seal(&w);
	ASSERT_EQ((ssize_t)w.len, pwrite(self->s.image, w.buf, w.len, 0));
	walk_free(&w);
	ASSERT_TRUE(restart_as(&self->s, as_it_is, said));
	expect_not_restarted(_metadata, &self->s, said, EINVAL, "seccomp: strict mode, but", 0);
	subject_close(&self->s);
}

static void of_some_length(void)
{
	CHECK(block_at_length(SYS_getppid, 11) && block_at_length(SYS_getpgrp, 11));
	checkpoint_here();
}

static void with_many_instructions(void)
{
	int i;

	for (i = 0; i < 6; i++)
		if (!block_at_length(SYS_getpgrp, 55))
			_exit(97);
}

/* There is room for the filters of the image, but not behind the caller's. */
TEST_F(seccomp, too_long_together)
{
	struct said *said = shared(sizeof(*said));

	ASSERT_TRUE(saved(&self->s, of_some_length));
	ASSERT_TRUE(restart_as(&self->s, with_many_instructions, said));
	expect_not_restarted(_metadata, &self->s, said, ENOMEM, "seccomp: filter 2", 6);
	subject_close(&self->s);
}

/* Images that somebody made */

static void of_one_filter(void)
{
	CHECK(block(SYS_getppid, 11));
	checkpoint_here();
	CHECK(answers(SYS_getppid, 11));
}

/* A program of 4 instructions, in place of that of of_one_filter(). */
static void crafted(struct __test_metadata *_metadata, struct subject *s,
		    void (*craft)(struct sock_filter *insns), int err,
		    const char *what)
{
	struct said *said = shared(sizeof(*said));
	struct walk w;

	ASSERT_TRUE(saved(s, of_one_filter));
	w = walk_file(s->image);
	ASSERT_EQ(NULL, w.wrong);
	ASSERT_EQ(4 * sizeof(struct sock_filter), walk_nth(&w, CR_HDR_INSNS, 0)->len);
	craft(walk_find(&w, CR_HDR_INSNS));
	walk_seal(&w);
	ASSERT_EQ((ssize_t)w.len, pwrite(s->image, w.buf, w.len, 0));
	walk_free(&w);
	ASSERT_TRUE(restart_as(s, as_it_is, said));
	expect_not_restarted(_metadata, s, said, err, what, 0);
	subject_close(s);
}

#define CRAFTED(name) \
	static void craft_##name(struct sock_filter *insns); \
	TEST_F(seccomp, name) \
	{ \
		crafted(_metadata, &self->s, craft_##name, EINVAL, \
			"seccomp: filter 1 is no program"); \
	} \
	static void craft_##name(struct sock_filter *insns)

CRAFTED(program_without_an_end)
{
	insns[3] = insns[0];
}

CRAFTED(jump_out_of_the_program)
{
	insns[1].jf = 2;
}

CRAFTED(jump_back)
{
	insns[1] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, -2U);
}

CRAFTED(load_behind_the_data)
{
	insns[0].k = sizeof(struct seccomp_data);
}

CRAFTED(load_across_words)
{
	insns[0].k = 2;
}

/* What is for packets is not for system calls. */
CRAFTED(load_of_a_packet)
{
	insns[0].code = BPF_LD | BPF_B | BPF_ABS;
}

CRAFTED(no_instruction)
{
	insns[0].code = 0xffff;
}

CRAFTED(division_by_zero)
{
	insns[0] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0);
}

CRAFTED(memory_that_is_not_there)
{
	insns[0] = (struct sock_filter)BPF_STMT(BPF_ST, 16);
}

/* A caller who may open all that the image has, and may not filter. */
static void without_sys_admin(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &hdr, data))
		_exit(96);
	data[0].effective &= ~(1U << CAP_SYS_ADMIN);
	data[0].permitted &= ~(1U << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &hdr, data))
		_exit(96);
}

/* The image of one who has just as much. */
static void image_without_sys_admin(struct __test_metadata *_metadata,
				    struct subject *s, int no_new_privs)
{
	struct cr_hdr_creds *creds;
	struct walk w;

	ASSERT_TRUE(saved(s, of_one_filter));
	w = walk_file(s->image);
	ASSERT_EQ(NULL, w.wrong);
	creds = walk_find(&w, CR_HDR_CREDS);
	creds->cap_permitted &= ~(1ULL << CAP_SYS_ADMIN);
	creds->cap_effective &= ~(1ULL << CAP_SYS_ADMIN);
	creds->cap_ambient &= ~(1ULL << CAP_SYS_ADMIN);
	creds->no_new_privs = no_new_privs;
	walk_seal(&w);
	ASSERT_EQ((ssize_t)w.len, pwrite(s->image, w.buf, w.len, 0));
	walk_free(&w);
}

/* What an unprivileged caller may not give itself. */
TEST_F(seccomp, filter_takes_no_new_privs)
{
	struct said *said = shared(sizeof(*said));

	image_without_sys_admin(_metadata, &self->s, 0);
	ASSERT_TRUE(restart_as(&self->s, without_sys_admin, said));
	expect_not_restarted(_metadata, &self->s, said, EACCES,
			     "seccomp: filters take no_new_privs or CAP_SYS_ADMIN", 0);
	subject_close(&self->s);
}

/* The image sets no_new_privs, and has the filter then. */
TEST_F(seccomp, filter_with_no_new_privs)
{
	struct said *said = shared(sizeof(*said));

	image_without_sys_admin(_metadata, &self->s, 1);
	ASSERT_TRUE(restart_as(&self->s, without_sys_admin, said));
	EXPECT_TRUE(subject_finish(&self->s, "filter without privileges"))
		TH_LOG("log: %s", said->log);
	subject_close(&self->s);
}

TEST_HARNESS_MAIN
