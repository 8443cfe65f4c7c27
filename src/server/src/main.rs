//! Entry point of the `firewatch` binary.

/// Memory of large answers goes back to the operating system within seconds; the settings are in
/// `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    server::main(std::env::args_os())
}
