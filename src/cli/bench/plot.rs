//! A picture of what was measured: nanoseconds a packet against the number of rules.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, Circle, Color, Cross, DashedLineSeries, DrawingArea, IntoDrawingArea, IntoFont,
    IntoLogRange, LineSeries, PathElement, Polygon, RGBColor, SVGBackend, Text, TriangleMarker,
    WHITE,
};

use super::report::BenchRun;

/// Of the picture, in pixels.
const SIZE: (u32, u32) = (960, 540);

/// How much of it the legend takes, on the right, where it covers no line.
const LEGEND: u32 = 250;

/// Colours that differ for all eyes and in grey (Okabe and Ito, "Color Universal Design").
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];

/// The baseline.
const GREY: RGBColor = RGBColor(110, 110, 110);

/// A line of the picture: by number of rules, the lowest and the middle figure.
type Series = BTreeMap<usize, (f64, f64)>;

type SeriesByName = BTreeMap<String, Series>;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

type DrawResult = Result<(), Box<dyn Error>>;

/// As an SVG file. The stage is `classify`, or the last one where that was not measured.
pub(super) fn svg(runs: &[BenchRun]) -> Result<String, Box<dyn Error>> {
    let stages = runs.first().map_or(&[][..], |run| run.stages.as_slice());
    let classify = stages.iter().find(|one| one.stage == "classify");
    let stage = classify.or(stages.last()).map_or("", |one| one.stage);
    let lines = lines(runs, stage);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (left, right) = area.split_horizontally(SIZE.0 - LEGEND);
        draw_lines(&left, stage, &lines)?;
        draw_legend(&right, &lines)?;
        area.present()?;
    }
    Ok(text)
}

/// The lines by what tells them apart: the engine, and what differs between the runs beside it.
fn lines(runs: &[BenchRun], stage: &str) -> SeriesByName {
    let differs = |of: fn(&BenchRun) -> String| {
        let first = runs.first().map(of);
        runs.iter().any(|run| Some(of(run)) != first)
    };
    let has_names = differs(|run| run.name.clone());
    let has_workers = differs(|run| run.workers.to_string());
    let mut lines = SeriesByName::new();
    for run in runs {
        let Some(figures) = run.stages.iter().find(|one| one.stage == stage) else { continue };
        let mut label = run.asked.to_owned();
        if has_names {
            label += &format!(", {}", run.name);
        }
        if has_workers {
            label += &format!(", {} workers", run.workers);
        }
        let figures = figures.ns_per_packet;
        lines.entry(label).or_default().insert(run.rules, (figures.min, figures.median));
    }
    lines
}

/// A bit more than all values, so that no mark lies on the frame.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let ends = values.fold(None, |ends: Option<(f64, f64)>, value| {
        let (low, high) = ends.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    });
    let (low, high) = ends.unwrap_or((1.0, 10.0));
    low.max(0.01) / 1.5..high.max(0.01) * 1.5
}

