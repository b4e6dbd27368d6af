"""``handconv data``: the cache, listed, filled, verified, emptied."""

from pathlib import Path

import pytest

from cli_helpers import objects
from handconv.cli import main


def test_an_empty_cache(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "--json"]) == 0
    states = {each["name"]: each["state"] for each in objects(capsys.readouterr().out)}
    assert states == {"digits": "embedded", "mnist": "not cached", "fashion-mnist": "not cached"}
    assert main(["data"]) == 0
    assert str(cache_folder) in capsys.readouterr().out
    assert main(["data", "verify"]) == 0
    assert "nothing to verify" in capsys.readouterr().err
    assert main(["data", "remove", "mnist"]) == 0
    assert "is not in the cache" in capsys.readouterr().out


def test_the_folder_of_the_environment_is_shown(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDCONV_DATA_DIR", str(tmp_path))
    assert main(["data"]) == 0
    last = f"HANDCONV_DATA_DIR names {tmp_path}; data sets are taken from there first.\n"
    assert capsys.readouterr().out.endswith(last)
    monkeypatch.setenv("HANDCONV_DATA_DIR", str(tmp_path / "nowhere"))
    assert main(["data"]) == 0
    assert "nowhere, which is no folder;" in capsys.readouterr().out


def test_what_is_damaged_is_found(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cache_folder / "mnist").mkdir(parents=True)
    (cache_folder / "mnist" / "x_train.npy").write_bytes(b"cut off")
    assert main(["data", "list", "--json"]) == 0
    assert objects(capsys.readouterr().out)[1]["state"] == "damaged"
    assert main(["data", "verify"]) == 1
    output = capsys.readouterr()
    assert "damaged" in output.out
    assert "x_train.npy" in output.err
    assert main(["data", "remove", "mnist", "--json"]) == 0
    assert objects(capsys.readouterr().out)[0]["bytes"] == 7
    assert not (cache_folder / "mnist").exists()


def test_what_was_never_fetched_cannot_be_verified(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "verify", "mnist"]) == 1
    output = capsys.readouterr()
    assert output.out == "mnist is not in the cache: it was never fetched, or it was removed.\n"
    assert "handconv data download mnist" in output.err
    assert main(["data", "verify", "mnist", "--json"]) == 1
    (record,) = objects(capsys.readouterr().out)
    assert (record["state"], record["sound"]) == ("not cached", False)


def test_the_tilde_is_the_home_folder(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "mine").mkdir()
    assert main(["data", "download", "mnist", "--data-dir", "~/mine"]) == 1
    assert f"{tmp_path / 'mine'} does not hold MNIST" in capsys.readouterr().err


def test_a_wrong_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "download", "mnist", "--source", "moon"]) == 2
    assert "auto, kaggle, mirror, offline" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_named(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HANDCONV_CACHE", str(tmp_path / "file"))
    assert main(["data", "download", "mnist", "--data-dir", str(data_dir)]) == 1
    output = capsys.readouterr()
    assert "Set HANDCONV_CACHE to a folder that can be written." in output.err
    assert output.err.splitlines()[-1] == f"handconv: mnist could not be put into {tmp_path / 'file'}."
    assert output.out == ""


def test_the_real_mnist_into_the_cache(data_dir: Path, cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "download", "mnist", "--data-dir", str(data_dir)]) == 0
    assert main(["data", "verify", "mnist"]) == 0
    assert "all checksums are right" in capsys.readouterr().out
    assert main(["data", "--json"]) == 0
    assert objects(capsys.readouterr().out)[1]["state"] == "cached"


class TestShowAugmented:
    def test_draws_one_image_of_each_class_as_the_recipe_changes_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "augmented.png"
        assert main(["data", "--show-augmented", str(path), "--dataset", "digits"]) == 0
        assert "10 images of digits, and 8 forms of each" in " ".join(capsys.readouterr().out.split())
        assert path.read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize(
        ("file", "options", "message"),
        [
            ("x.png", ["--recipe", "plain"], "the recipe 'plain' changes no images. Name another one, --recipe best"),
            ("x.png", ["--recipe", ""], "there is no recipe ''"),
            ("x.png", ["--recipe", "bestt"], "there is no recipe 'bestt'. Did you mean best?"),
            ("x.jpg", [], "--show-augmented must name a file that ends in .png"),
        ],
    )
    def test_says_what_cannot_be_drawn(
        self, file: str, options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["data", "--show-augmented", str(tmp_path / file), "--dataset", "digits", *options]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
