//! House rules that no compiler lint knows, checked over the whole checkout.
//!
//! [floors] reads the crate graph, [files] every Rust file, [links] the documentation. Each rule
//! yields [Problem]s; nothing here changes a file. This crate depends on none of the others, so
//! that it compiles in seconds.

mod files;
mod floors;
mod links;
mod scanner;

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use cargo_metadata::MetadataCommand;

/// How many of the longest files and functions the report names.
const LONGEST: usize = 5;

/// One broken rule and where it is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// A path relative to the checkout, with `:line` where a line is known, or `crate NAME`.
    pub place: String,
    /// What is wrong and what to do about it, in lower case without a full stop.
    pub message: String,
}

impl Problem {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

/// Checks the workspace around the current folder and writes a report to `out`.
///
/// The exit code is 1 when a rule is broken.
///
/// # Errors
/// Fails when `cargo metadata` fails, a file cannot be read or `out` cannot be written.
pub fn run(out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cargo metadata failed")?;
    let root = metadata.workspace_root.as_std_path();

    let mut problems = floors::check(&floors::crates(&metadata));
    let rust_files = files::read(root, &rust_folders(root))?;
    problems.extend(rust_files.iter().flat_map(|file| file.problems()));
    let documents = links::documents(root)?;
    for document in &documents {
        problems.extend(links::check(root, document)?);
    }
    problems.sort();

    report_longest(out, &rust_files)?;
    for problem in &problems {
        writeln!(out, "tidy: {problem}")?;
    }
    writeln!(
        out,
        "tidy: {} crates, {} Rust files, {} documents, {} problems",
        metadata.workspace_packages().len(),
        rust_files.len(),
        documents.len(),
        problems.len()
    )?;
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The folders of the checkout that hold Rust code of ours.
fn rust_folders(root: &Path) -> [PathBuf; 2] {
    [root.join("src"), root.join("compat-tests")]
}

fn report_longest(out: &mut dyn Write, rust_files: &[files::RustFile]) -> std::io::Result<()> {
    let mut by_length: Vec<_> = rust_files.iter().filter(|file| !file.is_test()).collect();
    by_length.sort_by_key(|file| std::cmp::Reverse(file.production_lines()));
    writeln!(out, "longest files, without their tests:")?;
    for file in by_length.iter().take(LONGEST) {
        writeln!(out, "  {:4}  {}", file.production_lines(), file.path())?;
    }

    let mut functions: Vec<_> = rust_files
        .iter()
        .flat_map(files::RustFile::production_functions)
        .collect();
    functions.sort_by_key(|function| std::cmp::Reverse(function.lines));
    writeln!(out, "longest functions, tests aside:")?;
    for function in functions.iter().take(LONGEST) {
        writeln!(
            out,
            "  {:4}  {} ({})",
            function.lines, function.name, function.place
        )?;
    }
    Ok(())
}
