//! The `outguard` program.

fn main() -> std::process::ExitCode {
    outguard::cli::main()
}
