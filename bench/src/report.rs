//! The table and the file.

use anyhow::Result;
use serde::Serialize;
use std::{fs, path::Path};

use crate::cases::Case;

/// What one system reached in one case.
#[derive(Debug, Serialize)]
pub struct Point {
    pub system: &'static str,
    pub case: &'static str,
    pub unit: &'static str,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    /// How many runs that is.
    pub runs: usize,
}

impl Point {
    /// The point of these values; none if there are none.
    pub fn of(system: &'static str, case: Case, mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self {
            system,
            case: case.name,
            unit: case.unit,
            median,
            min,
            max,
            runs: values.len(),
        })
    }
}

/// One row for each case, one column for each system: median (minimum–maximum).
pub fn table(points: &[Point], systems: &[&'static str]) -> String {
    let mut rows = vec![
        ["case", "unit"]
            .iter()
            .chain(systems)
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
    ];
    let mut cases: Vec<(&str, &str)> = Vec::new();
    for point in points {
        if !cases.contains(&(point.case, point.unit)) {
            cases.push((point.case, point.unit));
        }
    }
    for (case, unit) in cases {
        let mut row = vec![case.to_owned(), unit.to_owned()];
        row.extend(systems.iter().map(|system| {
            points
                .iter()
                .find(|point| point.case == case && point.system == *system)
                .map_or_else(|| "–".to_owned(), cell)
        }));
        rows.push(row);
    }
    aligned(&rows)
}

fn cell(point: &Point) -> String {
    let (median, min, max) = (short(point.median), short(point.min), short(point.max));
    if point.runs == 1 {
        median
    } else {
        format!("{median} ({min}–{max})")
    }
}

/// Three digits are more than two runs have in common.
fn short(value: f64) -> String {
    if value.abs() >= 10_000.0 {
        format!("{:.1}k", value / 1000.0)
    } else if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

fn aligned(rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut table = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            let gap = " ".repeat(width - cell.chars().count());
            format!("{cell}{gap}")
        });
        table += cells.collect::<Vec<_>>().join("  ").trim_end();
        table.push('\n');
    }
    table
}

/// Writes `{"points": […]}`.
pub fn write(points: &[Point], path: &Path) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let json = serde_json::json!({ "points": points });
    fs::write(path, serde_json::to_string_pretty(&json)? + "\n")?;
    Ok(())
}
