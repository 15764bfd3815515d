//! Checks of what is mapped how.

use super::stacks::thread_stack;
use super::{Outcome, Run, Wrong, ensure};
use crate::kernel_space::read_only_image;
use machine::x86_64::features::Features;
use machine::x86_64::paging::{self, Mapping};
use machine::x86_64::stack::{self, PAGE};
use machine::{Cpu, preempt};
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags};

/// The first mapping of which `is_wrong` says so.
fn find(run: &Run<'_>, is_wrong: impl Fn(&Mapping) -> bool) -> Option<Mapping> {
    let _lock = run.kernel.space.lock_anywhere();
    let mut found = None;
    paging::for_each_mapping(run.kernel.system, |mapping| {
        if found.is_none() && is_wrong(&mapping) {
            found = Some(mapping);
        }
    });
    found
}

pub fn nothing_is_writable_and_executable(run: &mut Run<'_>) -> Outcome {
    let wrong = find(run, |mapping| mapping.writable && mapping.executable);
    ensure!(wrong.is_none(), "{wrong:x?} is both");
    let wrong = find(run, |mapping| mapping.user);
    ensure!(wrong.is_none(), "{wrong:x?} can be reached by user mode");
    Ok(())
}

pub fn kernel_text_is_read_only(run: &mut Run<'_>) -> Outcome {
    let here = kernel_text_is_read_only as *const () as u64;
    let page = find(run, |mapping| here >> 12 == mapping.address >> 12);
    let Some(page) = page else {
        return Err(Wrong::new(format_args!("the kernel's text is not mapped")));
    };
    ensure!(page.executable && !page.writable, "the kernel's text is {page:x?}");
    let image = read_only_image();
    let executable = find(run, |mapping| mapping.executable && !image.contains(&mapping.address));
    ensure!(executable.is_none(), "{executable:x?} is executable and not the kernel's text");
    // Nor can it be written under another name.
    for address in image.step_by(4096) {
        let frame = paging::translate(run.kernel.system, address).unwrap_or_default();
        let alias = run.kernel.system.backend.physical_offset + frame;
        let writable = paging::is_writable(run.kernel.system, alias);
        ensure!(!writable, "{address:#x} can be written at {alias:#x}");
    }
    Ok(())
}

pub fn lower_half_is_empty(run: &mut Run<'_>) -> Outcome {
    let left = find(run, |mapping| mapping.address < 1 << 47);
    ensure!(left.is_none(), "{left:x?} is left in the lower half");
    Ok(())
}

pub fn protections_are_on(run: &mut Run<'_>) -> Outcome {
    ensure!(Cr0::read().contains(Cr0Flags::WRITE_PROTECT), "the kernel may write read-only pages");
    let needed = EferFlags::NO_EXECUTE_ENABLE | EferFlags::SYSTEM_CALL_EXTENSIONS;
    ensure!(Efer::read().contains(needed), "EFER is {:?}", Efer::read());
    let features = run.kernel.system.backend.features;
    for (feature, flag) in [
        (Features::SMEP, Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION),
        (Features::SMAP, Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
        (Features::UMIP, Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION),
        (Features::FSGSBASE, Cr4Flags::FSGSBASE),
    ] {
        ensure!(
            features.contains(feature) == Cr4::read().contains(flag),
            "{feature:?} is present and not on, or on and not present"
        );
    }
    Ok(())
}

pub fn guard_pages_are_absent(run: &mut Run<'_>) -> Outcome {
    let guard = preempt::disable(run.may_fault);
    let system = run.kernel.system;
    let own = stack::current(Cpu::current(guard.atomic()));
    ensure!(paging::is_present(system, own.top - 8), "the stack in use is not there");
    ensure!(!paging::is_present(system, own.bottom - 8), "no guard page below the boot stack");
    drop(guard);
    let made = thread_stack(run.kernel)?;
    let below = paging::is_present(system, made.bottom - PAGE);
    let inside = paging::is_present(system, made.bottom);
    // SAFETY: taken above; nothing has run on it.
    unsafe { run.kernel.give_thread_stack(made) };
    ensure!(inside && !below, "a thread's stack: inside {inside}, guard page {below}");
    Ok(())
}
