//! The steps of a description as text for people, and as JSON for programs.
//!
//! Both are written step by step. JSON has to know what is still to be closed: that is a small word of the description
//! itself ([`Open`]), so that it can be interrupted after any step. No step writes more than [`STEP_MAX`] bytes.

use super::record::{BusyState, EntryRecord, MapRecord, ObjectKind, ObjectRecord, PageRecord};
use super::{Description, Step};
use crate::entry::{Advice, Inheritance};
use crate::page::PAGE_SHIFT;
use crate::page_queue::Queue;
use core::fmt::{self, Write};
use machine::pmap::Rights;

/// The most that a step writes, in bytes.
pub const STEP_MAX: usize = 2048;

/// How a description is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object, in one line: the map with its `entries`, each with its `objects`, each with its `pages`.
    Json,
}

/// The innermost thing in JSON that has been begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    Nothing = 0,
    /// The list of entries, still empty.
    Entries = 1,
    /// The list of objects of an entry, still empty.
    Objects = 2,
    /// The list of pages of an object, still empty.
    Pages = 3,
    /// The same with a page in it.
    MorePages = 4,
}

impl Open {
    pub(super) fn from_number(number: u8) -> Option<Open> {
        [Open::Nothing, Open::Entries, Open::Objects, Open::Pages, Open::MorePages]
            .into_iter()
            .find(|open| *open as u8 == number)
    }
}

impl Description {
    /// Writes a step that has just been made.
    pub fn print(&mut self, step: &Step, format: Format, to: &mut dyn Write) -> fmt::Result {
        match format {
            Format::Text => text(step, to),
            Format::Json => self.json(step, to),
        }
    }

    fn json(&mut self, step: &Step, to: &mut dyn Write) -> fmt::Result {
        let before = self.open;
        let [in_object, in_entry] = match before {
            Open::Pages | Open::MorePages => ["]}", "]}"],
            Open::Objects => ["", "]}"],
            Open::Entries | Open::Nothing => ["", ""],
        };
        // A comma, unless it is the first of its list.
        let next = |closed: &str| if closed.is_empty() { "" } else { "," };
        match step {
            Step::Map(map) => {
                self.open = Open::Entries;
                let MapRecord { entries, mapped, tables } = map;
                write!(
                    to,
                    "{{\"count\":{entries},\"mapped\":{mapped},\"tables\":{tables},\"entries\":["
                )
            }
            Step::Entry(entry) => {
                self.open = Open::Objects;
                write!(to, "{in_object}{in_entry}{}", next(in_entry))?;
                json_entry(entry, to)
            }
            Step::Counting => Ok(()),
            Step::Object(object) => {
                self.open = Open::Pages;
                write!(to, "{in_object}{}", next(in_object))?;
                json_object(object, to)
            }
            Step::Pages(pages) => {
                for page in pages.iter() {
                    let comma = if self.open == Open::MorePages { "," } else { "" };
                    self.open = Open::MorePages;
                    to.write_str(comma)?;
                    json_page(page, to)?;
                }
                Ok(())
            }
            Step::End => {
                self.open = Open::Nothing;
                write!(to, "{in_object}{in_entry}]}}")
            }
        }
    }
}

/// A number or `null`.
struct Maybe(Option<u64>);

impl fmt::Display for Maybe {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(to, "{number}"),
            None => to.write_str("null"),
        }
    }
}

fn json_entry(entry: &EntryRecord, to: &mut dyn Write) -> fmt::Result {
    let EntryRecord { start, end, rights, wired, needs_copy, shared, .. } = entry;
    write!(
        to,
        "{{\"start\":{start},\"end\":{end},\"rights\":\"{}\",\"inheritance\":\"{}\",\"advice\":\"{}\",\"wired\":{wired},\
         \"needs_copy\":{needs_copy},\"shared\":{shared},\"stride\":{},\"objects\":[",
        Letters(*rights),
        inheritance(entry.inheritance),
        advice(entry.advice),
        Maybe(entry.stride),
    )
}

fn json_object(object: &ObjectRecord, to: &mut dyn Write) -> fmt::Result {
    let ObjectRecord { number, pages, first, references, shadows, paging, merging, .. } = object;
    let ObjectRecord { resident, swapped, backing, .. } = object;
    write!(
        to,
        "{{\"object\":{number},\"kind\":\"{}\",\"size\":{pages},\"first\":{first},\"references\":{references},\
         \"shadows\":{shadows},\"paging\":{paging},\"merging\":{merging},\"resident\":{resident},\"swapped\":{swapped},\
         \"backing\":{},\"backing_offset\":{},\"pages\":[",
        kind(object.kind),
        Maybe(backing.map(|(number, _)| number)),
        Maybe(backing.map(|(_, offset)| offset)),
    )
}

fn json_page(page: &PageRecord, to: &mut dyn Write) -> fmt::Result {
    let PageRecord { place, address, .. } = page;
    write!(to, "{{\"place\":{place},\"address\":{address}")?;
    if let Some(page) = &page.resident {
        write!(
            to,
            ",\"frame\":{},\"busy\":\"{}\",\"valid\":{},\"dirty\":{},\"wired\":{},\"mapped\":{},\"queue\":\"{}\"",
            page.frame,
            busy(page.busy),
            page.valid,
            page.dirty,
            page.wired,
            page.mapped,
            queue(page.queue),
        )?;
    }
    if let Some(slot) = page.slot {
        write!(to, ",\"slot\":{slot}")?;
    }
    to.write_str("}")
}

