"""The live view as lines of text, for a terminal of any size."""

import textwrap
from typing import Any, Final

from chronotick.cli.live.gather import Frame
from chronotick.cli.live.past import Past, by_candidate, mean_skill
from chronotick.cli.live.series import Series
from chronotick.cli.live.spark import BARS, sparkline
from chronotick.cli.models import STATE_STYLES
from chronotick.cli.now import STYLES
from chronotick.cli.output import ESCAPE, duration, paint, rfc3339, table, visible
from chronotick.cli.sources import LEAST, STANDING_STYLES, label

# Skill is drawn from nothing gained to this share of the floor's loss.
FULL_SKILL: Final = 0.5
MOST_CELLS: Final = 60
MODEL_CELLS: Final = 10


def lines(frame: Frame, past: Past, width: int, height: int, bars: str = BARS) -> list[str]:
    """The view, at most `height` lines of at most `width` columns each."""
    found = _head(frame, past, width)
    sections = frame.sections
    found += _clock(frame, past, width, bars)
    if sections:
        found += ["", *_models(frame, past, width, bars)]
        found += ["", *_sources(sections["sources"], width, height - len(found) - 2)]
    return [cut(line, width) for line in found[:height]]


def line(frame: Frame) -> str:
    """One look in one line, where there is no terminal to draw on."""
    reading, sections = frame.reading, frame.sections
    if reading is None or reading.status == "UNKNOWN":
        word = "UNKNOWN" if reading is not None else "NO HOST"
        sentence = sections["clock"]["sentence"] if sections else frame.problem
        return f"{word}  {sentence}"
    parts = [
        rfc3339(reading.utc_ns),
        str(reading.status),
        f"95 % ± {duration(reading.half_width_95_ns / 1e9)}",
        f"hard {duration((reading.latest_ns - reading.earliest_ns) / 1e9)} wide",
    ]
    if not sections:
        return "  ".join([*parts, frame.problem])
    servers = sections["sources"]["servers"]
    agreeing = sum(row["standing"] == "survivor" for row in servers)
    parts.insert(2, _offset(sections["clock"]))
    parts.append(f"{agreeing} of {len(servers)} servers")
    parts += [f"{row['name']} {row['state']} weight {row['weight']:.2f}" for row in sections["plugins"]]
    return "  ".join(part for part in parts if part)


def cut(text: str, width: int) -> str:
    """The first `width` columns of a line; a line that must be cut loses its colours."""
    if visible(text) <= width:
        return text
    return ESCAPE.sub("", text)[: width - 1] + "…" if width > 1 else ""


def _head(frame: Frame, past: Past, width: int) -> list[str]:
    reading = frame.reading
    word = "NO HOST" if reading is None else str(reading.status)
    left = f"{paint(word, STYLES.get(word, 'bad'))}"
    if reading is not None and word != "UNKNOWN":
        stamp = rfc3339(reading.utc_ns)
        left += f"  {stamp if width >= 60 else stamp[11:23] + 'Z'}"
    keys = paint("q quits", "dim")
    blank = " " * max(width - visible(left) - visible(keys), 2)
    sentence = frame.sections["clock"]["sentence"] if frame.sections else frame.problem
    if reading is not None and not frame.sections:
        sentence = f"The host does not answer; this is read from what it left. {frame.problem}"
    return [left + blank + keys, *_fold(sentence, width)]


def _clock(frame: Frame, past: Past, width: int, bars: str) -> list[str]:
    reading = frame.reading
    clock = frame.sections["clock"] if frame.sections else {}
    known = reading is not None and reading.status != "UNKNOWN"
    rows: list[tuple[str, str, Series]] = []
    if "system_offset_us" in clock:
        rows.append(("system", _offset(clock), past.offset_s))
    if known and reading is not None:
        rows.append(("95 %", f"± {duration(reading.half_width_95_ns / 1e9)}", past.half_95_s))
        rows.append(("hard", f"{duration((reading.latest_ns - reading.earliest_ns) / 1e9)} wide", past.hard_s))
    if "rate_ppm" in clock:
        rows.append(("rate", f"{clock['rate_ppm']:+.3f} ppm", past.rate_ppm))
    if not rows or past.begun_s is None:
        return []
    values = max(len(value) for _, value, _ in rows)
    cells = min(max(width - 8 - values - 2, 0), MOST_CELLS)
    found = [""]
    for name, value, series in rows:
        spark = sparkline(series.cells(cells, past.begun_s, frame.at_s), bars=bars)
        found.append(f"{name:<8}{value:<{values}}  {spark}".rstrip())
    if known and reading is not None:
        seen = f"last fix {duration(reading.age_ns / 1e9)} ago"
        if width >= 60:
            seen += f", from {' + '.join(reading.source) or 'nothing'}"
        found.append(paint(cut(f"{seen}; {duration(past.shown_s(frame.at_s))} shown", width), "dim"))
    return found


