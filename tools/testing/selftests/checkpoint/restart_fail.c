// SPDX-License-Identifier: GPL-2.0
/*
 * Restarts that fail, with an image of a process that is wrong in one way and
 * has a checksum that fits, or with a caller who cannot become it. The caller
 * is what it was: its memory, its mappings, its descriptors, its signals.
 */
#include "caller.h"

#include <linux/capability.h>

FIXTURE(bad)
{
	struct tiny tiny;
	struct walk w;
	int fd;
};

/*
 * @craft changes the image, whose checksum is made right afterwards unless
 * @unsealed, or the caller. The restart fails with @err, or with @or if that
 * is not 0, and says @what.
 */
FIXTURE_VARIANT(bad)
{
	void (*craft)(struct walk *w);
	void (*caller)(void);
	int err;
	int or;
	const char *what;
	bool unsealed;
};

FIXTURE_SETUP(bad)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	ASSERT_TRUE(tiny_start(&self->tiny));
	self->fd = tmp_memfd();
	ASSERT_LE(0, self->fd);
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->fd, 0, 0));
	self->w = walk_file(self->fd);
	ASSERT_EQ(NULL, self->w.wrong);
}

FIXTURE_TEARDOWN(bad)
{
	EXPECT_TRUE(tiny_answers(&self->tiny));
	EXPECT_TRUE(tiny_stop(&self->tiny));
	walk_free(&self->w);
	close(self->fd);
}

/* Written by the child, for the test to read. */
struct verdict {
	char text[1024];
	char log[1024];
	int done;
};

static void note(struct verdict *v, const char *text)
{
	snprintf(v->text, sizeof(v->text), "%s", text);
}

/* The child: calls restart(2) with @fd as often as it takes. */
static void call_and_compare(struct verdict *v, int fd, void (*caller)(void),
			     int err, int or, const char *what)
{
	static struct snapshot before, after;
	int logfd = tmp_memfd(), got;
	char log[1024] = { 0 };
	long ret;

	decorate();
	if (caller)
		caller();
	/* Twice: what the first one touches is there for the second. */
	take_snapshot(&before);
	take_snapshot(&before);
	/* A pipe has no position to go back to. */
	if (lseek(fd, 0, SEEK_SET) && errno != ESPIPE)
		_exit(2);
	ret = sys_restart(0, fd, CHECKPOINT_LOG, logfd);
	got = errno;
	if (pread(logfd, log, sizeof(log) - 1, 0) < 0)
		_exit(3);
	memcpy(v->log, log, sizeof(log));
	take_snapshot(&after);
	v->done = 1;
	if (ret != -1)
		note(v, "it was not refused");
	else if (got != err && (!or || got != or))
		snprintf(v->text, sizeof(v->text), "errno %d (%s)", got,
			 strerror(got));
	else if (strncmp(log, "restart: ", 9) || !one_printable_line(log))
		note(v, "the log is not one line");
	else if (!strstr(log, what))
		snprintf(v->text, sizeof(v->text), "'%s' is not in the log", what);
	else if (!same_snapshots(&before, &after, v->text, sizeof(v->text)))
		;
	else
		_exit(0);
	_exit(4);
}

static void must_fail(struct __test_metadata *_metadata, int fd,
		      void (*caller)(void), int err, int or, const char *what,
		      long where)
{
	struct verdict *v = shared(sizeof(*v));
	int status, in[2];
	pid_t pid;

	ASSERT_TRUE(!!v);
	ASSERT_EQ(0, pipe2(in, O_CLOEXEC));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Who becomes tiny by mistake reads, and comes to the end. */
		settle(in[0], -1, -1);
		close(in[0]);
		close(in[1]);
		call_and_compare(v, fd, caller, err, or, what);
	}
	close(in[0]);
	close(in[1]);
	status = wait_ms(pid, PATIENCE);
	if (status == -1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	EXPECT_EQ(0, status) {
		TH_LOG("%s%s, status %#x, at %ld", v->text,
		       v->done ? "" : "it did not return", status, where);
		TH_LOG("log: %.*s", (int)strcspn(v->log, "\n"), v->log);
	}
	munmap(v, sizeof(*v));
}

