"""The report for people: what it says, and that no text from data becomes markup."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

import metaalign
from metaalign.evaluate import charts, read_report, table, write_report
from metaalign.evaluate.records import Estimate, Example, Outcome, Report, ShownAnswer
from metaalign.evaluate.report import interval, percent, render, verdict
from metaalign.schema import MetaPrompt, UserError

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}'&\u202e$\\frac{1}$"


def estimate(value: float, n: int = 300) -> Estimate:
    return Estimate(value, (max(0.0, value - 0.02), min(1.0, value + 0.02)), n)


def make_report(text: str = "plain", model: str = "metaalign-dpo") -> Report:
    shown = (ShownAnswer("base", text, False, (text,)), ShownAnswer(model, text, True))
    example = Example(text, MetaPrompt.of(text, text), text, (text,), shown)
    measured = {"follow": estimate(0.97), "flip": estimate(0.9), "over_refusal": estimate(0.01)}
    cells = {
        "harmful[safety, helpfulness]": estimate(1.0, 9),
        "harmful[-, helpfulness]": estimate(0.25, 4),
        "contested[consensus, background]": estimate(0.9, 10),
    }
    parts = {
        "cell": cells,
        "flip_by_source": {text: estimate(0.9)},
        "follow_by_tier": {text: estimate(0.5)},
    }
    return Report(
        seed=3,
        seconds={text: 1.5},
        models={"base": {"follow": estimate(0.2)}, model: measured},
        goals=(
            Outcome("follow", model, 0.95, True, 0.97, True),
            Outcome("flip", model, 0.97, True, 0.9, False),
            Outcome("margin", model, 0.98, True, None, None),
        ),
        breakdown={model: parts},
        cells={"harmful[safety, helpfulness]": "refuse", "harmful[-, helpfulness]": "answer"},
        notes=(text,),
        versions={text: text},
        dataset={"name": text},
        matrix=text,
        runs={model: text},
        examples=(example, example),
        failures=(example,),
    )


class Page(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_text_stays_text() -> None:
    plain, hostile = Page(render(make_report())), Page(render(make_report(HOSTILE, HOSTILE)))
    assert hostile.tags == plain.tags
    assert "script" not in hostile.tags
    assert not [name for name, _ in hostile.attributes if name.startswith("on")]
    assert hostile.text.count(HOSTILE) > 10
    assert "49" not in hostile.text.replace("0.49", "")


def test_the_page_needs_no_other_file() -> None:
    page = Page(render(make_report()))
    links = [v for name, v in page.attributes if name in ("src", "href", "srcset", "data")]
    assert links
    assert all(link.startswith("data:image/svg+xml;base64,") for link in links)
    assert "@import" not in render(make_report())
    assert not re.search(r"url\(", render(make_report()))


def test_every_picture_says_what_it_shows() -> None:
    page = Page(render(make_report()))
    alts = [value for name, value in page.attributes if name == "alt"]
    assert page.tags.count("img") == len(alts) == 2
    assert "metaalign-dpo: Follows 97.0%" in alts[0]


def test_the_page_tells_goals_expectations_failures_and_facts() -> None:
    page = Page(render(make_report("Zebra")))
    assert "metaalign-dpo meets 1 of 2 goals. Missed: Flip." in page.text
    assert "not measured" in page.text
    assert "95.0–99.0" in page.text
    assert "Where metaalign-dpo fails" in page.text
    assert page.text.count("Zebra") > 10


def test_charts_take_hostile_names(tmp_path: Path) -> None:
    write_report(make_report(HOSTILE, "$\\frac{"), tmp_path)
    for name in ("metrics.png", "matrix.png", "conditional.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_report_with_almost_nothing_in_it_renders(tmp_path: Path) -> None:
    report = Report(seed=0, seconds={}, models={"m": {}})
    write_report(report, tmp_path)
    assert "m, measured on the dataset." in (tmp_path / "report.html").read_text("utf-8")


def test_the_same_report_gives_the_same_page() -> None:
    assert render(make_report()) == render(make_report())


def test_rows_for_the_terminal() -> None:
    assert table(make_report()) == [
        ("metric", "base", "metaalign-dpo", "goal"),
        ("follow", "20.0% (18.0–22.0)", "97.0% (95.0–99.0)", "≥ 95.0% met"),
        ("flip", "–", "90.0% (88.0–92.0)", "≥ 97.0% missed"),
        ("over_refusal", "–", "1.0% (0.0–3.0)", ""),
        ("margin", "–", "–", "≥ 98.0% not measured"),
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "100.0%"), (0.9996, "99.9%"), (0.0, "0.0%"), (0.0001, "0.1%"), (0.97314, "97.3%")],
)
def test_percentages_never_round_to_perfect(value: float, shown: str) -> None:
    assert percent(value) == shown


def test_percentages_in_cells_never_round_to_perfect_either() -> None:
    assert [percent(v, 0) for v in (1.0, 0.998, 0.002, 0.0)] == ["100%", "99%", "1%", "0%"]


def test_an_interval_is_a_range() -> None:
    assert interval(Estimate(0.9, (0.85, 0.95), 10)) == "85.0–95.0"


def test_without_goals_the_headline_still_says_what_was_measured() -> None:
    report = msgspec.structs.replace(make_report(), goals=(), dataset={"name": "habermas"})
    assert verdict(report) == "metaalign-dpo, measured on habermas."


def test_the_heat_map_has_a_square_for_every_cell() -> None:
    harmful, contested = charts.grids(make_report(), "metaalign-dpo")
    assert (harmful.kind, harmful.rows, harmful.columns) == (
        "harmful",
        ("-", "safety"),
        ("helpfulness",),
    )
    assert harmful.cells["safety", "helpfulness"].n == 9
    assert contested.kind == "contested"


@pytest.mark.parametrize("value", [0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1])
def test_numbers_in_the_heat_map_can_be_read(value: float) -> None:
    """WCAG 2 AA: a contrast of at least 4.5 to 1."""
    ground, ink = charts.heat(value)
    lighter, darker = sorted(map(luminance, (ground, ink)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


@pytest.mark.parametrize("theme", [charts.LIGHT, charts.DARK])
def test_bars_stand_out_from_the_page(theme: charts.Theme) -> None:
    """WCAG 2 AA: graphics have a contrast of at least 3 to 1."""
    ground = luminance(theme.ground)
    for colour in (theme.accent, *theme.others, theme.ink, theme.quiet):
        lighter, darker = sorted((luminance(colour), ground), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_best_model_is_the_one_that_follows_best() -> None:
    better = {"base": {"follow": estimate(0.99)}, "m": {"follow": estimate(0.9)}}
    report = msgspec.structs.replace(make_report(), models=better)
    assert charts.best_model(report) == "base"
    tie = {"base": {"follow": estimate(0.9)}, "m": {"follow": estimate(0.9)}}
    assert charts.best_model(msgspec.structs.replace(report, models=tie)) == "m"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"{", "is no report"), (b'{"schema": 1}', "is no report"), (None, "cannot read")],
)
def test_a_damaged_report_is_named(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=complaint):
        read_report(path)


def test_a_newer_report_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(make_report(), schema=99)))
    with pytest.raises(UserError, match="schema 99"):
        read_report(path)


@pytest.mark.parametrize("module", ["matplotlib", "jinja2"])
def test_a_missing_library_is_named_with_its_extra(module: str) -> None:
    path = [str(Path(metaalign.__file__).parents[1])]
    code = f"import sys; sys.path[:0] = {path}; sys.modules[{module!r}] = None\n"
    code += "import metaalign.evaluate"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"needs {module}, which is not installed" in done.stderr
    assert "metaalign[eval]" in done.stderr
