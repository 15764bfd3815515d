//! `cargo upcall maps`: runs the program `maps` and draws what it says; the drawings in `docs/` are made so.
//!
//! One drawing per moment of a demonstration. Objects stand in trees, each above its shadows, because that is how they
//! refer to each other; a fault goes from the object of its entry *up* to the top. Objects get new numbers, in the
//! order in which they were made, and addresses become pages of the demonstration: so the same demonstration gives the
//! same drawing as long as virtual memory does the same.
//!
//! In a page of `docs/` a drawing stands between two lines, the first of which says what is drawn, a demonstration and
//! one of its moments: `<!-- maps chain: A has exited -->` and `<!-- maps end -->`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::workspace;

/// Bytes of a page.
const PAGE: u64 = 4096;
/// Most pages of an object that are drawn one by one.
const COLUMNS: u64 = 32;
/// Where the columns of pages begin.
const TEXT: usize = 50;

/// The first line of a drawing's place in a page of `docs/`, before what is drawn.
const BEGIN: &str = "<!-- maps ";
/// And the last.
const END: &str = "<!-- maps end -->";

/// The descriptions in what a console has shown: the lines that begin as one does.
pub fn descriptions(console: &str) -> Result<Vec<Value>> {
    let lines = console.lines().filter(|line| line.starts_with("{\"moment\":"));
    let parsed = lines.map(|line| serde_json::from_str(line).context("a description is no JSON"));
    let all: Vec<Value> = parsed.collect::<Result<_>>()?;
    ensure!(!all.is_empty(), "nothing has been described");
    Ok(all)
}

/// An object, as all descriptions of a moment say it.
#[derive(Debug, PartialEq, Eq)]
struct Object {
    kind: String,
    size: u64,
    references: u64,
    shadows: u64,
    backing: Option<(u64, u64)>,
    /// What is at each place: how often the page is mapped, or nothing if it is in swap space.
    pages: BTreeMap<u64, Option<u64>>,
    /// Who refers to it directly.
    entries: Vec<String>,
}

fn number(value: &Value, name: &str) -> Result<u64> {
    value[name].as_u64().with_context(|| format!("a description without {name}: {value}"))
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("a description without {name}: {value}"))
}

fn list<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    value[name].as_array().with_context(|| format!("a description without {name}: {value}"))
}

/// A drawing of each moment, with its name, in order.
pub fn draw(descriptions: &[Value]) -> Result<Vec<(String, String)>> {
    let mut moments: Vec<(&str, Vec<&Value>)> = Vec::new();
    let (mut numbers, mut base) = (BTreeSet::new(), u64::MAX);
    for description in descriptions {
        let moment = text(description, "moment")?;
        match moments.iter_mut().find(|(name, _)| *name == moment) {
            Some((_, all)) => all.push(description),
            None => moments.push((moment, vec![description])),
        }
        for entry in list(&description["memory"], "entries")? {
            base = base.min(number(entry, "start")?);
            for object in list(entry, "objects")? {
                numbers.insert(number(object, "object")?);
            }
        }
    }
    // Objects are numbered as they are made.
    let names: BTreeMap<u64, usize> = numbers.into_iter().zip(1..).collect();
    let drawn = moments.into_iter().map(|(moment, all)| {
        Ok((moment.to_owned(), draw_moment(&all, base, &names).with_context(|| moment.to_owned())?))
    });
    drawn.collect()
}

fn draw_moment(all: &[&Value], base: u64, names: &BTreeMap<u64, usize>) -> Result<String> {
    let mut objects: BTreeMap<u64, Object> = BTreeMap::new();
    let mut untouched = Vec::new();
    for description in all {
        let name = text(description, "name")?;
        for entry in list(&description["memory"], "entries")? {
            let label = label(name, entry, base)?;
            let chain = list(entry, "objects")?;
            for (depth, object) in chain.iter().enumerate() {
                let known = note_object(&mut objects, object)?;
                if depth == 0 {
                    known.entries.push(label.clone());
                }
            }
            if chain.is_empty() {
                untouched.push(label);
            }
        }
    }
    let mut drawing = String::new();
    for (&root, object) in &objects {
        if object.backing.is_none() {
            draw_tree(&mut drawing, &objects, names, root, "", "", 0)?;
        }
    }
    for label in untouched {
        writeln!(drawing, "no object: {label}")?;
    }
    Ok(drawing)
}

