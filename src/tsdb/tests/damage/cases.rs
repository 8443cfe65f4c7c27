//! Cases: what is damaged, and what has to become of it.

use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::truth::{Read, Truth, append_later, check_later};
use crate::{folder, log_lines};

const CASES: u64 = 20;

/// What is done to a folder.
#[derive(Debug)]
enum Damage {
    Flip {
        file: PathBuf,
        offset: u64,
        mask: u8,
    },
    Cut {
        file: PathBuf,
        offset: u64,
    },
}

/// What became of a damaged folder.
#[derive(Debug, Default)]
struct Outcome {
    refused: u32,
    complete: u32,
    with_errors: u32,
    with_losses: u32,
}

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |given| given.parse().unwrap())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.ends_with("LOCK"))
        .filter(|path| {
            !path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("LOG")
        })
        .filter(|path| path.metadata().unwrap().len() > 0)
        .collect();
    files.sort();
    files
}

fn choose(folder: &Path, random: &mut StdRng) -> Damage {
    let files = files(folder);
    let file = files[random.random_range(0..files.len())].clone();
    let offset = random.random_range(0..file.metadata().unwrap().len());
    if random.random_range(0..3) == 0 {
        Damage::Cut { file, offset }
    } else {
        let mask = random.random_range(1..=255);
        Damage::Flip { file, offset, mask }
    }
}

impl Damage {
    fn file_name(&self) -> String {
        let (Self::Flip { file, .. } | Self::Cut { file, .. }) = self;
        file.file_name().unwrap().to_string_lossy().into_owned()
    }

    fn apply(&self) {
        match self {
            Self::Flip { file, offset, mask } => {
                let mut bytes = std::fs::read(file).unwrap();
                bytes[usize::try_from(*offset).unwrap()] ^= mask;
                std::fs::write(file, bytes).unwrap();
            }
            Self::Cut { file, offset } => {
                let file = std::fs::File::options().write(true).open(file).unwrap();
                file.set_len(*offset).unwrap();
            }
        }
    }
}

#[test]
fn damage_is_reported_and_never_served() {
    let (cases, seed) = (number("DAMAGE_CASES", CASES), number("DAMAGE_SEED", 7));
    let whole = tempfile::tempdir().unwrap();
    let truth = folder::write(whole.path());
    undamaged(&truth, whole.path());
    let mut outcome = Outcome::default();
    let first = number("DAMAGE_FIRST", 0);
    for case in first..first + cases {
        let mut random = StdRng::seed_from_u64(seed * 1_000_003 + case);
        let folder = tempfile::tempdir().unwrap();
        folder::copy(whole.path(), folder.path());
        let damage = choose(folder.path(), &mut random);
        damage.apply();
        let what = format!("seed {seed}, case {case}, {damage:?}");
        run(
            &truth,
            (folder.path(), &damage.file_name()),
            &what,
            &mut outcome,
        );
    }
    println!("{cases} cases: {outcome:?}");
    assert_eq!(outcome.refused, 0, "folders that do not open at all");
}

fn run(truth: &Truth, (folder, damaged): (&Path, &str), what: &str, outcome: &mut Outcome) {
    log_lines::take();
    let tsdb = match folder::open(folder) {
        Ok(tsdb) => tsdb,
        Err(error) => {
            println!("{what}: {}", base::report(&error));
            outcome.refused += 1;
            return;
        }
    };
    let Read {
        missing,
        undeleted,
        errors,
    } = truth.read(&tsdb, what);
    let lines = log_lines::take();
    assert!(
        missing + undeleted == 0 || !lines.is_empty(),
        "{what}: {missing} samples are missing, {undeleted} are back, and no line says so"
    );
    if std::env::var_os("DAMAGE_SHOW").is_some() {
        println!("{what}: {missing} missing, {undeleted} back, {errors:?}; {lines:?}");
    }
    match (missing + undeleted, errors.as_slice()) {
        (0, []) => outcome.complete += 1,
        (_, []) => outcome.with_losses += 1,
        (_, errors) => {
            outcome.with_errors += 1;
            let names_file = |error: &String| error.contains(".sst") || error.contains("corrupt");
            assert!(errors.iter().all(names_file), "{what}: {errors:?}");
        }
    }
    // It goes on: new samples are taken, and are there after a kill and a clean stop.
    append_later(&tsdb, what);
    drop(tsdb);
    for _ in 0..2 {
        let tsdb =
            folder::open(folder).unwrap_or_else(|error| panic!("{what}: {}", base::report(&error)));
        let again = truth.read(&tsdb, what);
        assert!(
            again.missing <= missing || !errors.is_empty(),
            "{what}: {again:?}"
        );
        check_later(&tsdb, damaged, what);
        tsdb.close()
            .unwrap_or_else(|error| panic!("{what}: {}", base::report(&error)));
    }
}

/// What the cases begin with is whole, and says nothing.
fn undamaged(truth: &Truth, folder: &Path) {
    let copy = tempfile::tempdir().unwrap();
    folder::copy(folder, copy.path());
    log_lines::take();
    let tsdb = folder::open(copy.path()).unwrap();
    let read = truth.read(&tsdb, "undamaged");
    assert_eq!((read.missing, read.undeleted), (0, 0), "{read:?}");
    assert!(read.errors.is_empty(), "{read:?}");
    assert_eq!(log_lines::take(), Vec::<String>::new());
}
