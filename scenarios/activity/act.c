/*
 * Executes programs, opens files and makes system calls of every class, a known number of times each, in three control
 * groups of its own, and prints how often. Its own counts are the oracle: a call is counted here by what it returned to
 * the program that made it.
 *
 * Whatever is not to be counted (starting, printing, moving between groups) is done outside these groups. The write
 * that leaves a group is the last call in it; the one that enters it began outside.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GROUPS "/sys/fs/cgroup"
#define COUNT(array) (sizeof(array) / sizeof(array[0]))

enum { EXECS, OPENS, CALLS, OUTSIDE, PLACES };
static const char *const places[PLACES] = { GROUPS "/execs/cgroup.procs", GROUPS "/opens/cgroup.procs",
					    GROUPS "/calls/cgroup.procs", GROUPS "/cgroup.procs" };
static int doors[PLACES];

/* How often each result was seen. */
static unsigned long exec_results[200], open_results[200];

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static void go(int place)
{
	must(syscall(SYS_write, doors[place], "0", 1) == 1, "moving between control groups");
}

static long kept(unsigned long *results, long result)
{
	results[result < 0 ? errno : 0]++;
	return result;
}

/* A file for each way to fail. */
static void prepare(void)
{
	int fd;

	for (int place = 0; place < PLACES; place++)
		must((doors[place] = open(places[place], O_WRONLY | O_CLOEXEC)) >= 0, places[place]);
	must((fd = creat("empty", 0755)) >= 0, "empty");
	close(fd);
	must((fd = creat("closed", 0600)) >= 0, "closed");
	close(fd);
}

static void opened(long result)
{
	if (kept(open_results, result) >= 0)
		close(result);
}

static void opens(void)
{
	struct open_how how = { .flags = O_RDONLY }, wrong = { .flags = 1UL << 40 };
	struct file_handle *handle = alloca(sizeof(*handle) + 8);

	memset(handle, 0, sizeof(*handle) + 8);
	handle->handle_bytes = 8;
	go(OPENS);
	for (int i = 0; i < 7; i++)
		opened(syscall(SYS_open, "empty", O_RDONLY));
	for (int i = 0; i < 5; i++)
		opened(syscall(SYS_openat, AT_FDCWD, "empty", O_RDONLY));
	for (int i = 0; i < 3; i++)
		opened(syscall(SYS_openat2, AT_FDCWD, "empty", &how, sizeof(how)));
	opened(syscall(SYS_creat, "made", 0600));
	opened(syscall(SYS_open, "nothing", O_RDONLY));
	opened(syscall(SYS_openat, AT_FDCWD, "nothing", O_RDONLY));
	opened(syscall(SYS_openat, AT_FDCWD, "empty/below", O_RDONLY));
	opened(syscall(SYS_open, "empty", O_RDONLY | O_DIRECTORY));
	opened(syscall(SYS_open, ".", O_WRONLY));
	opened(syscall(SYS_openat, -1, "empty", O_RDONLY));
	opened(syscall(SYS_openat2, AT_FDCWD, "empty", &wrong, sizeof(wrong)));
	opened(syscall(SYS_open_by_handle_at, -1, handle, O_RDONLY));
	/* The name is where no memory is. */
	opened(syscall(SYS_open, 8, O_RDONLY));
	go(OUTSIDE);
}

/* Runs what must end in an exec of a program that does nothing. */
static void child(void (*execute)(void))
{
	int status;
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (pid == 0) {
		execute();
		_exit(1);
	}
	must(waitpid(pid, &status, 0) == pid && status == 0, "a child");
	exec_results[0]++;
}

static char *const nothing[] = { "act", "nothing", NULL };
static char *const none[] = { NULL };

static void by_execve(void)
{
	syscall(SYS_execve, "/proc/self/exe", nothing, none);
}

static void by_execveat(void)
{
	syscall(SYS_execveat, AT_FDCWD, "/proc/self/exe", nothing, none, 0);
}

static void by_descriptor(void)
{
	/* As fexecve does, and container runtimes. */
	syscall(SYS_execveat, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "", nothing, none, AT_EMPTY_PATH);
}

static void *in_thread(void *_)
{
	by_execve();
	return NULL;
}

/* The thread becomes the process; its number changes in the middle of the call. */
static void by_thread(void)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, in_thread, NULL) == 0, "pthread_create");
	pthread_join(thread, NULL);
}

static void failed(long result)
{
	kept(exec_results, result);
}

static void execs(void)
{
	go(EXECS);
	for (int i = 0; i < 5; i++)
		child(by_execve);
	for (int i = 0; i < 3; i++)
		child(by_execveat);
	for (int i = 0; i < 2; i++)
		child(by_descriptor);
	child(by_thread);
	for (int i = 0; i < 4; i++)
		failed(syscall(SYS_execve, "nothing", nothing, none));
	failed(syscall(SYS_execveat, AT_FDCWD, "nothing", nothing, none, 0));
	failed(syscall(SYS_execve, "empty", nothing, none));
	failed(syscall(SYS_execve, "closed", nothing, none));
	failed(syscall(SYS_execve, ".", nothing, none));
	failed(syscall(SYS_execveat, -1, "empty", nothing, none, 0));
	failed(syscall(SYS_execve, 8, nothing, none));
	go(OUTSIDE);
}

/* A call of the 32-bit ABI from a 64-bit program: getpid(2) has another number there. */
static int compat_call(void)
{
#ifdef __x86_64__
	int result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return result == getpid();
#else
	return 0;
#endif
}

/* Calls of each class, in the order of the names below. The write that leaves is a file's. */
static const char *const class_names[] = { "other", "file", "network", "process", "memory", "time" };
static const unsigned long class_calls[] = { 6, 4 + 1, 5, 8, 3 * 2, 7 };

static void calls(void)
{
	struct iovec nowhere = { 0 };
	struct timespec now;
	unsigned long i;

	go(CALLS);
	for (i = 0; i < 5; i++)
		syscall(SYS_poll, NULL, 0, 0);
	/* A number that no kernel has. */
	syscall(100000);
	for (i = 0; i < 4; i++)
		syscall(SYS_writev, -1, &nowhere, 1);
	for (i = 0; i < 5; i++)
		syscall(SYS_getsockname, -1, NULL, NULL);
	for (i = 0; i < 8; i++)
		syscall(SYS_getppid);
	for (i = 0; i < 3; i++)
		syscall(SYS_munmap, syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
	for (i = 0; i < 7; i++)
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	go(OUTSIDE);
}

static void show(const char *name, const char *group, unsigned long *results)
{
	printf("# TYPE %s counter\n", name);
	for (int error = 0; error < 200; error++)
		if (results[error])
			printf("%s_total{cgroup=\"%s\",result=\"%s\"} %lu\n", name, group,
			       error ? strerrorname_np(error) : "ok", results[error]);
}

int main(int arguments, char **argument)
{
	int compat = 0;

	if (arguments > 1 && strcmp(argument[1], "nothing") == 0)
		_exit(0);
	prepare();
	opens();
	execs();
	calls();
	for (int i = 0; i < 9; i++)
		compat += compat_call();
	show("act_open", "/opens", open_results);
	show("act_exec", "/execs", exec_results);
	printf("# TYPE act_calls counter\n");
	for (unsigned long i = 0; i < COUNT(class_calls); i++)
		printf("act_calls_total{cgroup=\"/calls\",class=\"%s\"} %lu\n", class_names[i], class_calls[i]);
	printf("# TYPE act_compat counter\nact_compat_total %d\n# EOF\n", compat);
	return 0;
}