static int written(const struct walk *w, size_t len)
{
	int fd = tmp_memfd();

	return fd >= 0 && write_all(fd, w->buf, len) ? fd : -1;
}

TEST_F(bad, is_refused_and_the_caller_is_as_it_was)
{
	int fd;

	if (geteuid())
		SKIP(return, "needs root");
	if (variant->craft)
		variant->craft(&self->w);
	if (!variant->unsealed)
		walk_seal(&self->w);
	fd = written(&self->w, self->w.len);
	ASSERT_LE(0, fd);
	must_fail(_metadata, fd, variant->caller, variant->err, variant->or,
		  variant->what, 0);
	close(fd);
	/* It is the change that was refused. */
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_TINY(&self->tiny, self->fd, 0);
}

#define BAD(name, error, text, ...) \
	static void craft_##name(struct walk *w); \
	FIXTURE_VARIANT_ADD(bad, name) { \
		.craft = craft_##name, .err = (error), .what = (text), \
		##__VA_ARGS__ \
	}; \
	static void craft_##name(struct walk *w)

/* BAD_ONE() - the same where @change, a statement, is all that there is to it. */
#define BAD_ONE(name, error, text, change) \
	static void craft_##name(struct walk *w) \
	{ \
		change; \
	} \
	FIXTURE_VARIANT_ADD(bad, name) { \
		.craft = craft_##name, .err = (error), .what = (text), \
	}

static void *nth(struct walk *w, int type, int n)
{
	struct rec *r = walk_nth(w, type, n);

	return r ? walk_payload(w, r) : NULL;
}

/* Another kernel */

BAD(release_of_another_kernel, EINVAL, "release")
{
	((struct cr_hdr_head *)nth(w, CR_HDR_HEAD, 0))->release[0]++;
}

BAD(version_of_another_kernel, EINVAL, "version")
{
	((struct cr_hdr_head *)nth(w, CR_HDR_HEAD, 0))->version[0]++;
}

BAD(another_machine, EINVAL, "machine")
{
	((struct cr_hdr_head *)nth(w, CR_HDR_HEAD, 0))->machine[0]++;
}

BAD(another_vdso, EINVAL, "vDSO")
{
	((struct cr_hdr_mm_context *)nth(w, CR_HDR_MM_CONTEXT, 0))->vdso_crc ^= 1;
}

/* Pages */

BAD(crc_of_pages, EINVAL, "image offset ", .unsealed = true)
{
	w->buf[walk_nth(w, CR_HDR_PAGES, 0)->bulk + 1000] ^= 1;
}

BAD(crc_in_pages, EINVAL, "image offset ")
{
	((struct cr_hdr_pages *)nth(w, CR_HDR_PAGES, 0))->crc ^= 1;
}

BAD(checksum_of_metadata, EINVAL, "TAIL: cksum", .unsealed = true)
{
	((struct cr_hdr_tail *)nth(w, CR_HDR_TAIL, 0))->cksum ^= 1;
}

BAD(pages_where_no_mapping_is, EINVAL, "image offset ")
{
	((struct cr_extent *)nth(w, CR_HDR_EXTENTS, 0))->start = 0x7f0000;
}

BAD(pages_in_kernel_memory, EINVAL, "image offset ")
{
	((struct cr_extent *)nth(w, CR_HDR_EXTENTS, 0))->start =
		0xffff888000000000;
}

BAD(pages_not_aligned, EINVAL, "image offset ")
{
	((struct cr_extent *)nth(w, CR_HDR_EXTENTS, 0))->start += 8;
}

BAD(pages_of_no_extent, EINVAL, "")
{
	((struct cr_hdr_pages *)nth(w, CR_HDR_PAGES, 0))->nr_extents = 0;
}

