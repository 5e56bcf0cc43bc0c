// SPDX-License-Identifier: GPL-2.0
/*
 * Resource limits: all of them come back, a restart is bound by those of the
 * restarter and the process by its own, and none gets higher than setrlimit(2)
 * would let the restarter have it.
 */
#include "restarter.h"
#include "subject.h"

#define NR_LIMITS 16

/* No two alike, none that is in the way, and none that is a default. */
static const struct rlimit odd[NR_LIMITS] = {
	[RLIMIT_CPU] = { 1001, 2001 },
	[RLIMIT_FSIZE] = { 1ULL << 41, 1ULL << 42 },
	[RLIMIT_DATA] = { 1ULL << 43, 1ULL << 44 },
	[RLIMIT_STACK] = { 9 << 20, 77 << 20 },
	[RLIMIT_CORE] = { 0, 123456 },
	[RLIMIT_RSS] = { 1ULL << 45, RLIM_INFINITY },
	[RLIMIT_NPROC] = { 5005, 6006 },
	[RLIMIT_NOFILE] = { 101, 202 },
	[RLIMIT_MEMLOCK] = { 3 << 20, 5 << 20 },
	[RLIMIT_AS] = { 1ULL << 46, 1ULL << 50 },
	[RLIMIT_LOCKS] = { 11, 12 },
	[RLIMIT_SIGPENDING] = { 777, 888 },
	[RLIMIT_MSGQUEUE] = { 65536, 131072 },
	[RLIMIT_NICE] = { 5, 10 },
	[RLIMIT_RTPRIO] = { 3, 4 },
	[RLIMIT_RTTIME] = { 1000001, 2000002 },
};

static void check_odd(void)
{
	struct rlimit rl;
	int i;

	for (i = 0; i < NR_LIMITS; i++) {
		CHECK(!getrlimit(i, &rl));
		CHECK(rl.rlim_cur == odd[i].rlim_cur);
		CHECK(rl.rlim_max == odd[i].rlim_max);
	}
}

SUBJECT_TEST(all_of_them)
{
	int i;

	for (i = 0; i < NR_LIMITS; i++)
		CHECK(!setrlimit(i, &odd[i]));
	checkpoint_here();
	check_odd();
}

/* What it has open may be above its limit, as after a call of its own. */
SUBJECT_TEST(descriptors_above_the_limit)
{
	struct rlimit few = { 64, 64 };
	int fd = open("/dev/null", O_RDONLY);

	CHECK(dup2(fd, 500) == 500 && !close(fd));
	CHECK(!setrlimit(RLIMIT_NOFILE, &few));
	checkpoint_here();
	CHECK(fcntl(500, F_GETFD) == 0);
	CHECK(dup2(500, 63) == 63);
	errno = 0;
	CHECK(dup2(500, 64) == -1 && errno == EBADF);
}

SUBJECT_TEST(memory_above_the_limit)
{
	struct rlimit little = { 1 << 20, 1 << 20 };
	char *p = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	p[5 << 20] = 42;
	CHECK(!setrlimit(RLIMIT_AS, &little));
	checkpoint_here();
	CHECK(p[5 << 20] == 42);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	      MAP_FAILED && errno == ENOMEM);
}

SUBJECT_TEST(file_size_acts)
{
	struct rlimit small = { 4096, 4096 };
	int fd = open(in_dir("limited"), O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	signal(SIGXFSZ, SIG_IGN);
	CHECK(pwrite(fd, "x", 1, 4095) == 1);
	CHECK(!setrlimit(RLIMIT_FSIZE, &small));
	checkpoint_here();
	CHECK(pwrite(fd, "y", 1, 4095) == 1);
	errno = 0;
	CHECK(pwrite(fd, "y", 1, 4096) == -1 && errno == EFBIG);
}

static volatile sig_atomic_t used_up;

static void on_xcpu(int sig __maybe_unused)
{
	used_up = 1;
}

/* The processor time that counts is that of the restarter, and goes on. */
SUBJECT_TEST(processor_time_acts)
{
	struct rlimit second = { 1, 120 };

	signal(SIGXCPU, on_xcpu);
	CHECK(!setrlimit(RLIMIT_CPU, &second));
	checkpoint_here();
	CHECK(!used_up);
	/* Were it not armed again, this would end by the limit of the test. */
	while (!used_up)
		CHECK(cpu_ns() < 20 * SEC);
	CHECK(cpu_ns() > SEC / 2);
}

static void lower(void)
{
	struct rlimit rl = { 0, 0 };

	CHECK(!setrlimit(RLIMIT_NICE, &rl));
	CHECK(!setrlimit(RLIMIT_RTPRIO, &rl));
	drop_caps();
}

RESTARTER_TEST(hard_limit_is_not_raised, .before = lower, .err = EPERM,
	       .what = "RLIMIT_NICE of 5, at most 10")
{
	CHECK(!setrlimit(RLIMIT_NICE, &odd[RLIMIT_NICE]));
	drop_caps();
	checkpoint_here();
}

RESTARTER_TEST(limits_of_its_own_are_no_privilege, .before = drop_caps)
{
	struct rlimit rl;

	CHECK(!getrlimit(RLIMIT_NOFILE, &rl));
	rl.rlim_cur = 77;
	CHECK(!setrlimit(RLIMIT_NOFILE, &rl));
	drop_caps();
	checkpoint_here();
	CHECK(!getrlimit(RLIMIT_NOFILE, &rl) && rl.rlim_cur == 77);
}

static void infinite_nofile(struct walk *w)
{
	struct cr_hdr_limits *limits = walk_find(w, CR_HDR_LIMITS);

	limits->max[RLIMIT_NOFILE] = RLIM_INFINITY;
}

/* Not even for root: the kernel counts on it. */
RESTARTER_TEST(more_files_than_the_sysctl, .craft = infinite_nofile, .err = EPERM,
	       .what = "RLIMIT_NOFILE")
{
	checkpoint_here();
}

static void soft_above_hard(struct walk *w)
{
	struct cr_hdr_limits *limits = walk_find(w, CR_HDR_LIMITS);

	limits->cur[RLIMIT_CORE] = 2;
	limits->max[RLIMIT_CORE] = 1;
}

RESTARTER_TEST(soft_limit_above_the_hard_one, .craft = soft_above_hard,
	       .err = EINVAL, .what = "max")
{
	checkpoint_here();
}

TEST_HARNESS_MAIN
