//! Entry point of the `firewatch` binary.

fn main() -> std::process::ExitCode {
    server::main(std::env::args_os())
}
