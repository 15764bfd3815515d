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
    ioctl(A B C);
    pread64(A B C D);
    pwrite64(A B C D);
    readv(A B C);
    writev(A B C);
    access(A B);
    pipe(A);
    dup(A);
    dup2(A B);
    getitimer(A B);
    alarm(A);
    setitimer(A B C);
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
    getrlimit(A B);
    sched_getaffinity(A B C);
    getdents64(A B C);
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
    lwp_info(A B C D);
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
