//! Rules for single Rust files: header, name, length, function length, attributes.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::{Problem, scanner};

/// Most lines of a file, leaving out its inline test modules.
const MAX_PRODUCTION_LINES: usize = 500;
/// Most lines of a file that holds nothing but tests.
const MAX_TEST_FILE_LINES: usize = 1000;
/// Most lines of an inline test module before it moves to `foo/tests.rs`.
const MAX_INLINE_TEST_LINES: usize = 300;
/// Most lines of a function outside tests, from `fn` to its closing brace.
const MAX_FUNCTION_LINES: usize = 80;

/// Attributes that we do not use, and what takes their place.
const BANNED_ATTRIBUTES: [(&str, &str); 4] = [
    ("#[allow(", "use #[expect(lint, reason = \"…\")]"),
    ("#![allow(", "use #![expect(lint, reason = \"…\")]"),
    ("#[ignore", "a test runs or does not exist"),
    ("#[should_panic", "assert on the returned error"),
];

/// A function outside tests, for the report of the longest ones.
#[derive(Debug)]
pub(crate) struct FunctionLength {
    pub(crate) name: String,
    pub(crate) lines: usize,
    /// `path:line`.
    pub(crate) place: String,
}

/// What the rules need to know of one Rust file.
#[derive(Debug)]
pub(crate) struct RustFile {
    path: String,
    has_header: bool,
    lines: usize,
    test_modules: Vec<RangeInclusive<usize>>,
    functions: Vec<scanner::Function>,
    /// Problems of single lines, found while scanning.
    line_problems: Vec<Problem>,
}

/// Reads every `.rs` file below the folders, build output left out.
///
/// # Errors
/// Fails when a folder or file cannot be read.
pub(crate) fn read(root: &Path, folders: &[PathBuf]) -> anyhow::Result<Vec<RustFile>> {
    let mut paths = Vec::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        collect(folder, "rs", &mut paths)?;
    }
    paths.iter().map(|path| read_file(root, path)).collect()
}

