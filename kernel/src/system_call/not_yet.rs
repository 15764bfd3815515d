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
    processor_bind(A B);
    p_online(A B);
    processor_info(A B C);
    pset_create();
    pset_destroy(A);
    pset_assign(A B);
    pset_bind(A B);
    trap_trace(A B C);
}
