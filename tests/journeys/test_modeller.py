"""The first ten minutes of a modeller: which models there are, what one is good for, and two compared."""

import re

from astra.pipelines.astronn_dist.weights.library import embedded_default


def test_models_are_listed_shown_and_have_a_card(type_in):
    assert any(
        re.search(r"simulated-6.*in force|in force.*simulated-6|\* *simulated-6", line)
        for line in type_in("models", "list")
    )
    card = "\n".join(type_in("models", "card", "simulated-6"))
    assert card.startswith("# ")
    assert "simulated" in card


def test_the_file_of_another_is_taken_in_with_what_is_stated_of_it_and_removed(type_in):
    stated = ("--describe", "giants of the bulge", "--range", "giants of 3800 to 5200 K")

    type_in("models", "import", embedded_default(), "--name", "mine", "--overwrite", *stated)
    card = " ".join("\n".join(type_in("models", "card", "mine")).split())
    type_in("models", "remove", "mine")

    assert "giants of the bulge" in card
    assert "giants of 3800 to 5200 K" in card
    assert not [line for line in type_in("models", "list") if "mine" in line.split()]


def test_two_models_are_compared_on_a_few_files_and_the_truth(type_in, measured):
    shown = "\n".join(
        type_in("models", "compare", "simulated-5", "simulated-6", "--truth", "demo/spectra", "--limit", "12")
    )

    assert "simulated-5" in shown
    assert "simulated-6" in shown
    assert "median" in shown