/// Adds the files below `folder` with this extension, in a stable order.
///
/// # Errors
/// Fails when a folder cannot be read.
pub(crate) fn collect(
    folder: &Path,
    extension: &str,
    found: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("listing {} failed", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(&path, extension, found)?;
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(())
}

fn read_file(root: &Path, path: &Path) -> anyhow::Result<RustFile> {
    let source =
        fs::read_to_string(path).with_context(|| format!("reading {} failed", path.display()))?;
    let relative = path
        .strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string();
    Ok(RustFile::scan(relative, &source))
}

impl RustFile {
    fn scan(path: String, source: &str) -> Self {
        let masked = scanner::mask(source);
        let line_problems = banned_attributes(&path, &masked);
        Self {
            has_header: source.starts_with("//!"),
            lines: source.lines().count(),
            test_modules: scanner::test_modules(&masked),
            functions: scanner::functions(&masked),
            line_problems,
            path,
        }
    }

    /// The path relative to the checkout.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Says whether the whole file is tests, as its name or a folder tells.
    pub(crate) fn is_test(&self) -> bool {
        let path = Path::new(&self.path);
        path.file_name().is_some_and(|name| name == "tests.rs")
            || path.components().any(|part| part.as_os_str() == "tests")
    }

    /// The lines of the file without its inline test modules.
    pub(crate) fn production_lines(&self) -> usize {
        let in_tests: usize = self
            .test_modules
            .iter()
            .map(|lines| lines.clone().count())
            .sum();
        self.lines.saturating_sub(in_tests)
    }

    /// The functions outside tests.
    pub(crate) fn production_functions(&self) -> Vec<FunctionLength> {
        if self.is_test() {
            return Vec::new();
        }
        let in_tests = |line| self.test_modules.iter().any(|lines| lines.contains(&line));
        self.functions
            .iter()
            .filter(|function| !in_tests(*function.lines.start()))
            .map(|function| FunctionLength {
                name: function.name.clone(),
                lines: function.lines.clone().count(),
                place: format!("{}:{}", self.path, function.lines.start()),
            })
            .collect()
    }

    /// Every rule that this file breaks.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.line_problems.clone();
        if !self.has_header {
            problems.push(self.problem("does not start with a //! line that says what it is"));
        }
        if Path::new(&self.path)
            .file_name()
            .is_some_and(|name| name == "mod.rs")
        {
            problems.push(self.problem("is named mod.rs, use foo.rs beside foo/"));
        }
        problems.extend(self.length_problems());
        for function in self.production_functions() {
            if function.lines > MAX_FUNCTION_LINES {
                let FunctionLength { name, lines, place } = function;
                let message = format!("{name} has {lines} lines, at most {MAX_FUNCTION_LINES}");
                problems.push(Problem::new(place, message));
            }
        }
        problems
    }

    fn length_problems(&self) -> Vec<Problem> {
        if self.is_test() {
            return self
                .too_long(self.lines, MAX_TEST_FILE_LINES, "lines of tests")
                .into_iter()
                .collect();
        }
        let longest_tests = self
            .test_modules
            .iter()
            .map(|lines| lines.clone().count())
            .max();
        [
            self.too_long(
                self.production_lines(),
                MAX_PRODUCTION_LINES,
                "lines that are not tests",
            ),
            self.too_long(
                longest_tests.unwrap_or_default(),
                MAX_INLINE_TEST_LINES,
                "lines of inline tests, which may move to a tests.rs",
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn too_long(&self, lines: usize, most: usize, what: &str) -> Option<Problem> {
        (lines > most).then(|| self.problem(&format!("has {lines} {what}, at most {most}")))
    }

    fn problem(&self, message: &str) -> Problem {
        Problem::new(self.path.clone(), message)
    }
}

fn banned_attributes(path: &str, masked: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (attribute, instead) in BANNED_ATTRIBUTES {
        for (position, _) in masked.match_indices(attribute) {
            let place = format!("{path}:{}", scanner::line_of(masked, position));
            let shown = attribute.trim_end_matches('(');
            problems.push(Problem::new(place, format!("has {shown}…], {instead}")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_problems(path: &str, source: &str, want: &[&str]) {
        let file = RustFile::scan(path.to_owned(), source);
        let got: Vec<String> = file.problems().iter().map(ToString::to_string).collect();
        assert_eq!(got, want);
    }

    fn lines(count: usize) -> String {
        "use a;\n".repeat(count)
    }

    #[test]
    fn a_file_starts_with_a_header() {
        assert_problems("src/a.rs", "//! What it is.\n", &[]);
        for source in ["", "// Plain comment.\n", "use a;\n//! Late.\n"] {
            let want = "src/a.rs: does not start with a //! line that says what it is";
            assert_problems("src/a.rs", source, &[want]);
        }
    }

    #[test]
    fn mod_rs_is_not_a_name() {
        let want = "src/a/mod.rs: is named mod.rs, use foo.rs beside foo/";
        assert_problems("src/a/mod.rs", "//! A.\n", &[want]);
    }

    #[test]
    fn inline_tests_do_not_count_as_length_but_have_their_own() {
        let tests = |count| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(count));
        assert_problems(
            "src/a.rs",
            &format!("//! A.\n{}{}", lines(499), tests(297)),
            &[],
        );
        assert_problems(
            "src/a.rs",
            &format!("//! A.\n{}{}", lines(500), tests(298)),
            &[
                "src/a.rs: has 501 lines that are not tests, at most 500",
                "src/a.rs: has 301 lines of inline tests, which may move to a tests.rs, at most 300",
            ],
        );
    }

    #[test]
    fn test_files_may_be_longer() {
        let source = format!("//! A.\n{}", lines(999));
        for path in ["src/a/src/b/tests.rs", "compat-tests/tests/kill.rs"] {
            assert_problems(path, &source, &[]);
        }
        let source = format!("//! A.\n{}", lines(1000));
        let want = "src/a/tests.rs: has 1001 lines of tests, at most 1000";
        assert_problems("src/a/tests.rs", &source, &[want]);
    }

    #[test]
    fn long_functions_are_named_unless_they_are_tests() {
        let function = |count| format!("fn long() {{\n{}}}\n", lines(count));
        assert_problems("src/a.rs", &format!("//! A.\n{}", function(78)), &[]);
        assert_problems(
            "src/a.rs",
            &format!("//! A.\n{}", function(79)),
            &["src/a.rs:2: long has 81 lines, at most 80"],
        );
        let inline = format!("//! A.\n#[cfg(test)]\nmod tests {{\n{}}}\n", function(79));
        assert_problems("src/a.rs", &inline, &[]);
    }

    #[test]
    fn banned_attributes_are_found_outside_comments() {
        assert_problems(
            "src/a.rs",
            "//! A.\n// #[allow(x)]\n#[allow(x)]\n#[ignore]\nfn a() {}\n",
            &[
                "src/a.rs:3: has #[allow…], use #[expect(lint, reason = \"…\")]",
                "src/a.rs:4: has #[ignore…], a test runs or does not exist",
            ],
        );
    }

    #[test]
    fn files_are_listed_in_order_without_build_output() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        for folder in ["b", "a/target"] {
            fs::create_dir_all(root.path().join(folder))?;
        }
        for file in ["b/two.rs", "a/one.rs", "a/target/built.rs", "b/notes.md"] {
            fs::write(root.path().join(file), "//! A.\n")?;
        }
        let files = read(
            root.path(),
            &[root.path().to_owned(), root.path().join("gone")],
        )?;
        let paths: Vec<&str> = files.iter().map(RustFile::path).collect();
        assert_eq!(paths, ["a/one.rs", "b/two.rs"]);
        Ok(())
    }
}
