//! The `outguard` program.

/// A message is taken by one thread and freed by another, hundreds of small pieces of it: this allocator was made for that
/// (docs/decisions/012-allocator.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    outguard::cli::main()
}
