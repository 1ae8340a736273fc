"""The first ten minutes of a modeller: which models there are, what one is good for, and two compared."""

import re


def test_models_are_listed_shown_and_have_a_card(type_in):
    assert any(
        re.search(r"simulated-6.*in force|in force.*simulated-6|\* *simulated-6", line)
        for line in type_in("models", "list")
    )
    card = "\n".join(type_in("models", "card", "simulated-6"))
    assert card.startswith("# ")
    assert "simulated" in card


def test_two_models_are_compared_on_a_few_files_and_the_truth(type_in, measured):
    shown = "\n".join(
        type_in("models", "compare", "simulated-5", "simulated-6", "--truth", "demo/spectra", "--limit", "12")
    )

    assert "simulated-5" in shown
    assert "simulated-6" in shown
    assert "median" in shown
