"""The embedded digits: what they are, how they look, and that the script makes the same file again."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from handconv.datasets import digits
from handconv.datasets.digits import load_digits_arrays

REPOSITORY = Path(__file__).resolve().parents[2]
STORED = REPOSITORY / "src" / "handconv" / "datasets" / "digits.npz"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    x_train, _, x_test, _ = load_digits_arrays()
    return np.concatenate([x_train, x_test])[:, 0]


def test_there_are_1437_to_train_on_and_360_to_test_with() -> None:
    shapes = [array.shape for array in load_digits_arrays()]
    assert shapes == [(1437, 1, 28, 28), (1437,), (360, 1, 28, 28), (360,)]


def test_images_are_uint8_and_labels_int64() -> None:
    assert [array.dtype for array in load_digits_arrays()] == [np.uint8, np.int64, np.uint8, np.int64]


def test_each_class_has_a_fifth_of_its_digits_in_the_test_part() -> None:
    _, y_train, _, y_test = load_digits_arrays()
    total = np.bincount(y_train) + np.bincount(y_test)
    assert len(total) == 10
    assert np.all(np.abs(np.bincount(y_test) - total / 5) < 1)


def test_the_parts_are_shuffled() -> None:
    _, y_train, _, y_test = load_digits_arrays()
    assert all(np.mean(labels[1:] == labels[:-1]) < 0.2 for labels in (y_train, y_test))


def test_two_loads_give_the_same() -> None:
    for first, second in zip(load_digits_arrays(), load_digits_arrays(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_they_are_about_as_dark_as_mnist(images: np.ndarray) -> None:
    assert 30 < images.mean() < 40  # MNIST: 33.3
    assert np.all(images.max(axis=(1, 2)) > 200)


def test_the_ink_lies_in_a_box_of_twenty_pixels(images: np.ndarray) -> None:
    for axis in (1, 2):
        inked = images.any(axis=axis)
        first, last = inked.argmax(axis=1), 27 - inked[:, ::-1].argmax(axis=1)
        assert (last - first).max() < 20


def test_the_centre_of_mass_is_in_the_middle(images: np.ndarray) -> None:
    mass = images.sum(axis=(1, 2), dtype=np.float64)
    for axis in (1, 2):
        centre = images.sum(axis=axis, dtype=np.float64) @ np.arange(28) / mass
        assert np.abs(centre - 14).max() <= 0.5


def test_enlarging_keeps_a_picture_upright() -> None:
    small = np.zeros((1, 8, 8), dtype=np.uint8)
    small[0, 0] = small[0, :, 0] = 16
    big = digits._enlarge(small)[0, 0].astype(np.int64)
    rows, columns = big.sum(axis=1), big.sum(axis=0)
    assert rows.argmax() < 14
    assert columns.argmax() < 14
    np.testing.assert_array_equal(big, big.T)


def test_the_interpolation_of_an_even_area_is_even_away_from_the_edge() -> None:
    np.testing.assert_allclose(digits._interpolation(8, 20).sum(axis=1)[4:-4], 1)


def test_the_notice_names_the_source_and_the_licence() -> None:
    for path in (REPOSITORY / "NOTICE", STORED.with_name("digits-NOTICE.txt")):
        text = path.read_text(encoding="utf-8")
        assert "10.24432/C50P49" in text
        assert "CC BY 4.0" in text
        assert "Alpaydin" in text


def test_the_script_makes_the_same_file_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn.datasets", reason="the embedded digits are made from scikit-learn's copy")
    spec = importlib.util.spec_from_file_location("make_digits", REPOSITORY / "scripts" / "make_digits.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "TARGET", tmp_path / "digits.npz")
    script.main()
    assert (tmp_path / "digits.npz").read_bytes() == STORED.read_bytes()
