"""What a configuration asks a model plugin for."""

import os

import pytest

from chronotick.sdk import BadParams, Params
from chronotick.sdk.model_settings import ModelSettings, Published, read_settings

SIZES = {"small": Published("us/model", "0123", "abc"), "large": Published("us/model", "large")}


def read(**values: str | bool) -> ModelSettings:
    """Settings of a plugin with two sizes."""
    return read_settings(Params(values=values), "some", SIZES, extra=("more",))


@pytest.mark.parametrize(
    ("values", "repo", "revision", "sha256"),
    [
        ({}, "us/model", "0123", "abc"),
        ({"size": "large"}, "us/model", "large", ""),
        ({"repo": "us/model", "size": "large"}, "us/model", "large", ""),
        ({"repo": "us/model", "revision": "0123"}, "us/model", "0123", "abc"),
        ({"size": "small", "revision": "4567"}, "us/model", "4567", ""),
        ({"repo": "them/other"}, "them/other", "", ""),
        ({"weights_sha256": "DEF"}, "us/model", "0123", "def"),
    ],
)
def test_which_weights_are_meant(values: dict[str, str], repo: str, revision: str, sha256: str) -> None:
    """Nothing means the first size; a revision of one's own is not held to the published checksum."""
    settings = read(**values)
    assert (settings.folder, settings.repo, settings.revision, settings.weights_sha256) == (
        None,
        repo,
        revision,
        sha256,
    )


def test_a_folder_wins_and_is_absolute() -> None:
    """A path makes repository, size and published checksum void."""
    settings = read(path="weights/here", repo="them/other")
    assert settings.folder is not None
    assert str(settings.folder) == os.path.join(os.getcwd(), "weights", "here")
    assert (settings.repo, settings.revision, settings.weights_sha256) == ("", "", "")
    assert settings.model_id == "here"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sise": "small"}, "The some plugin has no parameter 'sise'."),
        ({"size": "huge"}, "size 'huge' is not known."),
        ({"dtype": "int3"}, "dtype 'int3' is not known."),
        ({"repo": "them/other", "size": "small"}, "contradict each other: that size is in us/model."),
    ],
)
def test_what_is_not_known_is_refused(values: dict[str, str], said: str) -> None:
    """Nothing is ignored in silence, and each sentence says what to do."""
    with pytest.raises(BadParams) as caught:
        read(**values)
    assert said in str(caught.value)
    assert caught.value.mend


def test_a_plugin_may_know_more() -> None:
    """Further keys are the plugin's own matter."""
    assert read(more=True).repo == "us/model"