/// Who has an entry, and which pages of the demonstration it maps.
fn label(name: &str, entry: &Value, base: u64) -> Result<String> {
    let page = |address: u64| (address - base) / PAGE;
    let (first, end) = (page(number(entry, "start")?), page(number(entry, "end")?));
    let inheritance = match text(entry, "inheritance")? {
        "copy" => "",
        "share" => ", child shares",
        _ => ", not for a child",
    };
    let copy = if entry["needs_copy"] == true { ", needs copy" } else { "" };
    Ok(format!("{name}, pages {first}-{}{inheritance}{copy}", end - 1))
}

fn note_object<'o>(objects: &'o mut BTreeMap<u64, Object>, said: &Value) -> Result<&'o mut Object> {
    let backing = match &said["backing"] {
        Value::Null => None,
        _ => Some((number(said, "backing")?, number(said, "backing_offset")?)),
    };
    let known = objects.entry(number(said, "object")?).or_insert(Object {
        kind: text(said, "kind")?.to_owned(),
        size: number(said, "size")?,
        references: number(said, "references")?,
        shadows: number(said, "shadows")?,
        backing,
        pages: BTreeMap::new(),
        entries: Vec::new(),
    });
    for page in list(said, "pages")? {
        known.pages.insert(number(page, "place")?, page["mapped"].as_u64());
    }
    Ok(known)
}

/// Draws an object and its shadows. `shift`: the column of its first place.
fn draw_tree(
    to: &mut String,
    objects: &BTreeMap<u64, Object>,
    names: &BTreeMap<u64, usize>,
    which: u64,
    first: &str,
    rest: &str,
    shift: u64,
) -> Result<()> {
    let object = &objects[&which];
    let Object { kind, references, shadows, size, .. } = object;
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    let mut line = format!("{first}#{} ", names[&which]);
    match object.backing {
        None => write!(line, "{kind}, ")?,
        Some((below, _)) => {
            let name = names.get(&below).map_or("?".to_owned(), ToString::to_string);
            write!(line, "shadow of #{name}, ")?;
        }
    }
    write!(line, "{references} reference{}", plural(*references))?;
    if *shadows != 0 {
        write!(line, ", {shadows} of shadows")?;
    }
    let width = TEXT.saturating_sub(line.chars().count());
    write!(to, "{line}{:width$}", "")?;
    if shift + size <= COLUMNS {
        let empty = (0..shift).map(|_| "  ".to_owned());
        let pages = (0..*size).map(|place| match object.pages.get(&place) {
            None => "· ".to_owned(),
            Some(None) => "s ".to_owned(),
            Some(Some(mapped @ 0..10)) => format!("{mapped} "),
            Some(Some(_)) => "+ ".to_owned(),
        });
        let columns: String = empty.chain(pages).collect();
        writeln!(to, " {}", columns.trim_end())?;
    } else {
        writeln!(to, " {} pages of {size}", object.pages.len())?;
    }
    let shadows: Vec<(u64, u64)> = objects
        .iter()
        .filter_map(|(number, object)| {
            let (below, offset) = object.backing?;
            (below == which).then_some((*number, offset))
        })
        .collect();
    let bar = if shadows.is_empty() { "   " } else { "│  " };
    for entry in &object.entries {
        writeln!(to, "{rest}{bar}◄─ {entry}")?;
    }
    for (place, (shadow, offset)) in shadows.iter().enumerate() {
        let (branch, below) =
            if place + 1 == shadows.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let (first, rest) = (format!("{rest}{branch}"), format!("{rest}{below}"));
        draw_tree(to, objects, names, *shadow, &first, &rest, shift + offset)?;
    }
    Ok(())
}

/// The pages of `docs/` that have drawings, with their contents.
pub fn pages() -> Result<Vec<(PathBuf, String)>> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(workspace::root().join("docs"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let content = std::fs::read_to_string(&path)?;
            if content.contains(BEGIN) {
                pages.push((path, content));
            }
        }
    }
    pages.sort();
    Ok(pages)
}

/// The demonstrations that a page shows.
pub fn wanted(page: &str) -> BTreeSet<&str> {
    let asked =
        page.lines().filter(|line| *line != END).filter_map(|line| line.strip_prefix(BEGIN));
    asked.filter_map(|line| line.split_once(':').map(|(name, _)| name)).collect()
}

