//! `docs/syscalls.md`, made from the one table of system calls in `abi`.

use std::any::type_name;
use std::path::PathBuf;

use abi::calls::{NO_RETURN, OWN_BASE, TWO_RESULTS};
use anyhow::Result;

use crate::workspace;

/// A system call as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub name: &'static str,
    /// Name and type of each argument.
    pub arguments: Vec<(&'static str, String)>,
    /// `abi::calls`' flags.
    pub flags: u32,
    /// What it does.
    pub text: &'static str,
}

macro_rules! list_calls {
    ($($number:literal $name:ident($($argument:ident: $kind:ty),* $(,)?)
        $flag:tt $(:: $rest:ident)* $text:literal;)*) => {
        vec![$(Call {
            number: $number,
            name: stringify!($name),
            arguments: vec![$((stringify!($argument), short_type(type_name::<$kind>()))),*],
            flags: $flag $(:: $rest)*,
            text: $text,
        }),*]
    };
}

/// Every system call, in the table's order.
pub fn calls() -> Vec<Call> {
    abi::system_calls!(list_calls)
}

/// A type without the path to it: `*mut abi::calls::TimeSpec` is `*mut TimeSpec` to a reader.
fn short_type(text: &str) -> String {
    let words = text.split(' ').map(|word| word.rsplit("::").next().unwrap_or(word));
    words.collect::<Vec<_>>().join(" ")
}

/// The page.
pub fn page() -> String {
    let mut text = String::from(
        "# System calls\n\n\
         <!-- Made by `cargo upcall docs` from the table in `kernel/abi/src/calls.rs`. -->\n\n\
         Number in `rax`; arguments in `rdi rsi rdx r10 r8 r9`; result in `rax`, an error as `-errno`;\n\
         `rcx` and `r11` are lost. Errors and structures are Linux's.\n",
    );
    let (own, ordinary): (Vec<Call>, Vec<Call>) =
        calls().into_iter().partition(|call| call.number >= OWN_BASE);
    text += "\n## Ordinary calls, with Linux's numbers\n\n";
    text += &table(&ordinary);
    text += "\n## This kernel's own calls\n\n";
    text += &table(&own);
    text
}

fn table(calls: &[Call]) -> String {
    let mut text = String::from("| number | call | what it does |\n|---|---|---|\n");
    for call in calls {
        let arguments: Vec<String> =
            call.arguments.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
        let number = if call.number >= OWN_BASE {
            format!("{:#x}", call.number)
        } else {
            call.number.to_string()
        };
        let mut what = call.text.replace('|', "\\|");
        if call.flags & NO_RETURN != 0 {
            what += " It does not return.";
        }
        if call.flags & TWO_RESULTS != 0 {
            what += " The second result is in `rdx`.";
        }
        text += &format!("| {number} | `{}({})` | {what} |\n", call.name, arguments.join(", "));
    }
    text
}

/// Where the page lies.
pub fn path() -> PathBuf {
    workspace::root().join("docs/syscalls.md")
}

/// Writes the page.
pub fn write() -> Result<()> {
    workspace::write_whole(&path(), page().as_bytes())
}

/// Whether the page in the workspace is the one that would be written now.
pub fn is_current() -> bool {
    std::fs::read_to_string(path()).is_ok_and(|text| text == page())
}

#[cfg(test)]
mod tests {
    use super::{calls, page, short_type};

    #[test]
    fn the_whole_table_is_on_the_page() {
        let page = page();
        for call in calls() {
            assert!(page.contains(&format!("`{}(", call.name)), "{}", call.name);
        }
        assert!(
            page.contains("| 1 | `write(fd: i32, buffer: *const u8, length: usize)` | Write bytes")
        );
        assert!(page.contains("| 0x1002 | `report("));
        assert!(page.contains("End the calling process. It does not return. |"));
        assert!(page.contains("time: *mut TimeSpec)"));
    }

    #[test]
    fn types_lose_their_paths() {
        assert_eq!(short_type("*mut abi::calls::TimeSpec"), "*mut TimeSpec");
        assert_eq!(short_type("u64"), "u64");
    }

    #[test]
    fn numbers_rise() {
        let numbers: Vec<u64> = calls().iter().map(|call| call.number).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    }
}
