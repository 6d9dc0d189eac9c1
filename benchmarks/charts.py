"""Line charts with logarithmic axes as SVG, so that no plotting library is needed."""

import math
from collections.abc import Sequence
from html import escape

# Lines by name, each of points (x, y), both above 0.
Series = dict[str, list[tuple[float, float]]]

WIDTH, HEIGHT = 460, 340  # px
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 34, 46  # px around the area of the lines
# A grey with a contrast above 4 on both black and white, so the chart needs no background.
INK = "#767676"
COLOURS = ("#d9480f", "#1c7ed6", "#2b8a3e", "#ae3ec9", "#b08900", "#0c8599")


class Axis:
    """A logarithmic scale over whole decades, drawn from pixel `start` to pixel `end`."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low = math.floor(math.log10(min(values)) + 1e-9)
        self.high = max(math.ceil(math.log10(max(values)) - 1e-9), self.low + 1)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        """Return where `value` is, in pixels."""
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)

    @property
    def decades(self) -> list[int]:
        """The powers of ten on the axis."""
        return list(range(self.low, self.high + 1))


def log_log(title: str, x_label: str, y_label: str, series: Series) -> str:
    """Return a chart as the text of an SVG file.

    Args:
        title: what is shown.
        x_label: with its unit.
        y_label: with its unit.
        series: at least one line of at least one point.

    """
    points = [point for line in series.values() for point in line]
    x = Axis([point[0] for point in points], LEFT, WIDTH - RIGHT)
    y = Axis([point[1] for point in points], HEIGHT - BOTTOM, TOP)
    height = HEIGHT + 16 * len(series)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        _text(WIDTH / 2, 18, title, size=14),
        *_grid(x, y),
        _text((x.start + x.end) / 2, HEIGHT - 8, x_label),
        f'<g transform="rotate(-90 14 {HEIGHT / 2})">{_text(14, HEIGHT / 2, y_label)}</g>',
    ]
    for index, (name, line) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        places = [(x(a), y(b)) for a, b in sorted(line)]
        path = " ".join(f"{a},{b}" for a, b in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a}" cy="{b}" r="3" fill="{colour}"/>' for a, b in places]
        bottom = HEIGHT + 16 * index + 6
        parts.append(f'<circle cx="{LEFT}" cy="{bottom - 4}" r="4" fill="{colour}"/>')
        parts.append(_text(LEFT + 10, bottom, name, anchor="start"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid(x: Axis, y: Axis) -> list[str]:
    lines = []
    for power in x.decades:
        place = x(10.0**power)
        lines += [_line(place, y.start, place, y.end), _text(place, y.start + 16, _power(power))]
    for power in y.decades:
        place = y(10.0**power)
        lines += [_line(x.start, place, x.end, place), _text(x.start - 6, place + 4, _power(power), anchor="end")]
    return lines


def _power(power: int) -> str:
    """Return 10^power as people write it."""
    if power < -3 or power > 3:
        return f"1e{power}"
    return f"{10.0**power:g}"


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{INK}" stroke-opacity="0.4"/>'


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