BAD(more_pages_than_extents, EINVAL, "")
{
	((struct cr_hdr_pages *)nth(w, CR_HDR_PAGES, 0))->nr_pages++;
}

BAD(extent_without_end, EINVAL, "image offset ")
{
	((struct cr_extent *)nth(w, CR_HDR_EXTENTS, 0))->nr_pages = ~0U;
}

BAD(extent_huge_that_is_not, EINVAL, "image offset ")
{
	((struct cr_extent *)nth(w, CR_HDR_EXTENTS, 0))->flags = CR_EXTENT_HUGE;
}

BAD(extent_flags, EINVAL, "image offset ")
{
	((struct cr_extent *)nth(w, CR_HDR_EXTENTS, 0))->flags = 1U << 31;
}

/* Mappings */

static struct cr_hdr_vma *vma(struct walk *w, int n)
{
	return nth(w, CR_HDR_VMA, n);
}

static struct cr_hdr_vma *last_vma(struct walk *w)
{
	return vma(w, walk_count(w, CR_HDR_VMA) - 1);
}

BAD_ONE(mappings_overlap, EINVAL, "VMA",
	vma(w, 1)->start = vma(w, 0)->end - 4096);

BAD(mappings_descend, EINVAL, "VMA")
{
	struct cr_hdr_vma first = *vma(w, 0);

	vma(w, 0)->start = vma(w, 1)->start;
	vma(w, 0)->end = vma(w, 1)->end;
	vma(w, 1)->start = first.start;
	vma(w, 1)->end = first.end;
}

BAD(mapping_in_kernel_memory, EINVAL, "VMA")
{
	last_vma(w)->start = 0xffffffff80000000;
	last_vma(w)->end = 0xffffffff80001000;
}

BAD_ONE(mapping_to_the_end_of_everything, EINVAL, "VMA",
	last_vma(w)->end = 0xfffffffffffff000);
BAD_ONE(mapping_that_ends_above_user_memory, EINVAL, "VMA",
	last_vma(w)->end = 0x800000000000);
BAD_ONE(mapping_of_nothing, EINVAL, "VMA", vma(w, 0)->end = vma(w, 0)->start);
BAD_ONE(mapping_from_end_to_start, EINVAL, "VMA",
	vma(w, 0)->end = vma(w, 0)->start - 4096);
BAD_ONE(mapping_not_aligned, EINVAL, "VMA", vma(w, 0)->start++);
BAD_ONE(mapping_flags, EINVAL, "VMA", vma(w, 0)->flags |= 1ULL << 63);
BAD_ONE(mapping_kind, EINVAL, "VMA", vma(w, 0)->kind = 77);
BAD_ONE(mapping_of_no_object, EINVAL, "VMA", vma(w, 0)->objref = 0xfffffff0);

BAD(mapping_of_a_pipe, ENODEV, "mapping ")
{
	/* The first object that a descriptor has is no regular file here. */
	vma(w, 0)->objref = ((struct cr_hdr_fd *)nth(w, CR_HDR_FD, 0))->objref;
	vma(w, 0)->kind = CR_MAPPING_FILE;
}

BAD_ONE(mapping_offset_too_large, EINVAL, "VMA", vma(w, 0)->pgoff = ~0ULL);
BAD_ONE(mapping_key_of_nobody, EINVAL, "VMA", vma(w, 0)->pkey = 16);

BAD(too_many_mappings, EINVAL, "MM")
{
	((struct cr_hdr_mm *)nth(w, CR_HDR_MM, 0))->nr_vmas = 0xffffffff;
}

BAD(no_program, EINVAL, "MM")
{
	((struct cr_hdr_mm *)nth(w, CR_HDR_MM, 0))->exe = 0xffffff;
}

/* Registers */

static struct cr_hdr_cpu *cpu(struct walk *w)
{
	return nth(w, CR_HDR_CPU, 0);
}

BAD_ONE(ip_in_kernel_memory, EINVAL, "CPU: ip ",
	cpu(w)->ip = 0xffffffff81000000);
