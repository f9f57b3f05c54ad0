//! A chart of bars: groups of labelled values, drawn row by row.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::{Error, Result};

const WIDTH: u32 = 860;
const LABELS: i32 = 180;
const NUMBERS: i32 = 70;
const ROW: i32 = 19;
const GROUP: i32 = 34;
const TITLE: i32 = 56;

const OURS: RGBColor = RGBColor(0xc4, 0x4e, 0x1a);
const BOUND: RGBColor = RGBColor(0x55, 0x55, 0x55);
const OTHERS: RGBColor = RGBColor(0x8f, 0xa8, 0xc0);
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const FAINT: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// Whose bar it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    /// What there is without a library.
    Bound,
    Others,
}

#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) shown: String,
    pub(crate) side: Side,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

#[derive(Debug)]
pub(crate) struct Bars<'a> {
    pub(crate) title: &'a str,
    pub(crate) subtitle: &'a str,
    pub(crate) groups: Vec<Group>,
    /// Bars longer than this are cut off; their numbers are not.
    pub(crate) longest: f64,
    /// Where a line is drawn across.
    pub(crate) mark: Option<f64>,
}

impl Bars<'_> {
    pub(crate) fn draw(&self, path: &Path) -> Result {
        let rows: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        let height = TITLE + rows as i32 * ROW + self.groups.len() as i32 * GROUP + 10;
        let area = SVGBackend::new(path, (WIDTH, height as u32)).into_drawing_area();
        self.draw_on(&area, height)
            .and_then(|()| area.present())
            .map_err(|error| Error::new(format!("{}: {error}", path.display())))
    }

    fn draw_on<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, plotters::coord::Shift>,
        height: i32,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        area.fill(&WHITE)?;
        area.draw(&Text::new(
            self.title,
            (14, 10),
            style(20, INK).pos(Pos::new(HPos::Left, VPos::Top)),
        ))?;
        area.draw(&Text::new(
            self.subtitle,
            (14, 34),
            style(14, BOUND).pos(Pos::new(HPos::Left, VPos::Top)),
        ))?;
        let mut y = TITLE;
        for group in &self.groups {
            let title = style(16, INK).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(group.title.as_str(), (14, y + GROUP - 12), title))?;
            y += GROUP;
            if let Some(mark) = self.mark {
                let x = self.x(mark);
                let bottom = y + group.bars.len() as i32 * ROW;
                area.draw(&PathElement::new([(x, y), (x, bottom)], FAINT))?;
            }
            for bar in &group.bars {
                self.draw_bar(area, bar, y)?;
                y += ROW;
            }
        }
        debug_assert!(y <= height, "the rows were counted");
        Ok(())
    }

    fn draw_bar<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, plotters::coord::Shift>,
        bar: &Bar,
        y: i32,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let color = match bar.side {
            Side::Ours => OURS,
            Side::Bound => BOUND,
            Side::Others => OTHERS,
        };
        let (middle, end) = (y + ROW / 2, self.x(bar.value.min(self.longest)));
        area.draw(&Text::new(
            bar.label.as_str(),
            (LABELS - 8, middle),
            style(14, INK).pos(Pos::new(HPos::Right, VPos::Center)),
        ))?;
        area.draw(&Rectangle::new(
            [(LABELS, y + 2), (end.max(LABELS + 1), y + ROW - 2)],
            color.filled(),
        ))?;
        let cut = if bar.value > self.longest { "… " } else { "" };
        area.draw(&Text::new(
            format!("{cut}{}", bar.shown),
            (end + 6, middle),
            style(14, INK).pos(Pos::new(HPos::Left, VPos::Center)),
        ))
    }

    fn x(&self, value: f64) -> i32 {
        let room = f64::from(WIDTH as i32 - LABELS - NUMBERS);
        LABELS + (room * value / self.longest) as i32
    }
}

fn style(size: i32, color: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&color)
}
