"""Signing keys are derived once, and strangers cannot make the cache grow."""

from dataplane.auth.signing_keys import SigningKeys, signing_key


def test_the_derivation_is_the_published_one() -> None:
    key = signing_key(secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", day="20130524", region="us-east-1")

    assert key.hex() == "dbb893acc010964918f1fd433add87c70e8b0db6be30c1fbeafefa5ec6ba8378"


def test_the_cache_is_bounded_and_drops_what_was_used_longest_ago() -> None:
    keys = SigningKeys(count_max=3)
    for day in range(3):
        keys.key(access_key_id="a", secret="s", day=f"2026112{day}", region="r")
    kept = keys.key(access_key_id="a", secret="s", day="20261120", region="r")

    for number in range(1000):
        keys.key(access_key_id=f"b{number}", secret="s", day="20261120", region="r")
        assert keys.key(access_key_id="a", secret="s", day="20261120", region="r") is kept

    assert len(keys) == 3


def test_a_changed_secret_is_another_key() -> None:
    keys = SigningKeys()

    before = keys.key(access_key_id="a", secret="old", day="20261120", region="r")
    after = keys.key(access_key_id="a", secret="new", day="20261120", region="r")

    assert before != after
