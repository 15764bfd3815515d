//! Virtual memory as programs see it: what is mapped, copied and inherited; trees of processes, and more memory wanted
//! than there is. Programs check what they read themselves; here it counts how they end and what they say.

use abi::ending::Ending;
use boot::maps;

use crate::scenario::Scenario;
use crate::scenario::Want;

/// The signal that nobody survives.
const SIGKILL: u8 = 9;

/// Processors on which everything is run.
const CPUS: [u32; 4] = [1, 2, 4, 8];

pub fn scenarios() -> Vec<Scenario> {
    let stress = |name: String, words: &[&str]| {
        let program = [&["stress_memory"], words].concat();
        Scenario::new(format!("memory/{name}"), &program).seconds(300)
    };
    let mut all = Vec::new();
    for cpus in CPUS {
        let calls = Scenario::new(format!("memory/calls-cpus-{cpus}"), &["memory"]).cpus(cpus);
        all.push(calls.wants(Want::ChecksPassed));
        let seed = cpus.to_string();
        all.push(stress(format!("tree-cpus-{cpus}"), &["tree", "4", "3", "2", &seed]).cpus(cpus));
        let words = ["stacks", "1000000", "500", "3", &seed];
        all.push(stress(format!("stacks-cpus-{cpus}"), &words).cpus(cpus).shows(&["declared"]));
        // A hundred and thirty percent of what is free: most of it lies in swap space at any time.
        all.push(
            stress(format!("hog-cpus-{cpus}"), &["hog", "130", "3"])
                .cpus(cpus)
                .memory(64)
                .swap(128)
                .shows(&["written to swap space"]),
        );
    }
    let words = ["both", "4", "3", "3", "5", "130"];
    all.push(stress("tree-beside-a-hog".to_owned(), &words).cpus(4).memory(64).swap(128));
    // What a program hears whose page a disk cannot read: from its file, and from swap space.
    let check = Scenario::new("memory/page-in-errors", &[])
        .option("check=page-in-errors-reach-who-asked")
        .seconds(120)
        .ends(Ending::ChecksEnded)
        .wants(Want::ChecksPassed);
    let errors = ["execution", "read"].iter().fold(check, |check, access| {
        let says = format!("page fault, {access}, address 0x");
        check.shows(&["killed by SIGBUS", &says, "the device that has the page failed"])
    });
    all.push(errors);
    // The control run: without collapse and bypass the same tree breaks the bound that it keeps with them.
    let words = ["tree", "3", "3", "2", "1"];
    let holds = ["the bound on chains holds"];
    all.push(stress("chains-collapse".to_owned(), &words).shows(&holds));
    let broken = ["objects too many: the bound on chains is broken"];
    let control = stress("chains-are-left".to_owned(), &words).option("collapse=off");
    all.push(control.exits(3).shows(&broken));
    all.push(stress("tree-counted".to_owned(), &["tree", "3", "3", "2", "1"]).counted().cpus(2));
    // More than there may be processes at a time.
    all.push(stress("generations".to_owned(), &["generations", "4200"]).cpus(2));
    // The stacks in use are more than there is memory for.
    let words = ["stacks", "100000", "8000", "2", "9"];
    let scenario = stress("stacks-in-swap".to_owned(), &words).cpus(2).memory(64).swap(256);
    all.push(scenario.shows(&["stacks: 100000 declared"]));
    let calls = Scenario::new("memory/calls-64M", &["memory"]).cpus(2).memory(64);
    all.push(calls.wants(Want::ChecksPassed));
    let calls = Scenario::new("memory/calls-released", &["memory"]).released();
    all.push(calls.wants(Want::ChecksPassed));
    for cpus in [1, 4] {
        let shown = Scenario::new(format!("memory/maps-cpus-{cpus}"), &["maps", "json", "chain"]);
        all.push(shown.cpus(cpus).wants(Want::Console(chains_come_and_go)));
    }
    // All of a program's memory: a file, a shadow of it, the stack.
    let all_of_it = [
        &["object", "file: pages"][..],
        &["anonymous: pages", "; shadow of"],
        &["stacks of 2048 pages"],
        &["frame", "mapped 1", "queue active"],
    ];
    let program = Scenario::new("memory/maps-of-itself", &["maps"]);
    all.push(all_of_it.iter().fold(program, |scenario, texts| scenario.shows(texts)));
    let stacks = Scenario::new("memory/maps-stacks", &["maps", "stacks"]);
    let texts = ["stacks of 2048 pages"];
    all.push(
        stacks.shows(&["--- touched: process"]).shows(&texts).shows(&["anonymous: pages 2048"]),
    );
    let kernel = Scenario::new("memory/maps-by-the-kernel", &["hello"]).option("maps=text");
    all.push(all_of_it.iter().fold(kernel, |scenario, texts| scenario.shows(texts)));
    let kernel = Scenario::new("memory/maps-by-the-kernel-json", &["hello"]).option("maps=json");
    all.push(kernel.wants(Want::Console(the_program_is_described)));
    // Nothing is left, neither memory nor swap space: the largest goes, with a word about it.
    for (name, swap) in [("no-swap", 0), ("little-swap", 8)] {
        all.push(
            stress(name.to_owned(), &["hog", "140", "2"])
                .memory(64)
                .swap(swap)
                .dies(SIGKILL)
                .shows(&["out of memory: process", "is killed"]),
        );
    }
    all
}

