"""The configuration reference is what the settings say, and says something of every key."""

import re
from collections.abc import Iterator

from engine.settings import LiveSettings, NodeSettings
from engine.settings.section import Section
from tools.configuration_reference import PAGE, page
from tools.field_docstrings import field_docstrings


def undocumented(model: type[Section]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if not field_docstrings(model).get(name):
            yield f"{model.__name__}.{name}"
        for inner in re.findall(r"engine\.settings\.\w+\.(\w+)", str(field.annotation)):
            found = next((each for each in Section.__subclasses__() if each.__name__ == inner), None)
            if found is not None:
                yield from undocumented(found)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run tools/configuration_reference.py"


def test_every_key_of_the_settings_is_described() -> None:
    assert [*undocumented(NodeSettings), *undocumented(LiveSettings)] == []


def test_every_top_level_section_stands_on_the_page() -> None:
    text = page()

    for name in (*NodeSettings.model_fields, *LiveSettings.model_fields):
        assert f"`{name}`" in text or f"## {name}" in text
