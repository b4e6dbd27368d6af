"""Files of every kind, damaged in every way: only the documented errors come out, in little memory, touching nothing.

``--fuzz-rounds 500`` goes on for longer.
"""

import argparse
import gzip
import io
import json
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.cli._errors import UsageError
from handconv.cli._recipe import read_config, resolve
from handconv.cli._settings import given_settings
from handconv.cli.train import TrainSettings
from handconv.datasets.readers import encode_idx, load_csv, read_idx, read_picture

DOCUMENTED = (hc.DataError, hc.ModelFileError, UsageError)
MEMORY = 64_000_000  # bytes that reading a small file may take, whatever it promises
X, Y = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32), np.array([0, 1, 2] * 2)
HOSTILE_NUMBERS = [
    bytes.fromhex(word) for word in ("ffffffff", "7fffffff", "80000000", "00000080", "ffffff7f", "00000000")
]
HOSTILE_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    2,
    1.5,
    1e308,
    10**30,
    -(10**30),
    "",
    "x",
    "../../x",
    [],
    [[]],
    {},
    {"a": 1},
]
HOSTILE_VALUES += [json.loads("[" * 200 + "]" * 200), float("nan"), float("-inf"), "Dense", "float64", [1] * 1000]


def model() -> hc.Sequential:
    layers = [hc.Dense(3, l2=1e-3), hc.LeakyReLU(), hc.Dropout(0.3), hc.Dense(3), hc.Softmax()]
    return hc.Sequential(layers, input_shape=(4,), seed=0)


def fit(**options: Any) -> None:
    model().fit(X, Y, epochs=2, batch_size=2, optimizer=hc.Adam(hc.schedules.OneCycle(0.1)), **options)


def saved(write: Callable[[Path], object], folder: Path) -> bytes:
    """The bytes of the file that something writes."""
    path = folder / "sound.npz"
    write(path)
    return path.read_bytes()


def picture(kind: str) -> bytes:
    image = pytest.importorskip("PIL.Image", reason="Pillow writes the pictures")
    file = io.BytesIO()
    image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7), np.uint8)).save(file, kind)
    return file.getvalue()


def table() -> bytes:
    pytest.importorskip("pandas", reason="pandas reads the tables that are not in MNIST's plain form")
    return CSV


def read_toml(path: Path) -> object:
    config, tables = read_config(str(path))
    given = given_settings(TrainSettings, argparse.Namespace(), config, str(path))
    return resolve(hc.recipes.load("standard"), str(path), tables, given, [])


TOML = b"""dataset = "digits"
epochs = 3
learning-rate = 0.01
play = false
seed = 1
workers = "auto"
optimizer = { class = "AdamW", weight-decay = 0.1, learning_rate = { class = "CosineDecay", initial = 0.1 } }
averaging.class = "StochasticAverage"
augment = [{ class = "Shift", pixels = 2 }]
"""
CSV = b"label,a,b,c,d\n1,20,255,0,7\n2,0,0,0,0\n"
IDX = encode_idx(np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4))
#: By kind: the name that such a file has, its bytes, and what reads it.
KINDS: dict[str, tuple[str, Callable[[Path], bytes], Callable[[Path], object]]] = {
    "idx": ("a-idx3-ubyte", lambda _: IDX, read_idx),
    "idx, packed": ("a-idx3-ubyte.gz", lambda _: gzip.compress(IDX), read_idx),
    "csv": ("a.csv", lambda _: table(), load_csv),
    "csv, packed": ("a.csv.gz", lambda _: gzip.compress(table()), load_csv),
    "png": ("a.png", lambda _: picture("PNG"), lambda path: read_picture(path, at_most=8)),
    "jpeg": ("a.jpg", lambda _: picture("JPEG"), lambda path: read_picture(path, at_most=8)),
    "gif": ("a.gif", lambda _: picture("GIF"), lambda path: read_picture(path, at_most=8)),
    "model": ("a.npz", lambda folder: saved(model().save, folder), hc.load),
    "checkpoint": (
        "a.npz",
        lambda folder: saved(lambda path: fit(callbacks=[hc.Checkpoint(path)]), folder),
        lambda path: fit(resume=path),
    ),
    "toml": ("a.toml", lambda _: TOML, read_toml),
}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Bytes with a bit flipped, a number made huge, or a piece lost, doubled, moved, or made up."""
    content = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        start, length = chance.randrange(len(content) + 1), chance.choice((1, 2, 4, 16, 1000))
        piece = content[start : start + length]
        change = chance.randrange(7)
        if change == 0 and piece:
            content[start] ^= 1 << chance.randrange(8)
        elif change == 1:
            content[start : start + 4] = chance.choice(HOSTILE_NUMBERS)
        elif change == 2:
            del content[start : start + length]
        elif change == 3:
            content[start:start] = piece * chance.choice((1, 2, 100))
        elif change == 4:
            del content[start:]
        elif change == 5:
            content[start:start] = chance.randbytes(length)
        else:
            content[chance.randrange(len(content) + 1) :][:length] = piece
    return bytes(content)


def damaged_within(data: bytes, chance: random.Random) -> bytes:
    """An archive in good order with hostile values in its description, or damaged arrays."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(chance.randint(1, 2)):
        name = chance.choice([*parts, *["metadata.json"] * len(parts)])
        if name == "metadata.json":
            description = json.loads(parts[name])
            hurt(description, chance)
            parts[name] = json.dumps(description).encode()
        else:
            parts[name] = damaged(parts[name], chance)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def hurt(value: Any, chance: random.Random) -> None:
    """Put a hostile value somewhere into a structure of lists and dictionaries, or take something out of it."""
    while True:
        place = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if isinstance(value[place], dict | list) and value[place] and chance.random() < 0.85:
            value = value[place]
        elif chance.random() < 0.1:
            del value[place]
            return
        else:
            value[place] = chance.choice(HOSTILE_VALUES)
            return


@pytest.mark.filterwarnings("ignore")  # of NumPy, about the arithmetic of a damaged network
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_refused(kind: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    name, build, read = KINDS[kind]
    sound, path, refused = build(tmp_path), tmp_path / name, 0
    chance, rounds = random.Random(kind), 100 * pytestconfig.getoption("fuzz_rounds")
    path.write_bytes(sound)
    read(path)
    before = sorted(tmp_path.parent.rglob("*"))
    tracemalloc.start()
    try:
        for _ in range(rounds):
            within = name.endswith(".npz") and chance.random() < 0.7
            content = (damaged_within if within else damaged)(sound, chance)
            path.write_bytes(content)
            tracemalloc.reset_peak()
            try:
                read(path)
            except DOCUMENTED as error:
                refused += 1
                if str(path) not in str(error):
                    raise AssertionError(f"the file is not named: {error}") from error
            except hc.DivergenceError:  # sound as a file, with numbers that lead nowhere
                assert kind == "checkpoint"
            except Exception as error:
                error.add_note(f"{kind}: {content!r}"[:3000])
                raise
            assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    print(f"\n{kind}: {rounds:,} files, {refused:,} refused")
    assert refused > rounds // 10
    assert sorted(tmp_path.parent.rglob("*")) == before
