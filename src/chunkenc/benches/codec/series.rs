//! Series of the kinds that monitored machines produce, from a fixed seed.

/// Series generated of each kind.
pub(crate) const SERIES_PER_KIND: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Constant,
    SlowCounter,
    Poisson,
    FastCounter,
    BytesCounter,
    CpuSeconds,
    PageGauge,
    DecimalGauge,
    TrueDoubles,
    SinglePrecision,
    RareChanges,
    StaleCounter,
}

impl Kind {
    pub(crate) const ALL: [Self; 12] = [
        Self::Constant,
        Self::SlowCounter,
        Self::Poisson,
        Self::FastCounter,
        Self::BytesCounter,
        Self::CpuSeconds,
        Self::PageGauge,
        Self::DecimalGauge,
        Self::TrueDoubles,
        Self::SinglePrecision,
        Self::RareChanges,
        Self::StaleCounter,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::SlowCounter => "slow counter 0.05/step",
            Self::Poisson => "counter, Poisson 5/step",
            Self::FastCounter => "counter 5000±20 %",
            Self::BytesCounter => "bytes counter (lognormal)",
            Self::CpuSeconds => "cpu seconds, 2 decimals",
            Self::PageGauge => "gauge, 4 KiB multiples",
            Self::DecimalGauge => "gauge, 2 decimals",
            Self::TrueDoubles => "gauge, full precision",
            Self::SinglePrecision => "gauge, single precision",
            Self::RareChanges => "changes at 1 % of steps",
            Self::StaleCounter => "counter, Poisson 5, 1 stale marker",
        }
    }
}

/// Timestamps every 15 s, off by a normal deviation in milliseconds.
pub(crate) fn timestamps(count: usize, deviation_ms: f64) -> Vec<i64> {
    let mut random = Random(0x5eed);
    (0..count as i64)
        .map(|i| 1_700_000_000_123 + i * 15_000 + (random.normal() * deviation_ms).round() as i64)
        .collect()
}

pub(crate) fn series(kind: Kind, count: usize) -> Vec<Vec<f64>> {
    (0..SERIES_PER_KIND as u64)
        .map(|seed| one_series(kind, seed, count))
        .collect()
}

fn one_series(kind: Kind, seed: u64, count: usize) -> Vec<f64> {
    let mut random = Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ kind as u64);
    let mut level = match kind {
        Kind::DecimalGauge => 5000.0,
        Kind::TrueDoubles | Kind::SinglePrecision => 50.0,
        _ => (random.uniform() * 1e6).floor(),
    };
    let mut values: Vec<f64> = (0..count)
        .map(|_| next(kind, &mut random, &mut level))
        .collect();
    if kind == Kind::StaleCounter {
        values[count / 3] = f64::from_bits(0x7ff0_0000_0000_0002);
    }
    values
}

fn next(kind: Kind, random: &mut Random, level: &mut f64) -> f64 {
    match kind {
        Kind::Constant => {}
        Kind::SlowCounter => *level += random.poisson(0.05),
        Kind::Poisson | Kind::StaleCounter => *level += random.poisson(5.0),
        Kind::FastCounter => *level += (5000.0 * (0.8 + 0.4 * random.uniform())).round(),
        Kind::BytesCounter => *level += (11.0 + random.normal()).exp().round(),
        Kind::CpuSeconds => {
            *level += (75.0 + 25.0 * random.normal()).max(0.0).round();
            return *level / 100.0;
        }
        Kind::PageGauge => {
            *level += (random.normal() * 500.0).round();
            return *level * 4096.0;
        }
        Kind::DecimalGauge => {
            *level = 5000.0 + (*level - 5000.0) * 0.95 + (random.normal() * 60.0).round();
            *level = level.round();
            return *level / 100.0;
        }
        Kind::TrueDoubles | Kind::SinglePrecision => {
            *level = 50.0 + (*level - 50.0) * 0.95 + random.normal();
            if kind == Kind::SinglePrecision {
                return f64::from(*level as f32);
            }
        }
        Kind::RareChanges => {
            if random.uniform() < 0.01 {
                *level = (random.uniform() * 100.0).floor();
            }
        }
    }
    *level
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn poisson(&mut self, mean: f64) -> f64 {
        let limit = (-mean).exp();
        let (mut count, mut product) = (0.0, self.uniform());
        while product > limit {
            count += 1.0;
            product *= self.uniform();
        }
        count
    }
}
