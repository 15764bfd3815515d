//! The longest that a step can write.

use super::{Format, STEP_MAX};
use crate::describe::record::{
    BusyState, EntryRecord, MapRecord, ObjectKind, ObjectRecord, PAGES, PageRecord, PageRecords,
    ResidentPage,
};
use crate::describe::{Description, Step};
use crate::entry::{Advice, Inheritance};
use crate::page_queue::Queue;
use machine::pmap::Rights;

#[test]
fn no_step_writes_more_than_it_may() {
    const MOST: u64 = u64::MAX;
    let resident = ResidentPage {
        frame: MOST,
        busy: BusyState::Exclusive,
        valid: false,
        dirty: false,
        wired: u32::MAX,
        mapped: u32::MAX,
        queue: Some(Queue::Inactive),
    };
    // Addresses of programs and places of objects are below 2 to the 48.
    let page = PageRecord {
        place: 1 << 48,
        address: 1 << 48,
        resident: Some(resident),
        slot: Some(u32::MAX),
    };
    let steps = [
        Step::Map(MapRecord { entries: usize::MAX, mapped: usize::MAX, tables: usize::MAX }),
        Step::Entry(EntryRecord {
            start: MOST,
            end: MOST,
            rights: Rights::READ,
            inheritance: Inheritance::Share,
            advice: Advice::Sequential,
            wired: u32::MAX,
            needs_copy: true,
            shared: true,
            stride: Some(MOST),
            has_object: false,
        }),
        Step::Object(ObjectRecord {
            number: MOST,
            depth: u32::MAX,
            kind: ObjectKind::Anonymous,
            pages: MOST,
            first: MOST,
            references: u32::MAX,
            shadows: u32::MAX,
            paging: u32::MAX,
            merging: true,
            resident: MOST,
            swapped: MOST,
            backing: Some((MOST, MOST)),
        }),
        Step::Pages(PageRecords { pages: [Some(page); PAGES] }),
        Step::End,
    ];
    for format in [Format::Text, Format::Json] {
        let mut description = Description::new(0..1);
        for step in &steps {
            let mut text = String::new();
            description.print(step, format, &mut text).unwrap();
            assert!(text.len() <= STEP_MAX, "{}: {text}", text.len());
        }
    }
}
