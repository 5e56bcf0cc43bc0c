// SPDX-License-Identifier: GPL-2.0
/*
 * A program that checkpoints itself in the middle of its work, and one that
 * becomes what an image says.
 *
 *	selfckpt save NAME FILE		FILE may be - for standard output
 *	selfckpt restart FILE		and for standard input
 *
 * The restored program goes on in step 3: checkpoint(2) returns 0 there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/checkpoint.h>

#ifndef __NR_checkpoint
#define __NR_checkpoint 500
#endif
#ifndef __NR_restart
#define __NR_restart 501
#endif

static const char *comm(void)
{
	static char name[17];

	memset(name, 0, sizeof(name));
	prctl(PR_GET_NAME, name);
	return name;
}

static int save(const char *name, const char *path)
{
	int fd = strcmp(path, "-") ?
		open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : STDOUT_FILENO;
	unsigned int step;
	long id = -1;

	if (fd < 0) {
		perror(path);
		return 1;
	}
	prctl(PR_SET_NAME, name);
	for (step = 1; step <= 5; step++) {
		fprintf(stderr, "  C, pid %d, called '%s': step %u of 5\n", getpid(),
			comm(), step);
		if (step != 3)
			continue;
		/* Why it fails, if it does, goes to standard error. */
		id = syscall(__NR_checkpoint, 0, fd, CHECKPOINT_LOG,
			     STDERR_FILENO);
		if (id < 0) {
			perror("  checkpoint");
			return 1;
		}
		fprintf(stderr, "  checkpoint(0, %d, CHECKPOINT_LOG, 2) = %ld%s\n",
			fd, id, id ? "" : ": this one was restored");
	}
	return 0;
}

static int become(const char *path)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY) : STDIN_FILENO;
	long ret;
	int err;

	if (fd < 0) {
		perror(path);
		return 1;
	}
	printf("  C, pid %d, is called '%s'\n", getpid(), comm());
	fflush(stdout);
	/*
	 * The file that an image was written to has another size than it had
	 * when its writer was saved with it open. If this works, this program
	 * is no more.
	 */
	ret = syscall(__NR_restart, 0, fd, CHECKPOINT_LOG | RESTART_RELAXED_FILES,
		      STDOUT_FILENO);
	err = errno;
	printf("  restart(0, %d, ..., 1) = %ld %s\n", fd, ret, strerror(err));
	printf("  C, pid %d, is called '%s' still\n", getpid(), comm());
	/* So that a script can tell which error it was. */
	return 100 + err;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "save"))
		return save(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "restart"))
		return become(argv[2]);
	fprintf(stderr, "usage: %s save NAME FILE | restart FILE\n", argv[0]);
	return 2;
}
