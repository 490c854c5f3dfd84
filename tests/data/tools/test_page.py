"""The page works offline, shows what is there, and takes every text for text."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.tools.makers import HOSTILE, annotated, hostile, write

from metaalign.data.tools.page import in_block, sampled, segments, write_page
from metaalign.data.tools.summary import summarise

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def _page(folder: Path, **more: Any) -> str:
    write_page(folder, summarise(folder), folder.parent / "page.html", **more)
    return (folder.parent / "page.html").read_text("utf-8")


class _Parts(HTMLParser):
    """Elements with their attributes, and what stands in the block of groups."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.block = ""
        self._in_block = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_block = tag == "script" and dict(attrs).get("id") == "groups"

    def handle_endtag(self, tag: str) -> None:
        self._in_block = False

    def handle_data(self, data: str) -> None:
        if self._in_block:
            self.block += data


def _hostile(folder: Path) -> Path:
    groups = [hostile(f"h{n}", text) for n, text in enumerate(HOSTILE)]
    licences = dict.fromkeys(HOSTILE, "</td><script>")
    return write(folder, {"sft": groups}, sources_licences=licences, notes=HOSTILE)


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    page = _page(_hostile(tmp_path / "d"))
    parts = _Parts(page)
    tags = [tag for tag, _ in parts.elements]
    # The block of groups and the page's own script; its own pictures, and no handlers.
    assert tags.count("script") == 2
    assert all((of["src"] or "").startswith("data:") for tag, of in parts.elements if tag == "img")
    assert not [of for _, of in parts.elements if any(name.startswith("on") for name in of)]
    shown = {group["turns"][0][1] for group in json.loads(parts.block)}
    assert shown == set(HOSTILE)


def test_the_page_asks_for_nothing_from_anywhere(tmp_path: Path) -> None:
    parts = _Parts(_page(write(tmp_path / "d")))
    policy = next(of["content"] for tag, of in parts.elements if tag == "meta" and "content" in of
                  and "Policy" in (of.get("http-equiv") or ""))  # fmt: skip
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag, of in parts.elements:
        for name in ("src", "srcset"):
            assert (of.get(name) or "data:").startswith("data:"), tag
        assert tag != "link"
        assert "style" not in of  # the policy would not let it through


def test_every_picture_has_words_for_it(tmp_path: Path) -> None:
    images = [of for tag, of in _Parts(_page(write(tmp_path / "d"))).elements if tag == "img"]
    assert len(images) == 4
    assert all(len(of["alt"] or "") > 40 for of in images)


def test_a_non_commercial_source_is_seen_first(tmp_path: Path) -> None:
    page = _page(write(tmp_path / "d", sources_licences={"made": "cc-by-nc-4.0"}))
    assert "<strong>Non-commercial</strong>" in page.partition("</header>")[0]


def test_the_sample_has_every_family_and_split(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d")
    assert {(g.family, g.split) for g in sampled(dataset, 3)} == {
        ("helpful", "sft"), ("opinion", "dpo"), ("helpful", "test"),
    }  # fmt: skip
    assert len(sampled(dataset, 100)) == 5


def test_spans_are_counted_in_characters() -> None:
    """Not in the halves by which JavaScript counts."""
    text = "I keep 🐝🐝 and cats"
    assert segments(text, [(7, 9, 0), (8, 18, 1)]) == [
        ("I keep ", []), ("🐝", [0]), ("🐝", [0, 1]), (" and cats"[:9], [1]),
    ]  # fmt: skip


@given(st.text(max_size=30), st.lists(st.tuples(*[st.integers(-5, 40)] * 2, st.just(0))))
def test_segments_are_the_text_whatever_the_spans(
    text: str, spans: list[tuple[int, int, int]]
) -> None:
    assert "".join(part for part, _ in segments(text, spans)) == text


@given(st.text())
def test_a_block_holds_no_markup_and_gives_the_value_back(text: str) -> None:
    block = in_block({"text": text})
    assert not re.search("[<>&\u2028\u2029]", block)
    assert json.loads(block) == {"text": text}


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to open the page in")
def test_a_browser_shows_the_groups_and_runs_nothing_of_theirs(tmp_path: Path) -> None:
    dataset = _hostile(tmp_path / "d")
    _page(dataset)
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000",
            f"file://{tmp_path / 'page.html'}",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "<title>d · metaalign dataset</title>" in done.stdout
    assert "6 of 6 groups match; 6 shown." in done.stdout
    body = _Parts(done.stdout)
    assert (
        len([1 for tag, of in body.elements if (tag, of.get("class")) == ("article", "query")]) == 6
    )
    # Every view marks the words of its preference.
    assert len([1 for tag, _ in body.elements if tag == "mark"]) > 12


def test_the_page_shows_annotators_and_implicit_preferences(tmp_path: Path) -> None:
    [group] = json.loads(_Parts(_page(write(tmp_path / "d", {"sft": [annotated("a")]}))).block)
    [view] = group["views"]
    assert view["annotations"] == [
        ["human:0", "A > B > C"], ["human:1", "A > B > C"], ["human:2", "C > B > A"],
    ]  # fmt: skip
    assert view["tiers"][1] == [
        "user_info",
        [["I keep bees 🐝", [1]], [" and like brief answers.", []]],
    ]
    assert [ask[3] for ask in view["asks"]] == [True, False]