BAD_ONE(ip_not_canonical, EINVAL, "CPU: ip ", cpu(w)->ip = 0x8000000000000000);
BAD_ONE(fs_base_not_canonical, EINVAL, "CPU: fs_base ",
	cpu(w)->fs_base = 0x8000000000000000);
BAD_ONE(gs_base_in_kernel_memory, EINVAL, "CPU: gs_base ",
	cpu(w)->gs_base = 0xffff888000000000);
BAD_ONE(code_segment_of_the_kernel, EINVAL, "register cs", cpu(w)->cs = 0x10);
BAD_ONE(stack_segment_of_the_kernel, EINVAL, "register ss", cpu(w)->ss = 0x18);

BAD(mxcsr_with_reserved_bits, EINVAL, "extended registers")
{
	memset(walk_payload(w, walk_nth(w, CR_HDR_XSTATE, 0)) + 24, 0xff, 4);
}

BAD(xstate_components_of_nobody, EINVAL, "extended registers")
{
	memset(walk_payload(w, walk_nth(w, CR_HDR_XSTATE, 0)) + 512, 0xff, 8);
}

BAD(xstate_header_not_zero, EINVAL, "extended registers")
{
	memset(walk_payload(w, walk_nth(w, CR_HDR_XSTATE, 0)) + 528, 0xff, 8);
}

/* Descriptors and files */

BAD(descriptor_of_no_object, EINVAL, "FD")
{
	((struct cr_hdr_fd *)nth(w, CR_HDR_FD, 1))->objref = 0xffff;
}

BAD(descriptor_twice, EINVAL, "FD")
{
	((struct cr_hdr_fd *)nth(w, CR_HDR_FD, 1))->fd = 0;
}

BAD(descriptor_negative, EINVAL, "FD")
{
	((struct cr_hdr_fd *)nth(w, CR_HDR_FD, 2))->fd = -2;
}

BAD(descriptor_flags, EINVAL, "FD")
{
	((struct cr_hdr_fd *)nth(w, CR_HDR_FD, 2))->flags = 2;
}

/* Above what any process may have. */
BAD(descriptor_above_the_limit, EMFILE, "", .or = EINVAL)
{
	((struct cr_hdr_fd *)nth(w, CR_HDR_FD, 2))->fd = INT_MAX;
}

BAD(working_directory_of_no_object, EINVAL, "FS")
{
	((struct cr_hdr_fs *)nth(w, CR_HDR_FS, 0))->cwd = 0xffff;
}

BAD(object_out_of_order, EINVAL, "FILE")
{
	((struct cr_hdr_file *)nth(w, CR_HDR_FILE, 1))->objref++;
}

BAD(file_kind, EINVAL, "FILE")
{
	((struct cr_hdr_file *)nth(w, CR_HDR_FILE, 0))->kind = 99;
}

/* The text behind the file that is tiny itself. */
static char *tiny_path_in(struct walk *w)
{
	int i;

	for (i = 0;; i++) {
		struct rec *r = walk_nth(w, CR_HDR_STRING, i);

		if (!r)
			return NULL;
		if (r->len > 5 &&
		    !memcmp((char *)walk_payload(w, r) + r->len - 5, "/tiny", 5))
			return (char *)walk_payload(w, r) + r->len - 4;
	}
}

BAD(path_that_is_gone, ENOENT, "none")
{
	char *name;

	/* All that name it: the mapping's file, and the link to the program. */
	while ((name = tiny_path_in(w)))
		memcpy(name, "none", 4);
}

BAD(path_with_a_nul, EINVAL, "STRING")
{
	tiny_path_in(w)[1] = '\0';
}

/* Credentials and signals */

static struct cr_hdr_creds *creds(struct walk *w)
{
	return nth(w, CR_HDR_CREDS, 0);
}