/// A page with its drawings as they are now.
pub fn redraw(
    page: &str,
    drawings: &BTreeMap<String, Vec<(String, String)>>,
    path: &Path,
) -> Result<String> {
    let mut new = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        writeln!(new, "{line}")?;
        let Some(asked) = line.strip_prefix(BEGIN) else { continue };
        let asked = asked.trim_end_matches("-->").trim();
        let (name, moment) = asked.split_once(": ").unwrap_or((asked, ""));
        let drawing = drawings.get(name).into_iter().flatten().find(|(other, _)| other == moment);
        let Some((_, drawing)) = drawing else {
            bail!("{}: there is no drawing '{asked}'", path.display());
        };
        write!(new, "```text\n{drawing}```\n{END}\n")?;
        ensure!(lines.any(|line| line == END), "{}: '{asked}' has no end", path.display());
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::{descriptions, draw, redraw, wanted};
    use std::collections::BTreeMap;
    use std::path::Path;

    /// A parent and a child, each with a shadow in front of an object of two pages, of which the parent's is full.
    fn console() -> String {
        let page = |place: u64, mapped: u64| {
            format!("{{\"place\":{place},\"address\":8192,\"mapped\":{mapped}}}")
        };
        let object = |number: u64, backing: &str, references: u64, pages: &[String]| {
            format!(
                "{{\"object\":{number},\"kind\":\"anonymous\",\"size\":2,\"references\":{references},\"shadows\":{},\
                 \"backing\":{backing},\"backing_offset\":0,\"pages\":[{}]}}",
                if backing == "null" { references } else { 0 },
                pages.join(",")
            )
        };
        let below = object(30, "null", 2, &[page(0, 1), "{\"place\":1,\"slot\":4}".to_owned()]);
        let line = |name: &str, own: String| {
            format!(
                "{{\"moment\":\"now\",\"process\":1,\"name\":\"{name}\",\"memory\":{{\"entries\":[{{\"start\":8192,\
                 \"end\":16384,\"inheritance\":\"copy\",\"needs_copy\":false,\"objects\":[{own},{below}]}}]}}}}\n"
            )
        };
        "something else\n".to_owned()
            + &line("parent", object(40, "30", 1, &[page(0, 1), page(1, 1)]))
            + &line("child", object(50, "30", 1, &[]))
    }

    const DRAWING: &str = "\
        #1 anonymous, 2 references, 2 of shadows           1 s\n\
        ├─ #2 shadow of #1, 1 reference                    1 1\n\
        │     ◄─ parent, pages 0-1\n\
        └─ #3 shadow of #1, 1 reference                    · ·\n\
        \x20     ◄─ child, pages 0-1\n";

    #[test]
    fn a_tree_of_objects_is_drawn() {
        let drawn = draw(&descriptions(&console()).unwrap()).unwrap();
        assert_eq!(drawn, [("now".to_owned(), DRAWING.to_owned())], "{}", drawn[0].1);
    }

    #[test]
    fn what_is_no_description_is_an_error() {
        assert!(descriptions("nothing of the kind\n").is_err());
        assert!(descriptions(&console().replace("]}}", "]}")).is_err());
        let missing = console().replace("\"size\":2,", "");
        assert!(draw(&descriptions(&missing).unwrap()).is_err());
    }

    #[test]
    fn a_page_gets_its_drawings() {
        let page = "a\n<!-- maps one: now -->\nold\n<!-- maps end -->\nb\n";
        let drawings =
            BTreeMap::from([("one".to_owned(), vec![("now".to_owned(), "new\n".to_owned())])]);
        assert_eq!(wanted(page).into_iter().collect::<Vec<_>>(), ["one"]);
        let new = redraw(page, &drawings, Path::new("page")).unwrap();
        let expected = "a\n<!-- maps one: now -->\n```text\nnew\n```\n<!-- maps end -->\nb\n";
        assert_eq!(new, expected);
        assert_eq!(redraw(&new, &drawings, Path::new("page")).unwrap(), expected);
        for wrong in [page.replace("now", "then"), page.replace("maps end", "")] {
            assert!(redraw(&wrong, &drawings, Path::new("page")).is_err());
        }
    }
}
