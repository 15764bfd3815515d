//! Checks of the copy routine: what is not the user's is refused, and a fault at any byte is survived.

use super::{Outcome, Run, Wrong, ensure};
use crate::kernel_space::{TableFrames, free_frame, zeroed_frame};
use dispatch::binding::affinity_here;
use machine::pmap::{Rights, Translation};
use machine::x86_64::paging;
use machine::x86_64::user_copy::{USER_END, copy_in, copy_out};
use machine::{MayFault, Pmap, System, preempt};

/// Two pages with the guard of absent ones around them; the second is read-only.
const PAGE_AT: u64 = 0x10_0000;
const END: u64 = PAGE_AT + 2 * 4096;

/// Runs `body` in an address space with the two pages.
fn with_pages(run: &mut Run<'_>, body: impl FnOnce(&mut MayFault) -> Outcome) -> Outcome {
    let no_memory = || Wrong::new(format_args!("no memory for an address space"));
    let pmap = Pmap::new(&TableFrames).map_err(|_| no_memory())?;
    for (address, rights) in
        [(PAGE_AT, Rights::READ | Rights::WRITE), (PAGE_AT + 4096, Rights::READ)]
    {
        let frame = zeroed_frame().map_err(|_| no_memory())?;
        let bytes = paging::physical::<[u8; 4096]>(System::current(), frame);
        // SAFETY: a fresh frame, which nobody else knows yet.
        unsafe { (*bytes).fill(0xa5) };
        pmap.prepare(address).map_err(|_| no_memory())?;
        pmap.exchange(address, Some(Translation::new(frame, rights)));
    }
    // The copy routine runs with preemption on, and this thread stays where the pages are.
    let bound = affinity_here();
    {
        let guard = preempt::disable(run.may_fault);
        pmap.activate(guard.atomic());
    }
    let outcome = body(run.may_fault);
    {
        let guard = preempt::disable(run.may_fault);
        pmap.deactivate(guard.atomic());
    }
    drop(bound);
    for address in [PAGE_AT, PAGE_AT + 4096] {
        if let Some(translation) = pmap.exchange(address, None) {
            free_frame(translation.frame);
        }
    }
    outcome
}

pub fn copy_refuses_bad_addresses(run: &mut Run<'_>) -> Outcome {
    with_pages(run, |may_fault| {
        let mut buffer = [0; 64];
        for address in [
            0,
            1,
            PAGE_AT - 64,
            END,
            USER_END - 64,
            USER_END - 1,
            USER_END,
            1 << 47,
            0x8000_0000_0000_0000,
            0xffff_8000_0000_0000,
            copy_refuses_bad_addresses as *const () as u64,
            u64::MAX - 63,
            u64::MAX - 62,
            u64::MAX,
        ] {
            ensure!(copy_in(&mut buffer, address, may_fault).is_err(), "read from {address:#x}");
            ensure!(copy_out(address, &buffer, may_fault).is_err(), "wrote to {address:#x}");
        }
        ensure!(copy_out(PAGE_AT + 4096, &buffer, may_fault).is_err(), "wrote to a read-only page");
        // Nothing is no access, wherever it is among the user's addresses.
        ensure!(copy_in(&mut [], 0, may_fault).is_ok(), "reading nothing failed");
        ensure!(copy_in(&mut buffer, PAGE_AT, may_fault).is_ok(), "could not read what is there");
        ensure!(buffer == [0xa5; 64], "read something else");
        Ok(())
    })
}

pub fn copy_survives_a_fault_at_any_byte(run: &mut Run<'_>) -> Outcome {
    const LENGTH: usize = 80;
    with_pages(run, |may_fault| {
        for inside in 0..=LENGTH {
            // `inside` bytes before the end of what is there, or of what can be written.
            let mut buffer = [0; LENGTH];
            let read = copy_in(&mut buffer, END - inside as u64, may_fault);
            ensure!(read.is_ok() == (inside == LENGTH), "reading {inside} of {LENGTH}: {read:?}");
            let got = buffer.iter().take_while(|&&byte| byte == 0xa5).count();
            // Words first: the word in which the fault lies is not copied.
            ensure!(got >= inside & !7 && got <= inside, "{got} bytes of {inside} were read");

            let written = copy_out(PAGE_AT + 4096 - inside as u64, &[0x5a; LENGTH], may_fault);
            ensure!(
                written.is_ok() == (inside == LENGTH),
                "writing {inside} of {LENGTH}: {written:?}"
            );
            let mut after = [0; LENGTH];
            let tail = &mut after[..inside];
            ensure!(
                copy_in(tail, PAGE_AT + 4096 - inside as u64, may_fault).is_ok(),
                "could not look"
            );
            let put = tail.iter().take_while(|&&byte| byte == 0x5a).count();
            ensure!(put >= inside & !7, "{put} bytes of {inside} were written");
            ensure!(copy_out(PAGE_AT, &[0xa5; 4096], may_fault).is_ok(), "could not clean up");
        }
        Ok(())
    })
}
