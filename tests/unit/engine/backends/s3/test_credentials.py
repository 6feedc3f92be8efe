"""Keys that the configuration does not give are found where AWS's own tools find them."""

from pathlib import Path

import pytest

from engine.backends.s3.credentials import FoundKeys, NoKeys


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No keys of this machine, and no metadata service to wait for."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def test_the_environment_has_them_with_their_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")

    keys = FoundKeys(None)()

    assert (keys.access_key_id, keys.secret, keys.token) == ("AKIAENV", "a-secret", "a-token")


def test_a_profile_has_them(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        "[near]\naws_access_key_id = AKIANEAR\naws_secret_access_key = near-secret\n"
    )

    assert FoundKeys("near")().access_key_id == "AKIANEAR"


def test_a_profile_that_is_not_there_is_told() -> None:
    with pytest.raises(NoKeys, match="far"):
        FoundKeys("far")()


def test_without_any_it_says_where_it_looked() -> None:
    found = FoundKeys(None)

    for _ in range(2):
        with pytest.raises(NoKeys, match="metadata service"):
            found()
