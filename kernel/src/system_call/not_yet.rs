//! Calls that the table has and the kernel does not do yet. Who does one takes its line out.

use super::Result;
use abi::errno::Errno;
use machine::MayFault;

macro_rules! not_yet {
    ($($name:ident($($argument:ident)*);)*) => {
        $(
            #[allow(non_camel_case_types)]
            pub(super) fn $name<$($argument),*>(_: &mut MayFault, $(_: $argument),*) -> Result {
                Err(Errno::ENOSYS)
            }
        )*
    };
}

not_yet! {
    read(A B C);
    stat(A B);
    fstat(A B);
    lstat(A B);
    poll(A B C);
    lseek(A B C);
    rt_sigaction(A B C D);
    rt_sigprocmask(A B C D);
    rt_sigreturn();
    ioctl(A B C);
    pread64(A B C D);
    pwrite64(A B C D);
    readv(A B C);
    writev(A B C);
    access(A B);
    pipe(A);
    dup(A);
    dup2(A B);
    pause();
    nanosleep(A B);
    getitimer(A B);
    alarm(A);
    setitimer(A B C);
    clone(A B C D E);
    vfork();
    kill(A B);
    fcntl(A B C);
    truncate(A B);
    ftruncate(A B);
    getcwd(A B);
    chdir(A);
    fchdir(A);
    rename(A B);
    mkdir(A B);
    rmdir(A);
    creat(A B);
    unlink(A);
    readlink(A B C);
    gettimeofday(A B);
    getrlimit(A B);
    getrusage(A B);
    times(A);
    getuid();
    getgid();
    geteuid();
    getegid();
    setpgid(A B);
    getppid();
    getpgrp();
    setsid();
    getpgid(A);
    getsid(A);
    rt_sigpending(A B);
    rt_sigtimedwait(A B C D);
    rt_sigsuspend(A B);
    sigaltstack(A B);
    prctl(A B C D E);
    arch_prctl(A B);
    gettid();
    tkill(A B);
    time(A);
    sched_getaffinity(A B C);
    getdents64(A B C);
    set_tid_address(A);
    clock_getres(A B);
    clock_nanosleep(A B C D);
    tgkill(A B C);
    openat(A B C D);
    mkdirat(A B C);
    newfstatat(A B C D);
    unlinkat(A B C);
    renameat(A B C D);
    readlinkat(A B C D);
    faccessat(A B C);
    ppoll(A B C D E);
    dup3(A B C);
    pipe2(A B);
    prlimit64(A B C D);
    getrandom(A B C);
    statx(A B C D E);
    indirect(A B C D E F);
    lwp_create(A B C D E);
    lwp_exit(A);
    lwp_wait(A B);
    lwp_self();
    lwp_suspend(A);
    lwp_continue(A);
    lwp_park(A);
    lwp_unpark(A);
    lwp_private(A);
    lwp_name(A B C);
    lwp_info(A B C D);
    observe(A B);
    observe_wait(A B C);
    observe_continue(A B C);
    observe_read(A B C D);
    processor_bind(A B);
    p_online(A B);
    processor_info(A B C);
    pset_create();
    pset_destroy(A);
    pset_assign(A B);
    pset_bind(A B);
    process_info(A B C);
    trap_trace(A B C);
    trace_groups(A);
}
