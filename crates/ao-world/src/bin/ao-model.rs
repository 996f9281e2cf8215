//! The stand-in model server as a program: see `ao_world::model`.

use std::io::Write as _;
use std::process::ExitCode;

use ao_world::model::{Args, run};

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody reads this where standard error is gone, and the exit code stays.
            drop(writeln!(std::io::stderr(), "ao-model: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse(std::env::args_os().skip(1))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(run(args))?)
}
