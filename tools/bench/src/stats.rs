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

/// The slope of the line that has the least squares of distances to `points`. `None` of fewer than
/// two places.
#[allow(clippy::cast_precision_loss)] // a few points
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let len = points.len() as f64;
    let mean = |f: fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / len;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let products = points.iter().map(|point| (point.0 - x) * (point.1 - y));
    let squares = points.iter().map(|point| (point.0 - x).powi(2));
    let (products, squares): (f64, f64) = (products.sum(), squares.sum());

    (squares > 0.0).then(|| products / squares)
}

/// How much steeper the last stretch between two points is than the one before.
pub(crate) fn bend(points: &[(f64, f64)]) -> Option<f64> {
    let [.., a, b, c] = points else {
        return None;
    };
    let steep = |from: &(f64, f64), to: &(f64, f64)| (to.1 - from.1) / (to.0 - from.0);
    let before = steep(a, b);

    (before > 0.0).then(|| steep(b, c) / before)
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    #[test]
    fn slopes() {
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), Some(2.0));
        assert_eq!(slope(&[(0.0, 0.0), (1.0, 3.0), (2.0, 0.0)]), Some(0.0));
        assert_eq!(slope(&[(1.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(slope(&[]), None);
    }

    #[test]
    fn bends() {
        let points = [(0.0, 9.0), (1.0, 0.0), (2.0, 1.0), (4.0, 5.0)];
        assert_eq!(bend(&points), Some(2.0));
        assert_eq!(bend(&points[..2]), None);
        // Where it goes down, what is steeper cannot be told.
        assert_eq!(bend(&[(0.0, 1.0), (1.0, 0.0), (2.0, 1.0)]), None);
    }

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
