//! Lists the processors: whether each is on line, its set, what its time has gone on.

#![no_std]
#![no_main]

use userland::{Arguments, eprintln, println, processor, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    if arguments.words().next().is_some() {
        eprintln!("usage: psrinfo");
        return 2;
    }
    println!("processor  state     set  user%  system%  idle%");
    for info in processor::all() {
        let state = if info.on_line == 1 { "on line" } else { "off line" };
        let on_line = info.user + info.system + info.idle;
        let share = |time: u64| time.saturating_mul(100) / on_line.max(1);
        let [user, system, idle] = [info.user, info.system, info.idle].map(share);
        println!("{:9}  {state:8}  {:3}  {user:5}  {system:7}  {idle:5}", info.number, info.set);
    }
    0
}