/// What the kernel prints of a program is the same as JSON: a file with pages, a shadow of it with a page.
fn the_program_is_described(console: &str) -> Result<(), String> {
    let all = maps::descriptions(console).map_err(|error| format!("{error:#}"))?;
    let [description] = &all[..] else {
        return Err(format!("{} descriptions", all.len()));
    };
    if description["name"] != "hello" || description["moment"] != "end" {
        return Err(format!("a description of something else: {description}"));
    }
    let entries = description["memory"]["entries"].as_array().ok_or("there are no entries")?;
    let objects: Vec<_> =
        entries.iter().filter_map(|entry| entry["objects"].as_array()).flatten().collect();
    for kind in ["file", "anonymous"] {
        let found = objects.iter().any(|object| {
            object["kind"] == kind && object["pages"].as_array().is_some_and(|all| !all.is_empty())
        });
        if !found {
            return Err(format!("no object of the kind '{kind}' has pages: {description}"));
        }
    }
    Ok(())
}

/// What the demonstration of chains comes to: after everybody has written there are as many objects as the chain lemma
/// allows, and they go with those who need them.
fn chains_come_and_go(console: &str) -> Result<(), String> {
    const MOMENTS: [(&str, &str); 3] = [
        (
            "all have written",
            "\
#1 anonymous, 2 references, 2 of shadows           0 1 1 1
├─ #2 shadow of #1, 1 reference                    1 · · ·
│     ◄─ root, pages 0-3
└─ #3 shadow of #1, 2 references, 2 of shadows     · 1 · ·
   ├─ #4 shadow of #3, 1 reference                 · · 1 ·
   │     ◄─ B, pages 0-3
   └─ #5 shadow of #3, 1 reference                 · · · 1
         ◄─ A, pages 0-3
",
        ),
        (
            "A has exited",
            "\
#1 anonymous, 2 references, 2 of shadows           0 1 1 1
├─ #2 shadow of #1, 1 reference                    1 · · ·
│     ◄─ root, pages 0-3
└─ #4 shadow of #1, 1 reference                    · 0 1 ·
      ◄─ B, pages 0-3
",
        ),
        (
            "B has exited",
            "\
#2 anonymous, 1 reference                          1 1 1 1
   ◄─ root, pages 0-3
",
        ),
    ];
    let drawings = maps::descriptions(console).and_then(|all| maps::draw(&all));
    let drawings = drawings.map_err(|error| format!("{error:#}"))?;
    for (moment, expected) in MOMENTS {
        let drawn = drawings.iter().find(|(name, _)| name == moment);
        let drawn = drawn.map_or("nothing", |(_, drawing)| drawing);
        if drawn != expected {
            return Err(format!("{moment}: expected\n{expected}found\n{drawn}"));
        }
    }
    Ok(())
}
