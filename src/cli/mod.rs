//! The `outguard` command: one file for each command, texts for people, `--json` for scripts.
//!
//! Commands ask the running daemon over its control socket. Where none runs, those that only look read the store; each says
//! on standard error which it was. Nothing here decides about mail. Start with [`arguments`]; [`exit`] says what the exit
//! codes mean.
//!
//! `--json` prints the types of [`crate::api::view`]: one object a line for what is many, one object for what is one.

mod allow;
pub mod arguments;
mod check;
mod demo;
mod dkim;
mod doctor;
pub mod exit;
mod flagged;
mod hold;
mod limits;
mod mailbox;
mod moment;
mod password;
mod queue;
mod run;
mod score;
mod show;
mod source;
mod status;
mod table;
mod teach;
#[cfg(test)]
mod tests;
mod trace;
pub mod train;
mod why;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use exit::Failed;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse(); // says what is wrong with them, and exits with 2
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = run(&arguments, &mut out).and_then(|()| Ok(out.flush()?));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            let _ = out.flush();
            failed.tell(&mut io::stderr().lock());
            failed.code()
        }
    }
}

fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    match &arguments.command {
        Command::Run => run::run(arguments),
        Command::Check(asked) => check::run(arguments, *asked, out),
        Command::Demo(_) if arguments.json => Err(not_for_scripts("demo", "is a picture for people")),
        Command::Demo(demo) => demo::run(demo, out),
        Command::Train(asked) => train::run(asked, out),
        Command::Score(asked) => score::run(arguments, asked, out),
        Command::Password(_) if arguments.json => {
            Err(not_for_scripts("password", "prints the one line that the password file wants"))
        }
        Command::Password(user) => password::run(user, out),
        Command::Dkim(command) => dkim::run(arguments, command, out),
        Command::Doctor(asked) => doctor::run(arguments, asked, out),
        Command::Status
        | Command::Queue(_)
        | Command::Hold(_)
        | Command::Resume(_)
        | Command::Limits
        | Command::Teach(_)
        | Command::Allow(_)
        | Command::Trace(_) => ask(arguments, out),
    }
}

/// The commands that ask a daemon or its store. One thread is enough for one question.
fn ask(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(asked(arguments, out))
}

async fn asked(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let place = source::Place::find(arguments)?;
    let look = arguments.look();
    match &arguments.command {
        Command::Status => status::run(&place, look, out).await,
        Command::Queue(command) => queue::run(&place, command, look, out).await,
        Command::Hold(gate) => hold::hold(&place, gate, look, out).await,
        Command::Resume(gate) => hold::resume(&place, gate, look, out).await,
        Command::Limits => limits::run(&place, look, out).await,
        Command::Trace(trace) => trace::run(&place, trace, look, out).await,
        Command::Teach(command) => teach::run(&place, command, look, out).await,
        Command::Allow(command) => allow::run(&place, command, look, out).await,
        // These ask nobody.
        Command::Run
        | Command::Check(_)
        | Command::Demo(_)
        | Command::Password(_)
        | Command::Dkim(_)
        | Command::Doctor(_)
        | Command::Train(_)
        | Command::Score(_) => Ok(()),
    }
}

fn not_for_scripts(command: &str, why: &str) -> Failed {
    Failed::Usage { what: format!("`outguard {command}` {why}; it has no --json: leave it out") }
}

/// One object, one line.
fn json_line<T: serde::Serialize>(out: &mut dyn Write, value: &T) -> Result<(), Failed> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
