"""All the real files together: enough of every family, with flips wherever two orders exist."""

from collections import Counter

from tests.data.makers import real_file

from metaalign.data.sources import SOURCES

FILES = {
    "habermas": "habermas_questions",
    "hh-rlhf": "hh_rlhf_pairs",
    "llama-factory": "dpo_with_system_turns",
    "moralchoice": "moralchoice_scenarios",
    "oasst": "oasst_ranked_trees",
    "persona-statements": "persona_statements",
    "polis": "polis_comments",
    "truthfulqa": "truthfulqa",
}


def test_thirty_thousand_samples_over_all_four_families() -> None:
    samples, flips, groups = Counter[str](), Counter[str](), Counter[str]()
    for name, file in FILES.items():
        for group in SOURCES[name].read(real_file(f"{file}.jsonl.gz")):
            assert 1 <= len(group.views) <= 4
            samples[group.family] += len(group.views)
            groups[group.family] += 1
            flips[group.family] += bool(group.flips())
    assert samples.total() > 60_000
    assert samples["helpful"] > 7_000 and samples["consensus"] > 5_000
    assert samples["priority"] > 3_000 and samples["opinion"] > 40_000
    assert flips["opinion"] == groups["opinion"]
    assert flips["helpful"] > 0.8 * groups["helpful"]
    # All but MoralChoice's scenarios about which nobody disagrees.
    assert flips["consensus"] > 0.7 * groups["consensus"]
