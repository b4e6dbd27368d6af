"""Tables with a column that tells training from test images."""

from pathlib import Path

import pytest

import handconv as hc
from handconv.datasets.readers.csv import load_csv, read_table
from handconv.datasets.readers.parts import part_of

pytest.importorskip("pandas", reason="pandas is not installed")

WORDS = ["Training"] * 6 + ["PublicTest"] * 3 + ["PrivateTest"] * 2
FER = "\n".join(["emotion,pixels,Usage", *(f"{row % 2},{row} 80 82 72,{word}" for row, word in enumerate(WORDS))])
PIXELS = ",".join(f"pixel{place}" for place in range(4))


def saved(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text + "\n")
    return path


def rows(words: list[str], *, last: bool = True, header: str = "") -> str:
    lines = [f"{row % 2},{row},80,82,72" for row in range(len(words))]
    lines = [f"{line},{word}" if last else f"{word},{line}" for line, word in zip(lines, words, strict=True)]
    return "\n".join([header, *lines] if header else lines)


def test_the_parts_of_fer2013_are_taken_and_said(tmp_path: Path) -> None:
    dataset = hc.datasets.load(saved(tmp_path, FER))
    assert dataset.x_train[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert dataset.x_test[:, 0, 0, 0].tolist() == [9, 10]
    assert dataset.y_test.tolist() == [1, 0]
    assert (
        "The column 'Usage' tells the parts: Training to train on, PrivateTest to test on; 3 images of PublicTest "
        "are not used."
    ) in dataset.notices


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (rows(["train"] * 4 + ["test"] * 2, header=f"label,{PIXELS},split"), "column 'split'"),
        (rows(["train"] * 4 + ["test"] * 2, header=f"label,{PIXELS},what for"), "column 'what for'"),
        (rows(["train"] * 4 + ["test"] * 2, header=f"Set,label,{PIXELS}", last=False), "column 'Set'"),
        (rows(["TRAIN"] * 4 + ["TEST"] * 2), "column 6"),
        (rows(["train"] * 4 + ["val"] * 2, last=False), "column 1"),
    ],
)
def test_a_column_of_such_words_is_one_wherever_it_stands(text: str, name: str, tmp_path: Path) -> None:
    dataset = hc.datasets.load(saved(tmp_path, text))
    assert dataset.x_train[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert dataset.x_test[:, 0, 0, 0].tolist() == [4, 5]
    assert dataset.y_train.tolist() == [0, 1, 0, 1]
    assert any(name in line and "tells the parts" in line for line in dataset.notices)


@pytest.mark.parametrize("words", [["train"] * 12, ["0", "1", "2", "3"] * 3, ["b", "a", "x"] * 4])
def test_a_column_that_does_not_tell_is_left_out(words: list[str], tmp_path: Path) -> None:
    dataset = hc.datasets.load(saved(tmp_path, rows(words, header=f"label,{PIXELS},fold")))
    assert "The column 'fold' is left out, all parts of the set are one." in dataset.notices
    assert len(dataset.x_train) + len(dataset.x_test) == 12


def test_a_class_of_the_test_part_alone_is_refused(tmp_path: Path) -> None:
    lines = ["label,1x1,1x2,2x1,2x2,split", "0,1,2,3,4,train", "1,1,2,3,4,train", "2,1,2,3,4,test"]
    with pytest.raises(hc.errors.DataError, match="got 2 too"):
        hc.datasets.load(saved(tmp_path, "\n".join(lines)))


def test_loaded_as_arrays_all_parts_are_one(tmp_path: Path) -> None:
    path = saved(tmp_path, rows(["train", "test", "val"], header=f"label,{PIXELS},split"))
    with pytest.warns(UserWarning, match="'split' is left out"):
        images, labels = load_csv(path)
    assert len(images) == len(labels) == 3


def test_a_column_of_such_words_may_be_the_label(tmp_path: Path) -> None:
    path = saved(tmp_path, rows(["train", "test", "train"], header=f"number,{PIXELS},label"))
    samples = read_table(path)
    assert samples.class_names == ("test", "train")
    assert samples.parts == ()


@pytest.mark.parametrize(
    ("name", "part"),
    [("Training", "training"), ("training_set1", "training"), ("PublicTest", "val"), ("testset", "test"), ("7", "")],
)
def test_words_for_parts(name: str, part: str) -> None:
    assert part_of(name) == part