/* Leaves the caller without the capabilities that are not in @kept. */
static void keep_caps(__u64 kept)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	int i;

	if (syscall(SYS_capget, &hdr, data))
		_exit(5);
	for (i = 0; i < 2; i++) {
		data[i].effective &= kept >> 32 * i;
		data[i].permitted &= kept >> 32 * i;
		data[i].inheritable &= kept >> 32 * i;
	}
	if (syscall(SYS_capset, &hdr, data))
		_exit(6);
}

static void without_setid(void)
{
	keep_caps(~(1ULL << CAP_SETUID | 1ULL << CAP_SETGID));
}

static void without_chown(void)
{
	keep_caps(~(1ULL << CAP_CHOWN));
}

static void with_chown_out_of_bounds(void)
{
	prctl(PR_CAPBSET_DROP, CAP_CHOWN);
}

BAD(uid_of_another, EPERM, "credentials: uid is ", .caller = without_setid)
{
	creds(w)->uid ^= 12345;
}

BAD(euid_of_another, EPERM, "credentials: euid is ", .caller = without_setid)
{
	creds(w)->euid ^= 12345;
}

BAD(fsuid_of_another, EPERM, "credentials: fsuid is ", .caller = without_setid)
{
	creds(w)->fsuid ^= 12345;
}

BAD(gid_of_another, EPERM, "credentials: gid is ", .caller = without_setid)
{
	creds(w)->gid ^= 12345;
}

BAD(fsgid_of_another, EPERM, "credentials: fsgid is ", .caller = without_setid)
{
	creds(w)->fsgid ^= 12345;
}

BAD(capability_of_another, EPERM, "credentials: cap_permitted is ", .caller = without_chown)
{
	/* The caller does not have all that the image has. */
	creds(w)->cap_effective = 0;
}

BAD(bounding_set_of_another, EPERM, "credentials: cap_bset is ", .caller = with_chown_out_of_bounds)
{
	creds(w)->cap_effective = 0;
}

BAD(more_actions_than_signals, EINVAL, "PROCESS")
{
	((struct cr_hdr_process *)nth(w, CR_HDR_PROCESS, 0))->nr_actions = 65;
}

BAD(more_pending_of_the_process_than_the_limit, EINVAL, "PROCESS")
{
	((struct cr_hdr_process *)nth(w, CR_HDR_PROCESS, 0))->nr_pending =
		CR_PENDING_MAX + 1;
}

BAD(more_pending_than_the_limit, EINVAL, "SIGNALS")
{
	((struct cr_hdr_signals *)nth(w, CR_HDR_SIGNALS, 0))->nr_pending =
		CR_PENDING_MAX + 1;
}

BAD(pages_of_no_task, EINVAL, "PAGES: task 2 is over the limit of 1")
{
	((struct cr_hdr_pages *)nth(w, CR_HDR_PAGES, 0))->task = 2;
}

BAD(a_task_that_does_not_come, EINVAL, "expected TASK here")
{
	((struct cr_hdr_head *)nth(w, CR_HDR_HEAD, 0))->nr_tasks = 2;
}

/* A caller who cannot */

static void small_address_space(void)
{
	struct rlimit rl = { 65536, RLIM_INFINITY };

	setrlimit(RLIMIT_AS, &rl);
}

FIXTURE_VARIANT_ADD(bad, rlimit_as_too_small) {
	.caller = small_address_space, .err = ENOMEM, .what = "",
};

static void few_descriptors(void)
{
	struct rlimit rl = { 2, 4096 };

	setrlimit(RLIMIT_NOFILE, &rl);
}

FIXTURE_VARIANT_ADD(bad, rlimit_nofile_too_small) {
	.caller = few_descriptors, .err = EMFILE, .what = "",
};

/* For the rest one image does. */

FIXTURE(fail)
{
	struct tiny tiny;
	struct walk w;
	int fd;
};

FIXTURE_SETUP(fail)
{
	if (ckpt_missing())
		SKIP(return, "kernel has no checkpoint(2)");
	ASSERT_TRUE(tiny_start(&self->tiny));
	self->fd = tmp_memfd();
	ASSERT_LT(0, sys_checkpoint(self->tiny.pid, self->fd, 0, 0));
	self->w = walk_file(self->fd);
	ASSERT_EQ(NULL, self->w.wrong);
}

