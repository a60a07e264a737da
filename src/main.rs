//! The `outguard` program.

fn main() {}
