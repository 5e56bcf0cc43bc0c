// SPDX-License-Identifier: GPL-2.0

//! What many measurements say as one.

use serde::Serialize;

/// The middle of some figures, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// `None` of no figures.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        let median = median(&mut figures)?;

        Some(Spread {
            median,
            low: *figures.first()?,
            high: *figures.last()?,
        })
    }
}

/// The middle one of `figures`, which get sorted; of an even number, the mean of the two in the
/// middle.
pub(crate) fn median(figures: &mut [f64]) -> Option<f64> {
    figures.sort_unstable_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = *figures.get(middle)?;

    if figures.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(upper, figures[middle - 1]))
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&mut [7.0]), Some(7.0));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn spread() {
        let spread = Spread::of([5.0, 1.0, 9.0]).unwrap();
        assert_eq!((spread.low, spread.median, spread.high), (1.0, 5.0, 9.0));
        assert_eq!(Spread::of([]), None);
    }
}
