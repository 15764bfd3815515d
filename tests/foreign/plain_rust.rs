//! A Rust program that knows nothing of this system: built for x86_64-unknown-linux-musl with the whole standard library,
//! and run unchanged.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

fn check(what: &str, is_so: bool) {
    println!("{what}: {}", if is_so { "yes" } else { "NO" });
    assert!(is_so, "{what}");
}

fn main() {
    println!("Rust, process {}", std::process::id());
    let words: Vec<String> = std::env::args().skip(1).collect();
    check("arguments", words == ["one", "two"]);
    check("environment", std::env::var("NOTHING").is_err());
    check("text", format!("{:.3} {:>6} {:?}", 2.0_f64.sqrt(), "right", Some(1)) == "1.414  right Some(1)");

    // Its keys are random: the kernel is asked for them.
    let mut counts = HashMap::new();
    for number in 0..100_000_u64 {
        *counts.entry(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).or_insert(0) += 1;
    }
    check("a map", counts.len() == 256 && counts.values().sum::<u32>() == 100_000);
    let large = vec![7_u8; 20 << 20];
    check("memory", large.iter().map(|&byte| u64::from(byte)).sum::<u64>() == 7 * (20 << 20));

    let before = Instant::now();
    std::thread::sleep(Duration::from_millis(20));
    check("time", before.elapsed() >= Duration::from_millis(20));

    let path = "/tmp/written-by-rust";
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).expect("a file");
    for line in 0..1000 {
        writeln!(file, "line {line}").expect("a line");
    }
    file.seek(SeekFrom::Start(0)).expect("the start");
    let lines: Vec<String> = BufReader::new(&file).lines().map(|line| line.expect("a line")).collect();
    check("what was written", lines.len() == 1000 && lines[999] == "line 999");
    let mut text = String::new();
    File::open(path).expect("the file").read_to_string(&mut text).expect("its text");
    check("its length", fs::metadata(path).expect("the file").len() == text.len() as u64);
    let names: Vec<String> = fs::read_dir("/tmp")
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    check("a folder", names == ["written-by-rust"]);
    fs::remove_file(path).expect("removing it");
    check("its end", fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound));

    let output = std::process::Command::new("/bin/hello").arg("a word").output();
    let output = output.expect("another program");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    check("another program", output.status.success() && shown.contains("arguments: a word"));
    let status = std::process::Command::new("/bin/hello").args(["--status", "42"]).status();
    check("its status", status.expect("another program").code() == Some(42));

    let caught = std::panic::catch_unwind(|| panic!("on purpose"));
    check("a panic that is caught", caught.is_err());
    println!("everything is as it should be");
}
