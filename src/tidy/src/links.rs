//! Relative links in `README.md` and under `docs/` must lead to a file of the checkout.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::Problem;

/// Lists `README.md` and every Markdown file under `docs`, as far as they exist.
///
/// # Errors
/// Fails when a folder cannot be read.
pub(crate) fn documents(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let readme = root.join("README.md");
    if readme.is_file() {
        found.push(readme);
    }
    let docs = root.join("docs");
    if docs.is_dir() {
        crate::files::collect(&docs, "md", &mut found)?;
    }
    Ok(found)
}

/// Returns a problem for each link of `document` whose file is missing.
///
/// # Errors
/// Fails when the document cannot be read.
pub(crate) fn check(root: &Path, document: &Path) -> anyhow::Result<Vec<Problem>> {
    let text = fs::read_to_string(document)
        .with_context(|| format!("reading {} failed", document.display()))?;
    let place = document
        .strip_prefix(root)
        .unwrap_or(document)
        .display()
        .to_string();
    let folder = document.parent().unwrap_or(root);
    let broken = targets(&text)
        .into_iter()
        .filter(|link| !folder.join(link.target).exists())
        .map(|link| {
            let place = format!("{place}:{}", link.line);
            Problem::new(
                place,
                format!("links to {}, which does not exist", link.target),
            )
        })
        .collect();
    Ok(broken)
}

#[derive(Debug, PartialEq, Eq)]
struct Link<'a> {
    /// Counted from 1.
    line: usize,
    /// The path without its `#anchor`.
    target: &'a str,
}

/// Finds the targets of `[text](target)` that name a file, leaving out code blocks.
fn targets(text: &str) -> Vec<Link<'_>> {
    let mut found = Vec::new();
    let mut in_code_block = false;
    for (index, content) in text.lines().enumerate() {
        if content.trim_start().starts_with("```") {
            in_code_block = !in_code_block;
        }
        if in_code_block {
            continue;
        }
        for after_text in content.split("](").skip(1) {
            let Some((inside, _)) = after_text.split_once(')') else {
                continue;
            };
            let path = inside.split(['#', ' ']).next().unwrap_or_default();
            if !path.is_empty() && !is_outside(inside) {
                found.push(Link {
                    line: index + 1,
                    target: path,
                });
            }
        }
    }
    found
}

fn is_outside(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_links_outside_code_blocks_count() {
        let cases: &[(&str, &[(usize, &str)])] = &[
            (
                "see [a](docs/a.md) and [b](b.md#part)",
                &[(1, "docs/a.md"), (1, "b.md")],
            ),
            ("![picture](p.svg \"title\")", &[(1, "p.svg")]),
            (
                "[w](https://example.org/x) [m](mailto:a@example.org) [s](#here)",
                &[],
            ),
            ("```\n[a](a.md)\n```\n[b](b.md)", &[(4, "b.md")]),
            ("[open](never closed", &[]),
        ];
        for (text, want) in cases {
            let got: Vec<_> = targets(text)
                .iter()
                .map(|link| (link.line, link.target))
                .collect();
            assert_eq!(got, *want, "{text}");
        }
    }

    #[test]
    fn a_missing_target_is_named_with_its_line() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        let docs = root.path().join("docs");
        fs::create_dir(&docs)?;
        fs::write(docs.join("here.md"), "fine")?;
        fs::write(
            root.path().join("README.md"),
            "[y](docs/here.md#top)\n[n](docs/gone.md)\n",
        )?;

        let listed = documents(root.path())?;
        assert_eq!(listed.len(), 2);
        let problems = check(root.path(), &root.path().join("README.md"))?;
        assert_eq!(
            problems,
            [Problem::new(
                "README.md:2",
                "links to docs/gone.md, which does not exist"
            )]
        );
        Ok(())
    }
}