fn real(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
struct SeriesStyle {
    colour: RGBColor,
    is_baseline: bool,
    mark: usize,
}

/// The looks of the lines in their order.
fn series_styles(lines: &SeriesByName) -> impl Iterator<Item = (SeriesStyle, &String, &Series)> {
    let mut colours = COLOURS.into_iter().cycle();
    lines.iter().enumerate().map(move |(mark, (label, line))| {
        let is_baseline = label.starts_with("linear");
        let colour = if is_baseline { None } else { colours.next() };
        (SeriesStyle { colour: colour.unwrap_or(GREY), is_baseline, mark: mark % 4 }, label, line)
    })
}

fn draw_lines(area: &Area<'_>, stage: &str, lines: &SeriesByName) -> DrawResult {
    let points = || lines.values().flatten();
    let rules = range(points().map(|(rules, _)| real(*rules)));
    let times = range(points().flat_map(|(_, (min, median))| [*min, *median]));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{stage}, by number of rules"), ("sans-serif", 19))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(66)
        .build_cartesian_2d(rules.log_scale(), times.log_scale())?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("rules").y_desc("nanoseconds a packet: lowest, and band to the median");
    mesh.axis_desc_style(("sans-serif", 14)).label_style(("sans-serif", 13));
    mesh.light_line_style(WHITE).x_label_formatter(&plain).y_label_formatter(&plain);
    mesh.draw()?;
    for (style, _, line) in series_styles(lines) {
        let low = line.iter().map(|(rules, (min, _))| (real(*rules), *min));
        let high = line.iter().rev().map(|(rules, (_, median))| (real(*rules), *median));
        let band: Vec<(f64, f64)> = low.clone().chain(high).collect();
        if line.len() > 1 {
            chart.draw_series([Polygon::new(band, style.colour.mix(0.15))])?;
        }
        let stroke = style.colour.stroke_width(2);
        if style.is_baseline {
            chart.draw_series(DashedLineSeries::new(low.clone(), 7, 5, stroke))?;
        } else {
            chart.draw_series(LineSeries::new(low.clone(), stroke))?;
        }
        let filled = style.colour.filled();
        match style.mark {
            0 => chart.draw_series(low.map(|at| Circle::new(at, 4, filled)))?,
            1 => chart.draw_series(low.map(|at| TriangleMarker::new(at, 6, filled)))?,
            2 => chart.draw_series(low.map(|at| Cross::new(at, 4, stroke)))?,
            _ => chart.draw_series(low.map(|at| Circle::new(at, 4, stroke)))?,
        };
    }
    Ok(())
}

fn draw_legend(area: &Area<'_>, lines: &SeriesByName) -> DrawResult {
    let font = ("sans-serif", 14).into_font();
    for (row, (style, label, _)) in (0..).zip(series_styles(lines)) {
        let y = 56 + 24 * row;
        let stroke = style.colour.stroke_width(2);
        if style.is_baseline {
            for start in [4, 16, 28] {
                area.draw(&PathElement::new([(start, y), (start + 8, y)], stroke))?;
            }
        } else {
            area.draw(&PathElement::new([(4, y), (36, y)], stroke))?;
        }
        match style.mark {
            0 => area.draw(&Circle::new((20, y), 4, style.colour.filled()))?,
            1 => area.draw(&TriangleMarker::new((20, y), 6, style.colour.filled()))?,
            2 => area.draw(&Cross::new((20, y), 4, stroke))?,
            _ => area.draw(&Circle::new((20, y), 4, stroke))?,
        }
        area.draw(&Text::new(label.clone(), (44, y - 7), font.clone()))?;
    }
    Ok(())
}

/// Without a decimal point where there is nothing behind it.
fn plain(value: &f64) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::report::{StageResult, TimingStatistics};
    use super::*;

    fn run(asked: &'static str, rules: usize, ns: u64) -> BenchRun {
        let figures =
            TimingStatistics::new(vec![Duration::from_nanos(ns), Duration::from_nanos(ns + 3)], 1);
        let stage =
            StageResult { stage: "classify", ns_per_packet: figures, counts: Default::default() };
        BenchRun { asked, rules, stages: vec![stage], ..BenchRun::default() }
    }

    #[test]
    fn each_engine_has_a_curve_and_a_label() {
        let sizes = [1, 10, 100, 1000];
        let linear = sizes.map(|rules| run("linear", rules, u64::try_from(rules).unwrap()));
        let forest = sizes.map(|rules| run("forest", rules, 9));
        let runs: Vec<BenchRun> = linear.into_iter().chain(forest).collect();
        let svg = svg(&runs).unwrap();
        assert!(svg.starts_with("<svg"), "{svg}");
        for text in ["linear", "forest", "rules", "classify", "1000", "nanoseconds"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert_eq!(svg.matches("<circle").count() + svg.matches("<polygon").count(), 12);
        assert_eq!(svg, super::svg(&runs).unwrap());
    }

    #[test]
    fn one_or_zero_sizes_still_make_a_picture() {
        assert!(svg(&[run("auto", 30, 5)]).unwrap().contains("auto"));
        assert!(svg(&[]).unwrap().starts_with("<svg"));
    }
}
