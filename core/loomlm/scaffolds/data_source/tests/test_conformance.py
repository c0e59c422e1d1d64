"""What every data source promises, on documents that the test writes."""

import pytest


def documents(folder):
    """Writes some documents; gives the component's keys."""
    for name, text in {
        "train/food/soup.md": "---\ntitle: Soup\n---\n# Soup\n\nWater, salt, leeks.\n",
        "train/food/bread.md": "Flour, water and time.\n",
        "train/sport/match.md": "A goal in the last minute - at last, ça va.\n",
        "test/sport/run.md": "Ten kilometres in the rain.\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {
        "train": str(folder / "train"),
        "test": str(folder / "test"),
        "labels": True,
    }


@pytest.mark.loomlm("data_source:plugin_component", keys=documents)
def test_it_keeps_what_a_data_source_promises(conformance):
    conformance()
