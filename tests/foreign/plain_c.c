/* A C program that knows nothing of this system: the host's compiler links it statically against the host's C library,
 * and it runs unchanged. Each line says what was tried; the last one that everything was as it should be. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int wrong;

static void check(const char *what, int is_so)
{
    printf("%s: %s\n", what, is_so ? "yes" : "NO");
    wrong += !is_so;
}

static volatile sig_atomic_t handled;

static void handler(int signal)
{
    handled += signal;
}

static sigjmp_buf place;

static void fault_handler(int signal)
{
    siglongjmp(place, signal);
}

static int compare(const void *one, const void *other)
{
    const unsigned a = *(const unsigned *)one, b = *(const unsigned *)other;
    return (a > b) - (a < b);
}

static __thread int own = 42;

int main(int count, char **words)
{
    char text[128];
    struct utsname name;
    uname(&name);
    printf("C on %s %s\n", name.sysname, name.machine);
    check("arguments", count == 3 && strcmp(words[1], "one") == 0 && strcmp(words[2], "two") == 0);
    check("thread-local memory", own == 42);
    check("auxiliary vector",
          getauxval(AT_PAGESZ) == 4096 && getauxval(AT_SECURE) == 0 && getauxval(AT_RANDOM) != 0
              && strcmp((const char *)getauxval(AT_PLATFORM), "x86_64") == 0
              && strcmp((const char *)getauxval(AT_EXECFN), words[0]) == 0);
    snprintf(text, sizeof text, "%.6f %e %g %a", acos(-1.0), 1e-300, 0.1 + 0.2, 1.5);
    check("doubles", strcmp(text, "3.141593 1.000000e-300 0.3 0x1.8p+0") == 0);
    check("numbers from text", strtod("2.5e3", NULL) == 2500.0 && strtol("-0x7f", NULL, 16) == -127);

    unsigned *numbers = malloc(200000 * sizeof *numbers), state = 1;
    for (int index = 0; index < 200000; index++)
        numbers[index] = state = state * 1664525 + 1013904223;
    qsort(numbers, 200000, sizeof *numbers, compare);
    int sorted = 1;
    for (int index = 1; index < 200000; index++)
        sorted &= numbers[index - 1] <= numbers[index];
    free(numbers);
    check("memory and sorting", sorted);

    setenv("NAME", "value", 1);
    check("environment", strcmp(getenv("NAME"), "value") == 0);

    struct sigaction action = { .sa_handler = handler };
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    check("signals", handled == 2 * SIGUSR1);
    signal(SIGSEGV, fault_handler);
    int jumped = sigsetjmp(place, 1);
    if (!jumped)
        *(volatile int *)8 = 1;
    check("a fault", jumped == SIGSEGV);

    int ends[2];
    check("a pipe", pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        handled = 0;
        raise(SIGUSR1);
        int is_own = handled == SIGUSR1 && gettid() == getpid();
        write(ends[1], "from a child", 12);
        _exit(is_own ? 7 : 8);
    }
    memset(text, 0, sizeof text);
    int status;
    ssize_t length = read(ends[0], text, sizeof text);
    check("what a child wrote", length == 12 && strcmp(text, "from a child") == 0);
    check("its end", waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);

    struct timespec before, after, span = { .tv_nsec = 20000000 };
    clock_gettime(CLOCK_MONOTONIC, &before);
    nanosleep(&span, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    long took = (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec;
    check("time", took >= 20000000 && time(NULL) >= 0);

    FILE *file = fopen("/tmp/written-by-c", "w+");
    check("a file", file != NULL);
    if (file) {
        int last = 0, numbers_read = 0;
        for (int line = 0; line < 1000; line++)
            fprintf(file, "line %d\n", line);
        rewind(file);
        while (fscanf(file, "line %d\n", &last) == 1)
            numbers_read++;
        struct stat described;
        check("what was written", numbers_read == 1000 && last == 999
              && fstat(fileno(file), &described) == 0 && described.st_size == 8890);
        fclose(file);
        check("its end", unlink("/tmp/written-by-c") == 0 && access("/tmp/written-by-c", F_OK) == -1 && errno == ENOENT);
    }
    printf(wrong ? "%d things are wrong\n" : "everything is as it should be\n", wrong);
    return wrong != 0;
}