FIXTURE_TEARDOWN(fail)
{
	EXPECT_TRUE(tiny_stop(&self->tiny));
	walk_free(&self->w);
	close(self->fd);
}

TEST_F_TIMEOUT(fail, truncated_at_each_boundary, 240)
{
	size_t i;
	int fd;

	for (i = 0; i < self->w.nr; i++) {
		struct rec *r = &self->w.recs[i];

		fd = written(&self->w, r->at);
		ASSERT_LE(0, fd);
		must_fail(_metadata, fd, NULL, EPIPE, 0, "image offset ", r->at);
		close(fd);
		if (!r->bulk_len)
			continue;
		fd = written(&self->w, r->bulk + r->bulk_len / 2 + 100);
		ASSERT_LE(0, fd);
		must_fail(_metadata, fd, NULL, EPIPE, 0, "image offset ",
			  r->bulk + r->bulk_len / 2 + 100);
		close(fd);
	}
}

/* The same from a pipe, whose writer goes away. */
TEST_F_TIMEOUT(fail, truncated_pipe, 240)
{
	struct rec *pages = walk_nth(&self->w, CR_HDR_PAGES, 0);
	size_t lens[] = {
		0, self->w.recs[self->w.nr / 2].at, pages->at, pages->bulk,
		pages->bulk + 2000, self->w.recs[self->w.nr - 1].at,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		int p[2];

		ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
		ASSERT_LT(0, fcntl(p[1], F_SETPIPE_SZ, 1 << 20));
		if (lens[i])
			ASSERT_TRUE(write_all(p[1], self->w.buf, lens[i]));
		close(p[1]);
		must_fail(_metadata, p[0], NULL, EPIPE, 0, "image offset ", lens[i]);
		close(p[0]);
	}
}

TEST_F(fail, pid_is_taken)
{
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root, to give pids");
	errno = 0;
	pid = spawn_restart(self->tiny.pid, self->fd, 0, 0, 2, -1, -1);
	EXPECT_EQ(-1, pid);
	EXPECT_EQ(EEXIST, errno);
	EXPECT_TRUE(tiny_answers(&self->tiny));
}

/* Killed in the middle of it, again and again: nothing is left behind. */
TEST_F_TIMEOUT(fail, killed_in_the_middle, 120)
{
	size_t step = self->w.len / 25 + 1, len;

	for (len = 1; len < self->w.len; len += step) {
		int p[2], status, logfd = tmp_memfd();
		pid_t pid;

		ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
		ASSERT_LT(0, fcntl(p[1], F_SETPIPE_SZ, 1 << 20));
		ASSERT_TRUE(write_all(p[1], self->w.buf, len));
		pid = spawn_restart(0, p[0], 0, 0, logfd, -1, -1);
		ASSERT_LT(0, pid);
		/* Not interruptibly: only a fatal signal ends it. */
		ASSERT_TRUE(proc_wait_state(pid, 'D'));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		status = wait_ms(pid, PATIENCE);
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		close(p[0]);
		/* The pipe has no reader any more: none of its ends was kept. */
		signal(SIGPIPE, SIG_IGN);
		EXPECT_EQ(-1, write(p[1], "x", 1));
		EXPECT_EQ(EPIPE, errno);
		close(p[1]);
		close(logfd);
	}
}

/* Each failure leaves room for a success. */
TEST_F_TIMEOUT(fail, good_after_bad, 120)
{
	int i, fd;

	for (i = 0; i < 10; i++) {
		fd = written(&self->w, self->w.recs[self->w.nr - 1].at);
		must_fail(_metadata, fd, NULL, EPIPE, 0, "image offset ", i);
		close(fd);
		ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
		EXPECT_TINY(&self->tiny, self->fd, 0);
	}
}

TEST_HARNESS_MAIN
