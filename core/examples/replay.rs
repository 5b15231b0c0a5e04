//! Tells what happens in the simulated run of one seed, line by line.
//!
//! ```text
//! cargo run -p gossipstore-core --features sim --example replay -- --seed 123 [--mutation DotEvicted] [--replica 2]
//! ```
//!
//! Each line says the step, the simulated time, the replica, and what it does. With `--replica`, only that replica and what concerns
//! all are shown. After a violation come the events that it is about: who made them, and what became of them where.

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use gossipstore_core::{mutation::Mutation, sim};

const USAGE: &str = "replay --seed NUMBER [--mutation NAME] [--replica NUMBER]";

struct Options {
    seed: u64,
    mutation: Option<Mutation>,
    replica: Option<usize>,
}

fn main() -> ExitCode {
    match options(env::args().skip(1)) {
        Ok(options) => replay(&options),
        Err(wrong) => {
            eprintln!("{wrong}\nusage: {USAGE}");
            ExitCode::from(2)
        }
    }
}

fn replay(options: &Options) -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let outcome = sim::replay(options.seed, options.mutation, &mut |line| {
        let concerned = line.replica.is_none() || options.replica.is_none() || line.replica == options.replica;
        if concerned {
            let who = line.replica.map_or("-".into(), |replica| replica.to_string());
            // Whoever reads only the beginning closes the pipe.
            let _ = writeln!(out, "{:>5} {:>9} ms {who:>2}  {}", line.step, line.millis, line.what);
        }
    });
    let (last, code) = match outcome {
        Ok(outcome) => (format!("no violation: {}", outcome.tally), ExitCode::SUCCESS),
        Err(violation) => (violation.to_string(), ExitCode::FAILURE),
    };
    let _ = writeln!(out, "{last}");
    code
}

fn options(args: impl Iterator<Item = String>) -> Result<Options, String> {
    let (mut seed, mut mutation, mut replica) = (None, None, None);
    let mut args = args;
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--seed" => seed = Some(number(&value)?),
            "--replica" => replica = Some(number(&value)? as usize),
            "--mutation" => mutation = Some(mutation_by_name(&value)?),
            _ => return Err(format!("{name} is not known")),
        }
    }
    Ok(Options {
        seed: seed.ok_or("--seed is missing")?,
        mutation,
        replica,
    })
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn mutation_by_name(name: &str) -> Result<Mutation, String> {
    let found = Mutation::ALL
        .into_iter()
        .find(|mutation| format!("{mutation:?}").eq_ignore_ascii_case(name));
    found.ok_or_else(|| format!("{name} is none of {:?}", Mutation::ALL))
}
