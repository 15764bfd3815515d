//! `cpu_lock`.

/// The lock of everything that changes which processors there are.
pub(crate) struct CpuLock;

impl CpuLock {
    pub(crate) fn new() -> CpuLock {
        CpuLock
    }
}