def _models(frame: Frame, past: Past, width: int, bars: str) -> list[str]:
    assert frame.sections is not None
    plugins, forecasts = frame.sections["plugins"], frame.sections["forecasts"]
    if not plugins:
        return [paint(cut("No models: the floor alone answers.", width), "dim")]
    candidates = by_candidate(forecasts["candidates"])
    cells = MODEL_CELLS if width >= 78 else 6
    rows = []
    for row in plugins:
        judged = {name: rungs for name, rungs in candidates.items() if name.split("/")[0] == row["name"]}
        weight = past.weights.get(row["name"])
        common = (
            paint(row["state"], STATE_STYLES.get(row["state"], "bad")),
            f"{row['weight']:.2f}",
            _spark(weight, cells, past, frame.at_s, 0.0, 1.0, bars),
        )
        if not judged:
            rows.append((row["name"], *common, "-", "", ""))
        for number, (name, rungs) in enumerate(judged.items()):
            skill = mean_skill(rungs)
            rows.append(
                (
                    # The model's own columns once; further lines are its further roles.
                    *((name, *common) if number == 0 else (name, "", "", "")),
                    "-" if skill is None else f"{100 * max(skill, -9.99):+.0f} %",
                    _spark(past.skills.get(name), cells, past, frame.at_s, 0.0, FULL_SKILL, bars),
                    horizons(rungs, bars),
                )
            )
    head = ("model", "state", "weight", "", "skill", " ", "by horizon, trusted")
    found = table(head, rows, drop=("by horizon, trusted", "", " ", "state"), room=width).splitlines()
    why = [f"  {row['name']}: {row['detail']}" for row in plugins if row["detail"] and row["state"] != "READY"]
    return [*found, *(cut(sentence, width) for sentence in why)]


def horizons(rungs: list[dict[str, Any]], bars: str = BARS) -> str:
    """A bar of skill per horizon, shortest first, and at how many of them it is trusted; a dot for nothing scored."""
    drawn = []
    for one in rungs:
        if one["n_eff"] <= 0:
            drawn.append(".")
            continue
        bar = sparkline([one["gain"]], low=0.0, high=FULL_SKILL, bars=bars)
        drawn.append(paint(bar, "good" if one["open"] else "dim"))
    return f"{''.join(drawn)} {sum(one['open'] for one in rungs)}/{len(rungs)}"


def _sources(sources: dict[str, Any], width: int, room: int) -> list[str]:
    rows = [
        (
            label(row),
            duration(row["system_offset_s"]),
            duration(row["delay_s"]),
            duration(row["root_distance_s"]),
            f"{row['reach']:08b}",
            duration(row["age_s"]),
            paint(row["standing"].replace("_", " "), STANDING_STYLES.get(row["standing"], "warn")),
        )
        for row in sources["servers"]
    ]
    head = ("server", "offset", "delay", "root distance", "reach", "age", "verdict")
    longest = max(width - 24, 8)
    rows = [(cut(row[0], longest), *row[1:]) for row in rows]
    found = table(head, rows, drop=(*LEAST, "offset"), room=width).splitlines()
    if len(found) > room > 1:
        hidden = len(found) - room + 1
        found = [*found[: room - 1], paint(f"and {hidden} more: chronotick sources", "dim")]
    return found


def _offset(clock: dict[str, Any]) -> str:
    if "system_offset_us" not in clock:
        return ""
    offset_s = clock["system_offset_us"] / 1e6
    return f"{'behind' if offset_s >= 0 else 'ahead'} by {duration(abs(offset_s))}"


def _spark(series: Series | None, cells: int, past: Past, now_s: float, low: float, high: float, bars: str) -> str:
    if series is None or past.begun_s is None:
        return ""
    return sparkline(series.cells(cells, past.begun_s, now_s), low=low, high=high, bars=bars)


def _fold(sentence: str, width: int) -> list[str]:
    return textwrap.wrap(sentence, width)[:3] or [""]
