//! What the processor can do, and turning it on.
//!
//! Required: long mode with `syscall`, no-execute pages, a local APIC, a time-stamp counter, SSE2.
//! Used where present: SMEP, SMAP, UMIP, FSGSBASE, machine checks, x2APIC, `xsave` and AVX.

use super::private::{read_msr, write_msr};
use super::user_state::{AVX_OFFSET, AVX_SIZE};
use bitflags::bitflags;
use raw_cpuid::CpuId;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::xcontrol::{XCr0, XCr0Flags};

bitflags! {
    /// Optional features of a processor.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Features: u32 {
        /// The kernel cannot execute user pages.
        const SMEP = 1 << 0;
        /// The kernel cannot reach user pages by accident.
        const SMAP = 1 << 1;
        /// User mode cannot read descriptor tables' addresses.
        const UMIP = 1 << 2;
        /// `rdfsbase` and its like, in user mode too.
        const FSGSBASE = 1 << 3;
        /// Pages that survive a change of address space in the TLB.
        const GLOBAL_PAGES = 1 << 4;
        /// The local APIC is reached through registers, not memory.
        const X2APIC = 1 << 5;
        /// Machine checks are reported instead of ending everything.
        const MACHINE_CHECK = 1 << 6;
        /// The registers of user mode are saved with `xsave`.
        const XSAVE = 1 << 7;
        /// User mode may use AVX. Only with [`Features::XSAVE`].
        const AVX = 1 << 8;
    }
}

/// What the processor lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(pub &'static str);

impl Features {
    /// What this processor has; an error names the first thing that it lacks and must have.
    pub fn detect() -> Result<Features, Missing> {
        let cpuid = CpuId::new();
        let basic = cpuid.get_feature_info().ok_or(Missing("CPUID leaf 1"))?;
        let extended =
            cpuid.get_extended_processor_and_feature_identifiers().ok_or(Missing("long mode"))?;
        for (present, name) in [
            (extended.has_syscall_sysret(), "syscall and sysret"),
            (extended.has_execute_disable(), "no-execute pages"),
            (basic.has_apic(), "a local APIC"),
            (basic.has_tsc(), "a time-stamp counter"),
            (basic.has_fxsave_fxstor() && basic.has_sse2(), "SSE2"),
        ] {
            if !present {
                return Err(Missing(name));
            }
        }
        let mut features = Features::empty();
        features.set(Features::GLOBAL_PAGES, basic.has_pge());
        features.set(Features::X2APIC, basic.has_x2apic());
        features.set(Features::MACHINE_CHECK, basic.has_mce());
        features.set(Features::XSAVE, basic.has_xsave());
        features
            .set(Features::AVX, basic.has_xsave() && basic.has_avx() && is_avx_where_expected());
        if let Some(more) = cpuid.get_extended_feature_info() {
            features.set(Features::SMEP, more.has_smep());
            features.set(Features::SMAP, more.has_smap());
            features.set(Features::UMIP, more.has_umip());
            features.set(Features::FSGSBASE, more.has_fsgsbase());
        }
        Ok(features)
    }

    /// Turns these features on, on the current processor.
    ///
    /// # Safety
    ///
    /// The processor has them. No user page is in use by the kernel.
    pub unsafe fn enable(self) {
        let mut control = Cr4::read() | Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE;
        for (feature, flag) in [
            (Features::SMEP, Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION),
            (Features::SMAP, Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
            (Features::UMIP, Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION),
            (Features::FSGSBASE, Cr4Flags::FSGSBASE),
            (Features::GLOBAL_PAGES, Cr4Flags::PAGE_GLOBAL),
            (Features::MACHINE_CHECK, Cr4Flags::MACHINE_CHECK_EXCEPTION),
            (Features::XSAVE, Cr4Flags::OSXSAVE),
        ] {
            control.set(flag, self.contains(feature));
        }
        // SAFETY: the processor has what is turned on, says the caller.
        unsafe { Cr4::write(control) };
        if self.contains(Features::XSAVE) {
            let mut components = XCr0Flags::X87 | XCr0Flags::SSE;
            components.set(XCr0Flags::AVX, self.contains(Features::AVX));
            // SAFETY: `xsave` has been turned on; the processor has these.
            unsafe { XCr0::write(components) };
        }
        // Write protection holds for the kernel too; x87 errors are exceptions; the FPU is real.
        let control = (Cr0::read()
            | Cr0Flags::WRITE_PROTECT
            | Cr0Flags::NUMERIC_ERROR
            | Cr0Flags::MONITOR_COPROCESSOR)
            .difference(
                Cr0Flags::EMULATE_COPROCESSOR
                    | Cr0Flags::TASK_SWITCHED
                    | Cr0Flags::CACHE_DISABLE
                    | Cr0Flags::NOT_WRITE_THROUGH,
            )
            | Cr0Flags::ALIGNMENT_MASK;
        // SAFETY: none of these changes what the kernel's mappings mean.
        unsafe { Cr0::write(control) };
        const MSR_EFER: u32 = 0xc000_0080;
        const SYSCALL_ENABLE: u64 = 1 << 0;
        const NO_EXECUTE_ENABLE: u64 = 1 << 11;
        // SAFETY: `EFER` exists on every x86-64 processor.
        let efer = unsafe { read_msr(MSR_EFER) };
        // SAFETY: both bits exist: `detect` asked.
        unsafe { write_msr(MSR_EFER, efer | SYSCALL_ENABLE | NO_EXECUTE_ENABLE) };
    }
}

/// What `xsave` saves of the registers of user mode: x87, SSE and, where it is there, AVX; in the
/// processor's own order of bits. See [`super::user_state`].
pub(crate) const XSAVE_COMPONENTS: u64 = 0b111;

/// Whether `xsave` puts the AVX registers where [`super::user_state::FpuState`] has room for them.
fn is_avx_where_expected() -> bool {
    const EXTENDED_STATE: u32 = 0xd;
    const AVX: u32 = 2;
    let place = core::arch::x86_64::__cpuid_count(EXTENDED_STATE, AVX);
    (place.eax, place.ebx) == (AVX_SIZE, AVX_OFFSET)
}
