"""Plots as SVG text: points, their fits, axes that are linear or logarithmic, a legend, notes below it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.fits import Line, Point, Power

WIDTH, HEIGHT = 720, 472
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 96, 56
HEAD, HEAD_LINE = 48, 18
STYLE = "font-family='sans-serif' font-size='12' fill='#222'"


@dataclass(frozen=True)
class Series:
    """One contender: what was measured, and the curve through it."""

    name: str
    points: Sequence[Point]
    fit: Power | Line | None = None
    colour: str = "#222222"


@dataclass(frozen=True)
class Axis:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    def place(self, value: float) -> float:
        low, high, at = (math.log10(one) if self.logarithmic else one for one in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def ticks(self) -> list[float]:
        """Return round values: the decades with 2 and 5, or four to eight even steps."""
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if len(decades) < 5 else (1,)
            found = [step * 10.0**decade for decade in decades for step in steps]
        else:
            step = 10.0 ** math.floor(math.log10(self.high - self.low))
            step = next(size for size in (step, step / 2, step / 5) if (self.high - self.low) / size >= 4)
            first = math.ceil(self.low / step)
            found = [step * number for number in range(first, first + 10)]
        slack = (self.high - self.low) * 1e-9
        return [one for one in found if self.low - slack <= one <= self.high + slack]


def linear_axis(values: Sequence[float], start: float, end: float) -> Axis:
    """Return an axis from zero, with room above *values*."""
    return Axis(0, max(values) * 1.08 or 1, start, end, False)


def logarithmic_axis(values: Sequence[float], start: float, end: float, times: float = 1) -> Axis:
    """Return an axis with room around *values*, whose high end is at least so many *times* its low end."""
    low, high = min(values) / 1.3, max(values) * 1.3
    room = math.sqrt(max(1, times / (high / low)))
    return Axis(low / room, high * room, start, end, True)


def axes_for(points: Sequence[Point], *, logarithmic: bool) -> tuple[Axis, Axis]:
    """
    Return both axes.

    A logarithmic y spans what x spans, or a decade: a cost in proportion to x goes from corner to corner, and noise
    is not drawn as growth.
    """
    xs, ys = zip(*points, strict=True)
    if not logarithmic:
        return linear_axis(xs, LEFT, WIDTH - RIGHT), linear_axis(ys, HEIGHT - BOTTOM, TOP)
    x = logarithmic_axis(xs, LEFT, WIDTH - RIGHT)
    return x, logarithmic_axis(ys, HEIGHT - BOTTOM, TOP, max(10, x.high / x.low))


def plot(
    title: str, x_label: str, y_label: str, series: Sequence[Series], *, logarithmic: bool, notes: Sequence[str] = ()
) -> str:
    """Return the plot as one SVG document; raise ValueError where a point has no place on it."""
    points = [point for one in series for point in one.points]
    if not points:
        raise ValueError(f"{title}: there is nothing to draw")
    if logarithmic and (lost := [point for point in points if min(point) <= 0]):
        raise ValueError(f"{title}: a logarithmic axis has no place for {lost}")
    x, y = axes_for(points, logarithmic=logarithmic)
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' {STYLE}>",
        f"<title>{escape(title)}</title>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#fff'/>",
        text(WIDTH / 2, 22, title, "middle", "font-weight='bold'"),
        *grid(x, y),
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, x_label, "middle"),
        text(18, HEIGHT / 2, y_label, "middle", f"transform='rotate(-90 18 {HEIGHT / 2:g})'"),
    ]
    for number, one in enumerate(series):
        lines += legend(one, number)
    for number, note in enumerate(notes, start=math.ceil(len(series) / 2)):
        lines.append(text(LEFT, HEAD + HEAD_LINE * number, note, more="font-style='italic'"))
    for one in reversed(series):  # the first on top
        lines += draw(one, x, y)
    return "\n".join([*lines, "</svg>", ""])


def grid(x: Axis, y: Axis) -> Iterator[str]:
    for value in x.ticks():
        at = x.place(value)
        yield line((at, TOP), (at, HEIGHT - BOTTOM), "#e4e4e4")
        yield text(at, HEIGHT - BOTTOM + 18, f"{value:g}", "middle")
    for value in y.ticks():
        at = y.place(value)
        yield line((LEFT, at), (WIDTH - RIGHT, at), "#e4e4e4")
        yield text(LEFT - 8, at + 4, f"{value:g}", "end")


def draw(one: Series, x: Axis, y: Axis) -> Iterator[str]:
    """Yield the points, and the fit from the first of them to the last."""
    if one.fit:
        ends = min(at for at, _ in one.points), max(at for at, _ in one.points)
        begin, end = ((x.place(at), y.place(one.fit.at(at))) for at in ends)
        yield line(begin, end, one.colour, "stroke-width='2' stroke-dasharray='6 4'")
    for at, value in one.points:
        yield f"<circle cx='{x.place(at):.1f}' cy='{y.place(value):.1f}' r='4.5' fill='{one.colour}'/>"


def legend(one: Series, number: int) -> Iterator[str]:
    """Yield one entry, above the plot, in two columns."""
    left, top = LEFT + (WIDTH - LEFT - RIGHT) // 2 * (number % 2), HEAD + HEAD_LINE * (number // 2)
    yield f"<rect x='{left}' y='{top - 9}' width='10' height='10' fill='{one.colour}'/>"
    yield text(left + 16, top, f"{one.name} {one.fit or ''}".strip())


def line(begin: Point, end: Point, colour: str, more: str = "") -> str:
    (x1, y1), (x2, y2) = begin, end
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' {more}/>"


def text(x: float, y: float, content: str, anchor: str = "start", more: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' {more}>{escape(content)}</text>"
