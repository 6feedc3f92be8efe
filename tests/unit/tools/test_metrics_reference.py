"""The page of metrics names what is measured, all of it and nothing else."""

from tools.metrics_reference import PAGE, page


def test_the_page_is_what_the_registry_says() -> None:
    assert PAGE.read_text() == page(), "run `python -m tools.metrics_reference`"


def test_every_name_follows_the_scheme() -> None:
    names = [line.split("`")[1] for line in page().splitlines() if line.startswith("| `")]

    assert len(names) >= 10
    assert all(name.startswith("penstock_") for name in names)
