//! No line makes the parser panic, and what it reads is bounded and printable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use outguard::smtp::command::Command;

fuzz_target!(|line: &[u8]| {
    match Command::parse(line) {
        Ok(Command::Ehlo(name) | Command::Helo(name)) => {
            assert!(name.len() <= 255 && !name.chars().any(char::is_control));
        }
        Ok(Command::Mail(mail)) => {
            assert!(!mail.reverse_path.as_str().chars().any(char::is_control));
            assert!(mail.envid.is_none_or(|envid| !envid.chars().any(char::is_control)));
        }
        Ok(_) => {}
        Err(error) => assert!(error.reply().code() >= 500),
    }
});
