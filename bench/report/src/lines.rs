//! A chart of lines: how a figure grows with a number, both on logarithmic scales.

use std::path::Path;

use plotters::prelude::*;

use crate::{Error, Result};

const SIZE: (u32, u32) = (860, 420);
const COLORS: [RGBColor; 6] = [
    RGBColor(0xc4, 0x4e, 0x1a),
    RGBColor(0x55, 0x55, 0x55),
    RGBColor(0x2f, 0x6d, 0xa8),
    RGBColor(0x4f, 0x9a, 0x5a),
    RGBColor(0x8a, 0x5f, 0xb0),
    RGBColor(0xb0, 0x8a, 0x2f),
];

/// A line: its name, and its points from left to right.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
}

#[derive(Debug)]
pub(crate) struct Lines<'a> {
    pub(crate) title: &'a str,
    pub(crate) across: &'a str,
    pub(crate) up: &'a str,
    pub(crate) series: Vec<Series>,
}

impl Lines<'_> {
    pub(crate) fn draw(&self, path: &Path) -> Result {
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        self.draw_on(&area)
            .and_then(|()| area.present())
            .map_err(|error| Error::new(format!("{}: {error}", path.display())))
    }

    fn draw_on<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, plotters::coord::Shift>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let (left, right) = ends(points().map(|point| point.0));
        let (low, high) = ends(points().map(|point| point.1));
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 20))
            .margin(14)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d((left..right).log_scale(), (low / 1.5..high * 1.5).log_scale())?;
        chart
            .configure_mesh()
            .x_desc(self.across)
            .y_desc(self.up)
            .x_label_formatter(&|value| count(*value))
            .y_label_formatter(&|value| count(*value))
            .label_style(("sans-serif", 14))
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (series, color) in self.series.iter().zip(COLORS) {
            let line = LineSeries::new(series.points.iter().copied(), color.stroke_width(2)).point_size(3);
            chart
                .draw_series(line)?
                .label(series.label.as_str())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .label_font(("sans-serif", 14))
            .draw()
    }
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), value| {
        (least.min(value), most.max(value))
    })
}

/// A number as it stands at an axis.
fn count(value: f64) -> String {
    match value {
        1e6.. => format!("{:.0}M", value / 1e6),
        1e3.. => format!("{:.0}k", value / 1e3),
        _ => format!("{value:.0}"),
    }
}
