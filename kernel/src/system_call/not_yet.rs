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
    trap_trace(A B C);
}
