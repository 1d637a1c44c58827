/*
 * Calls a function that does not return: it ends the process, has it killed, waits for somebody else to kill it, or
 * becomes another program, as the command line says. Each call writes one byte to standard output before that, which is
 * how calls are counted by whoever reads it.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

__attribute__((noinline)) void step(const char *how)
{
	if (write(1, ".", 1) != 1)
		_exit(1);
	if (!strcmp(how, "exit"))
		_exit(0);
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "exec"))
		execl("/proc/self/exe", "leaver", "nothing", (char *)NULL);
	if (!strcmp(how, "wait"))
		pause();
}

int main(int arguments, char **argument)
{
	if (arguments != 2)
		return 1;
	if (!strcmp(argument[1], "nothing"))
		return 0;
	step("return");
	step("return");
	step(argument[1]);
	/* Nobody comes back. */
	return 1;
}
