//! Sizes as configuration writes them: `512MB`, powers of two.

use model::quote::quoted;

/// Parses a number with a unit: B, KB, MB, … EB, also written KiB, …; all are powers of 1024. A bare
/// `0` is allowed. Source: upstream's `units.Base2Bytes`.
///
/// # Errors
/// The text is no size, or one that is not below 2^63; says which.
pub fn parse_size(text: &str) -> Result<u64, String> {
    if text == "0" {
        return Ok(0);
    }
    let digits = text
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
        .count();
    let (number, unit) = text.split_at(digits);
    let invalid = || format!("units: invalid {}", quoted(text));
    let number: f64 = number.parse().map_err(|_| invalid())?;
    if unit.is_empty() {
        return Err(format!("units: missing unit in {}", quoted(text)));
    }
    let power = match unit {
        "B" => 0,
        "KB" | "KiB" => 1,
        "MB" | "MiB" => 2,
        "GB" | "GiB" => 3,
        "TB" | "TiB" => 4,
        "PB" | "PiB" => 5,
        "EB" | "EiB" => 6,
        _ => return Err(format!("units: unknown unit {unit} in {}", quoted(text))),
    };
    let bytes = number * 1024_f64.powi(power);
    // 2^63 is a double; upstream counts in an int64.
    if bytes >= 9_223_372_036_854_775_808.0 {
        return Err(invalid());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and the range was checked above"
    )]
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two() {
        for (text, want) in [
            ("0", Ok(0)),
            ("0B", Ok(0)),
            ("10B", Ok(10)),
            ("2KB", Ok(2048)),
            ("1.5KiB", Ok(1536)),
            ("15MB", Ok(15 << 20)),
            ("1EB", Ok(1 << 60)),
            ("100", Err("units: missing unit in \"100\"")),
            ("1Mb", Err("units: unknown unit Mb in \"1Mb\"")),
            ("-1B", Err("units: invalid \"-1B\"")),
            ("", Err("units: invalid \"\"")),
            ("9EB", Err("units: invalid \"9EB\"")),
        ] {
            assert_eq!(parse_size(text), want.map_err(str::to_owned), "{text}");
        }
    }
}