fn text(step: &Step, to: &mut dyn Write) -> fmt::Result {
    match step {
        Step::Map(MapRecord { entries, mapped, tables }) => {
            writeln!(to, "map: entries {entries}, pages mapped {mapped}, page tables {tables}")
        }
        Step::Entry(entry) => text_entry(entry, to),
        Step::Object(object) => text_object(object, to),
        Step::Pages(pages) => pages.iter().try_for_each(|page| text_page(page, to)),
        Step::Counting | Step::End => Ok(()),
    }
}

fn text_entry(entry: &EntryRecord, to: &mut dyn Write) -> fmt::Result {
    let EntryRecord { start, end, rights, wired, .. } = entry;
    let pages = (end - start) >> PAGE_SHIFT;
    let inheritance = inheritance(entry.inheritance);
    write!(
        to,
        "{start:#014x}-{end:#014x} {} pages {pages}, child: {inheritance}",
        Letters(*rights)
    )?;
    if entry.needs_copy {
        write!(to, ", needs copy")?;
    }
    if entry.shared {
        write!(to, ", made shared")?;
    }
    if entry.advice != Advice::Normal {
        write!(to, ", advice: {}", advice(entry.advice))?;
    }
    if *wired != 0 {
        write!(to, ", wired")?;
    }
    if let Some(stride) = entry.stride {
        write!(to, ", stacks of {} pages", stride >> PAGE_SHIFT)?;
    }
    if !entry.has_object {
        write!(to, ", never touched")?;
    }
    writeln!(to)
}

fn text_object(object: &ObjectRecord, to: &mut dyn Write) -> fmt::Result {
    let ObjectRecord { number, pages, references, shadows, resident, swapped, .. } = object;
    let indent = 2 + 2 * object.depth.min(30) as usize;
    write!(
        to,
        "{:indent$}object {number}, {}: pages {pages}, seen from {}, references {references} (shadows {shadows}), in memory \
         {resident}, in swap {swapped}",
        "",
        kind(object.kind),
        object.first,
    )?;
    if object.paging != 0 {
        write!(to, ", transfers {}", object.paging)?;
    }
    if object.merging {
        write!(to, ", being merged")?;
    }
    if let Some((backing, offset)) = object.backing {
        write!(to, "; shadow of {backing}, from its place {offset}")?;
    }
    writeln!(to)
}

fn text_page(page: &PageRecord, to: &mut dyn Write) -> fmt::Result {
    write!(to, "      place {} ({:#x}):", page.place, page.address)?;
    if let Some(page) = &page.resident {
        write!(to, " frame {:#x}, mapped {}", page.frame, page.mapped)?;
        if page.wired != 0 {
            write!(to, ", wired {}", page.wired)?;
        }
        let word = |is, word| if is { word } else { "" };
        let busy = match page.busy {
            BusyState::Free => "",
            BusyState::Shared => ", busy (shared)",
            BusyState::Exclusive => ", busy (exclusive)",
        };
        let dirty = word(page.dirty, ", dirty");
        write!(
            to,
            "{}{dirty}{busy}, queue {}",
            word(!page.valid, ", not valid"),
            queue(page.queue)
        )?;
    }
    match (page.slot, page.resident.is_some()) {
        (Some(slot), true) => write!(to, ", slot {slot}")?,
        (Some(slot), false) => write!(to, " in swap, slot {slot}")?,
        (None, _) => {}
    }
    writeln!(to)
}

/// Rights as letters.
struct Letters(Rights);

impl fmt::Display for Letters {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (right, letter) in [(Rights::READ, 'r'), (Rights::WRITE, 'w'), (Rights::EXECUTE, 'x')] {
            to.write_char(if self.0.contains(right) { letter } else { '-' })?;
        }
        Ok(())
    }
}

fn inheritance(inheritance: Inheritance) -> &'static str {
    match inheritance {
        Inheritance::Share => "share",
        Inheritance::Copy => "copy",
        Inheritance::None => "none",
    }
}

fn advice(advice: Advice) -> &'static str {
    match advice {
        Advice::Normal => "normal",
        Advice::Random => "random",
        Advice::Sequential => "sequential",
    }
}

fn kind(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Anonymous => "anonymous",
        ObjectKind::File => "file",
        ObjectKind::Device => "device",
    }
}

fn busy(busy: BusyState) -> &'static str {
    match busy {
        BusyState::Free => "no",
        BusyState::Shared => "shared",
        BusyState::Exclusive => "exclusive",
    }
}

fn queue(queue: Option<Queue>) -> &'static str {
    match queue {
        Some(Queue::Active) => "active",
        Some(Queue::Inactive) => "inactive",
        Some(Queue::Laundry) => "laundry",
        None => "none",
    }
}

#[cfg(test)]
#[path = "../tests/print.rs"]
mod tests;
