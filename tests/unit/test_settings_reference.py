"""The reference of settings in the docs says what the code does."""

from railmend.settings import Settings
from tools.settings_reference import FILE, table, updated


def test_the_reference_is_current() -> None:
    text = FILE.read_text()
    assert updated(text) == text, "run `python -m tools.settings_reference`"


def test_every_setting_has_its_meaning() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_no_default_shows_a_secret_and_bounds_are_told() -> None:
    rows = {row.split("`")[1]: row for row in table().splitlines()[2:]}
    assert "| secret |  |" in rows["GITHUB_TOKEN"]
    assert "at least 1, at most 3600" in rows["RAILMEND_STEP_SECONDS"]
    assert "`bwrap`, `user`, `remote`, `none`" in rows["RAILMEND_SANDBOX"]
