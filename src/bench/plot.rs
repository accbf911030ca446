//! A picture of a report: nanoseconds per packet against the number of rules, as SVG.
//!
//! Both axes are logarithmic, because numbers of rules and times differ by orders of magnitude.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, Circle, Color, Cross, DashedLineSeries, DrawingArea, IntoDrawingArea, IntoFont,
    IntoLogRange, LineSeries, PathElement, Polygon, RGBColor, SVGBackend, Text, TriangleMarker,
    WHITE,
};

use super::error::BenchError;
use super::report::{BenchReport, BenchRun};

/// Width and height of the picture, in pixels.
const SIZE: (u32, u32) = (960, 540);

/// The start of a label in the legend, and the estimated width of a letter, in pixels.
const LABEL_START: i32 = 44;
const LETTER_WIDTH: u32 = 8;

/// The widest legend, in pixels; longer labels are cut off.
const MAX_LEGEND_WIDTH: u32 = 360;

/// Colours that colour-blind readers can distinguish (Okabe and Ito, "Color Universal Design").
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];

/// The colour of the linear engine, the baseline.
const GREY: RGBColor = RGBColor(110, 110, 110);

/// A curve: by number of rules, the fastest and the median round in nanoseconds per packet.
type Series = BTreeMap<usize, (f64, f64)>;

type SeriesByName = BTreeMap<String, Series>;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

type DrawResult = Result<(), Box<dyn Error>>;

impl BenchReport {
    /// Nanoseconds per packet against the number of rules, as SVG.
    ///
    /// # Errors
    /// [`BenchError::Failed`] if the picture cannot be drawn.
    pub fn to_svg(&self) -> Result<String, BenchError> {
        draw(&self.runs).map_err(BenchError::failed)
    }
}

/// Draws the stage `classify`, or the last stage if that was not measured.
fn draw(runs: &[BenchRun]) -> Result<String, Box<dyn Error>> {
    let stages = runs.first().map_or(&[][..], |run| run.stages.as_slice());
    let classify = stages.iter().find(|one| one.stage == "classify");
    let stage = classify.or(stages.last()).map_or("", |one| one.stage);
    let lines = series_by_name(runs, stage);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (left, right) = area.split_horizontally(SIZE.0 - legend_width(&lines));
        draw_lines(&left, stage, &lines)?;
        draw_legend(&right, &lines)?;
        area.present()?;
    }
    Ok(text)
}

/// The curves by their labels: the engine, and the name and workers if they differ between runs.
fn series_by_name(runs: &[BenchRun], stage: &str) -> SeriesByName {
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

/// The legend is as wide as its longest label, so that the chart uses the rest of the picture.
fn legend_width(lines: &SeriesByName) -> u32 {
    let letters = lines.keys().map(|label| label.chars().count()).max().unwrap_or(0);
    let letters = u32::try_from(letters).unwrap_or(u32::MAX);
    let label_width = letters.saturating_mul(LETTER_WIDTH);
    label_width.saturating_add(LABEL_START.unsigned_abs()).min(MAX_LEGEND_WIDTH)
}

/// A range wider than all values, so that no marker touches the frame.
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

/// The style of a curve.
#[derive(Debug, Clone, Copy)]
struct SeriesStyle {
    colour: RGBColor,
    is_baseline: bool,
    marker: usize,
}

/// The curves in their order, with their styles.
fn series_styles(lines: &SeriesByName) -> impl Iterator<Item = (SeriesStyle, &String, &Series)> {
    let mut colours = COLOURS.into_iter().cycle();
    lines.iter().enumerate().map(move |(index, (label, line))| {
        let is_baseline = label.starts_with("linear");
        let colour = if is_baseline { None } else { colours.next() };
        (
            SeriesStyle { colour: colour.unwrap_or(GREY), is_baseline, marker: index % 4 },
            label,
            line,
        )
    })
}

fn draw_lines(area: &Area<'_>, stage: &str, lines: &SeriesByName) -> DrawResult {
    let points = || lines.values().flatten();
    let rules = range(points().map(|(rules, _)| real(*rules)));
    let times = range(points().flat_map(|(_, (min, median))| [*min, *median]));
    let mut chart = ChartBuilder::on(area)
        .caption(
            format!("{stage}: line = fastest round, band = from the fastest to the median round"),
            ("sans-serif", 17),
        )
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(66)
        .build_cartesian_2d(rules.log_scale(), times.log_scale())?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("number of rules").y_desc("nanoseconds per packet");
    mesh.axis_desc_style(("sans-serif", 14)).label_style(("sans-serif", 13));
    mesh.light_line_style(WHITE).x_label_formatter(&number).y_label_formatter(&number);
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
        match style.marker {
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
        match style.marker {
            0 => area.draw(&Circle::new((20, y), 4, style.colour.filled()))?,
            1 => area.draw(&TriangleMarker::new((20, y), 6, style.colour.filled()))?,
            2 => area.draw(&Cross::new((20, y), 4, stroke))?,
            _ => area.draw(&Circle::new((20, y), 4, stroke))?,
        }
        area.draw(&Text::new(label.clone(), (LABEL_START, y - 7), font.clone()))?;
    }
    Ok(())
}

/// A label of an axis: without a decimal point if the number is whole.
fn number(value: &f64) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::report::StageResult;
    use super::super::statistics::TimingStatistics;
    use super::*;

    fn run(asked: &'static str, rules: usize, ns: u64) -> BenchRun {
        let figures =
            TimingStatistics::new(vec![Duration::from_nanos(ns), Duration::from_nanos(ns + 3)], 1);
        let stage =
            StageResult { stage: "classify", ns_per_packet: figures, ..StageResult::default() };
        BenchRun { asked, rules, stages: vec![stage], ..BenchRun::default() }
    }

    #[test]
    fn each_engine_has_a_curve_and_a_label() {
        let sizes = [1, 10, 100, 1000];
        let linear = sizes.map(|rules| run("linear", rules, u64::try_from(rules).unwrap()));
        let forest = sizes.map(|rules| run("forest", rules, 9));
        let runs: Vec<BenchRun> = linear.into_iter().chain(forest).collect();
        let svg = draw(&runs).unwrap();
        assert!(svg.starts_with("<svg"), "{svg}");
        for text in ["linear", "forest", "rules", "classify", "1000", "nanoseconds", "band"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert_eq!(svg.matches("<circle").count() + svg.matches("<polygon").count(), 12);
        assert_eq!(svg, draw(&runs).unwrap());
    }

    #[test]
    fn a_short_legend_leaves_its_width_to_the_chart() {
        let width = |label: &str| legend_width(&[(label.to_owned(), Series::new())].into());
        assert_eq!([width("auto"), width(&"a".repeat(99))], [76, MAX_LEGEND_WIDTH]);
    }

    #[test]
    fn one_or_zero_sizes_still_make_a_picture() {
        assert!(draw(&[run("auto", 30, 5)]).unwrap().contains("auto"));
        assert!(draw(&[]).unwrap().starts_with("<svg"));
    }
}
