"""Model files: to the bit and back, whole or not at all; and whatever is wrong with one is a ModelFileError."""

import copy
import io
import json
import os
import pickle
import stat
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

import handconv as hc
from handconv.serialization import npz
from network_cases import Counting, Residual

Parts = dict[str, bytes]


def model(**options: Any) -> hc.Sequential:
    layers = [
        hc.Conv2D(2, 3, stride=(1, 2), padding="same", l2=0.1, name="conv"), hc.LeakyReLU(0.2), hc.MaxPool2D(2),
        hc.Reshape((-1,)), hc.Dropout(0.3), hc.Dense(2, use_bias=False, weight_init="glorot_uniform"), hc.Softmax(),
    ]  # fmt: skip
    return hc.Sequential(layers, **{"input_shape": (1, 4, 6), "seed": 5} | options)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    model().save(path)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A file of a thousand bytes, to be damaged in every place."""
    path = tmp_path / "small.npz"
    hc.Sequential([hc.Dense(1, name="d", use_bias=False)], input_shape=(2,), seed=5).save(path)
    return path


@pytest.fixture
def parts(saved: Path) -> Parts:
    with zipfile.ZipFile(saved) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def load_parts(tmp_path: Path) -> Callable[[Parts], hc.Sequential]:
    """Loads a file made of these entries, with the right checksums."""

    def load(parts: Parts) -> hc.Sequential:
        path = tmp_path / "made.npz"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return hc.load(path)

    return load


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_parameters_come_back_to_the_bit(self, dtype: str, tmp_path: Path) -> None:
        before = model(dtype=dtype)
        before.parameters[:5] = [0.0, -0.0, np.nan, np.inf, np.finfo(dtype).smallest_subnormal]
        before.save(tmp_path / "m.npz")
        after = hc.load(tmp_path / "m.npz")
        assert after.parameters.tobytes() == before.parameters.tobytes()
        assert after.dtype == before.dtype

    def test_layers_seed_shape_and_info_come_back(self, tmp_path: Path) -> None:
        before = model()
        before.info = {"dataset": "mnist", "classes": ["0", "ü"], "mean": 0.5}
        before.save(tmp_path / "m.npz")
        after = hc.load(tmp_path / "m.npz")
        assert repr(after.layers) == repr(before.layers)
        assert (after.names, after.input_shape, after.streams.seed, after.info) == (
            before.names, before.input_shape, 5, before.info,
        )  # fmt: skip

    def test_predictions_are_the_same(self, saved: Path) -> None:
        x = np.random.default_rng(0).normal(size=(5, 1, 4, 6))
        np.testing.assert_array_equal(hc.load(saved).predict(x), model().predict(x))

    def test_a_loaded_model_trains_on_as_the_saved_one(self, saved: Path) -> None:
        x, y = np.random.default_rng(0).normal(size=(30, 1, 4, 6)), np.arange(30) % 2
        before, after = model(), hc.load(saved)
        for network in (before, after):
            network.fit(x, y, epochs=2, batch_size=8)
        np.testing.assert_array_equal(before.parameters, after.parameters)

    def test_the_same_model_gives_the_same_file_to_the_byte(self, saved: Path, tmp_path: Path) -> None:
        hc.load(saved).save(tmp_path / "again.npz")
        assert (tmp_path / "again.npz").read_bytes() == saved.read_bytes()

    def test_numpy_reads_the_arrays(self, saved: Path) -> None:
        with np.load(saved, allow_pickle=False) as arrays:
            np.testing.assert_array_equal(arrays["conv.weights"], model().named_parameters()["conv.weights"])

    def test_a_model_without_parameters(self, tmp_path: Path) -> None:
        hc.Sequential([hc.Flatten()], input_shape=(1, 2, 2)).save(tmp_path / "m.npz")
        assert repr(hc.load(tmp_path / "m.npz").layers) == "(Flatten(),)"

    @pytest.mark.parametrize(
        "array", [np.zeros((0, 3)), np.zeros((2, 0), np.int16), np.array([True, False]), np.arange(3, dtype=">i4")]
    )
    def test_arrays_of_any_shape_and_numbers(self, array: np.ndarray, tmp_path: Path) -> None:
        npz.save(tmp_path / "a.npz", {"a": array}, {"b": None})
        arrays, metadata = npz.load(tmp_path / "a.npz")
        assert metadata == {"b": None}
        np.testing.assert_array_equal(arrays["a"], array)
        assert (arrays["a"].dtype, arrays["a"].flags.writeable) == (array.dtype, True)

    @pytest.mark.parametrize("order", ["F", "reversed"])
    def test_arrays_in_any_memory_order(self, order: str, tmp_path: Path) -> None:
        array = np.arange(6.0).reshape(2, 3)
        npz.save(tmp_path / "a.npz", {"a": np.asfortranarray(array) if order == "F" else array[::-1]}, {})
        np.testing.assert_array_equal(npz.load(tmp_path / "a.npz")[0]["a"], array if order == "F" else array[::-1])


class TestSaving:
    def test_a_failing_write_leaves_the_old_file_and_nothing_else(self, saved: Path) -> None:
        before = saved.read_bytes()

        def fail(file: IO[bytes]) -> None:
            file.write(b"half of it")
            raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match="No space left"):
            npz.write_atomically(saved, fail)
        assert saved.read_bytes() == before
        assert [entry.name for entry in saved.parent.iterdir()] == ["model.npz"]

    def test_an_interrupted_write_leaves_nothing(self, tmp_path: Path) -> None:
        def interrupt(file: IO[bytes]) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            npz.write_atomically(tmp_path / "new.npz", interrupt)
        assert not list(tmp_path.iterdir())

    def test_what_a_killed_writer_left_is_removed_an_hour_later(self, saved: Path) -> None:
        fresh, old = (saved.with_name(f".model.npz.{name}.tmp") for name in ("fresh", "old"))
        other = saved.with_name(".other.npz.old.tmp")
        for file in fresh, old, other:
            file.write_bytes(b"half of it")
        hour_ago = time.time() - 3601
        for file in old, other:
            os.utime(file, (hour_ago, hour_ago))
        model().save(saved)
        assert sorted(entry.name for entry in saved.parent.iterdir()) == [fresh.name, other.name, "model.npz"]

    def test_a_whole_file_replaces_the_old_one(self, saved: Path) -> None:
        changed = model()
        changed.parameters[...] = 1
        changed.save(saved)
        assert (hc.load(saved).parameters == 1).all()
        assert [entry.name for entry in saved.parent.iterdir()] == ["model.npz"]

    @pytest.mark.skipif(os.name != "posix", reason="permissions of files are POSIX's")
    def test_the_file_has_the_permissions_of_any_new_file(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            model().save(tmp_path / "m.npz")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "m.npz").stat().st_mode) == 0o640

    def test_a_missing_folder_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            model().save(tmp_path / "missing" / "m.npz")

    def test_keys_that_would_come_back_as_texts_are_refused(self, saved: Path) -> None:
        strange = model()
        strange.info = {"classes": {0: "cat"}}
        with pytest.raises(ValueError, match=r"info\['classes'\] has the key 0, and a file holds texts as keys"):
            strange.save(saved)

    def test_what_json_cannot_say_is_an_error_and_leaves_the_old_file(self, saved: Path) -> None:
        before, strange = saved.read_bytes(), model()
        strange.info = {"mean": float("nan")}
        with pytest.raises(ValueError, match=r"info\['mean'\] is nan, and a file holds finite numbers only"):
            strange.save(saved)
        assert saved.read_bytes() == before


class TestDamaged:
    def test_cut_off_anywhere(self, small: Path) -> None:
        whole = small.read_bytes()
        for end in range(len(whole)):
            small.write_bytes(whole[:end])
            with pytest.raises(hc.ModelFileError):
                hc.load(small)

    def test_a_flipped_bit_is_an_error_or_changes_nothing(self, small: Path) -> None:
        whole, expected = small.read_bytes(), hc.load(small).parameters.tobytes()
        for place in range(len(whole)):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << place % 8
            small.write_bytes(flipped)
            try:
                parameters = hc.load(small).parameters
            except hc.ModelFileError:
                continue
            assert parameters.tobytes() == expected, f"bit {place % 8} of byte {place}"

    @pytest.mark.parametrize(
        "content",
        [b"", b"PK", b"\x89PNG\r\n\x1a\n" * 20, b"<html></html>", pickle.dumps([1]), b"PK\x05\x06" + bytes(18)],
    )
    def test_another_kind_of_file(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "m.npz").write_bytes(content)
        with pytest.raises(hc.ModelFileError, match=r"m\.npz is no handconv model.*Give a file that save\(\) wrote"):
            hc.load(tmp_path / "m.npz")

    def test_another_npz(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "m.npz", a=np.zeros(3))
        with pytest.raises(hc.ModelFileError, match=r"is no handconv model: it has no metadata\.json"):
            hc.load(tmp_path / "m.npz")

    def test_a_missing_file_is_a_file_not_found(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            hc.load(tmp_path / "m.npz")

    def test_a_folder_is_an_os_error(self, tmp_path: Path) -> None:
        (tmp_path / "m.npz").mkdir()
        with pytest.raises(OSError, match=r"m\.npz"):
            hc.load(tmp_path / "m.npz")

    def test_a_missing_entry(self, parts: Parts, load_parts: Callable[[Parts], Any]) -> None:
        for name in parts:
            with pytest.raises(hc.ModelFileError):
                load_parts({other: content for other, content in parts.items() if other != name})

    def test_an_array_of_another_shape(self, parts: Parts, load_parts: Callable[[Parts], Any]) -> None:
        with pytest.raises(
            hc.ModelFileError, match=r"conv\.weights has shape \(18,\) and type float32, expected \(2, 1"
        ):
            load_parts(parts | {"conv.weights.npy": npy(np.zeros(18, np.float32))})

    def test_an_array_of_another_type(self, parts: Parts, load_parts: Callable[[Parts], Any]) -> None:
        with pytest.raises(hc.ModelFileError, match=r"conv\.biases has shape \(2,\) and type int32"):
            load_parts(parts | {"conv.biases.npy": npy(np.zeros(2, np.int32))})

    def test_an_array_by_another_name(self, parts: Parts, load_parts: Callable[[Parts], Any]) -> None:
        content = parts.pop("conv.weights.npy")
        with pytest.raises(hc.ModelFileError, match=r"conv\.weights is missing"):
            load_parts(parts | {"other.weights.npy": content})


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def with_header(text: str, data: bytes = bytes(72)) -> bytes:
    """An array file with a header of one's own."""
    header = text.encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


class TestHostile:
    @pytest.mark.parametrize(
        "content",
        [
            pickle.dumps(print),
            b"\x93NUMPY\x01\x00\x10\x00" + pickle.dumps({"a": 1}),
            with_header("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n", pickle.dumps([1, 2])),
            with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000,), }\n"),
            with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }\n"),
            with_header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'9' * 5000},), }}\n"),
            with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -9), }\n"),
            with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 3, 4), }\n"),
            with_header("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1, 3, 3), }\n"),
            with_header("{'descr': '<f3', 'fortran_order': False, 'shape': (2, 1, 3, 3), }\n"),
            with_header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (18,), }\n"),
            with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (18L,), }\n"),
            with_header("(" * 60_000),
            with_header("'''"),
            with_header(""),
            b"\x93NUMPY\x01\x00\xff\xff{}",
            b"\x93NUMPY\x02\x00" + npy(np.zeros(18, np.float32))[8:],
            b"\x93NUMPY",
            b"",
        ],
    )
    def test_arrays_are_read_by_numbers_alone(
        self, content: bytes, parts: Parts, load_parts: Callable[[Parts], Any]
    ) -> None:
        with pytest.raises(hc.ModelFileError):
            load_parts(parts | {"conv.weights.npy": content})

    def test_every_byte_of_a_header_counts(self, parts: Parts, load_parts: Callable[[Parts], Any]) -> None:
        """NumPy's own reader evaluates the header as Python, and fails in a dozen ways, or warns."""
        whole = parts["conv.weights.npy"]
        for place in range(10, 80, 2):
            for wrong in b"'(\\\n0,x}":
                content = bytearray(whole)
                content[place] = wrong
                if content != whole:
                    try:
                        load_parts(parts | {"conv.weights.npy": bytes(content)})
                    except hc.ModelFileError:
                        continue
                    raise AssertionError(f"read with {chr(wrong)!r} at {place}")

    @pytest.mark.parametrize("name", ["../../evil.npy", "/etc/evil.npy", "C:\\evil.npy", "conv.weights.npy/../x.npy"])
    def test_paths_in_names_lead_nowhere(
        self, name: str, parts: Parts, load_parts: Callable[[Parts], Any], tmp_path: Path
    ) -> None:
        with pytest.raises(hc.ModelFileError):
            load_parts(parts | {name: npy(np.zeros(3))})
        assert {entry.name for entry in tmp_path.iterdir()} == {"model.npz", "made.npz"}

    def test_compressed_arrays_are_refused_as_they_may_be_bombs(self, parts: Parts, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        with pytest.raises(hc.ModelFileError, match="or compressed"):
            hc.load(tmp_path / "m.npz")

    def test_an_entry_that_claims_to_be_huge_is_refused(self, saved: Path) -> None:
        with zipfile.ZipFile(saved) as archive:
            weights = archive.getinfo("conv.weights.npy")
            weights.file_size = 1 << 33
            with pytest.raises(hc.ModelFileError, match="larger than"):
                npz._read_array(archive, weights)
            archive.getinfo("metadata.json").file_size = 1 << 29
            with pytest.raises(hc.ModelFileError, match="larger than"):
                npz._read_metadata(archive)

    @pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "NaN", "\xff", "[" * 100_000, '{"format": 1}'])
    def test_metadata_that_is_no_description(self, text: str, parts: Parts, load_parts: Callable[[Parts], Any]) -> None:
        with pytest.raises(hc.ModelFileError):
            load_parts(parts | {"metadata.json": text.encode("latin-1")})

    @pytest.mark.parametrize("wrong", [None, -1, 1.5, 10**30, "x", [], {}, [-1], [0, 4, 4]])
    def test_any_wrong_value_in_the_description_is_told_or_harmless(
        self, wrong: Any, parts: Parts, load_parts: Callable[[Parts], Any]
    ) -> None:
        description = json.loads(parts["metadata.json"])
        for place in places(description):
            changed = copy.deepcopy(description)
            target = changed
            for step in place[:-1]:
                target = target[step]
            target[place[-1]] = wrong
            try:
                loaded = load_parts(parts | {"metadata.json": json.dumps(changed).encode()})
            except hc.ModelFileError:
                continue
            assert place[0] in ("info", "seed", "layers", "epochs_trained"), place
            assert loaded.parameters.tobytes() == model().parameters.tobytes()

    def test_any_missing_value_of_the_description_is_told_or_has_a_default(
        self, parts: Parts, load_parts: Callable[[Parts], Any]
    ) -> None:
        description = json.loads(parts["metadata.json"])
        for place in places(description):
            changed = copy.deepcopy(description)
            target = changed
            for step in place[:-1]:
                target = target[step]
            del target[place[-1]]
            try:
                load_parts(parts | {"metadata.json": json.dumps(changed).encode()})
            except hc.ModelFileError:
                continue
            assert place[0] in ("layers", "epochs_trained"), place

    def test_a_layer_that_is_not_known(self, parts: Parts, load_parts: Callable[[Parts], Any]) -> None:
        description = json.loads(parts["metadata.json"])
        description["layers"][1]["class"] = "Swish"
        with pytest.raises(hc.ModelFileError, match=r"a layer 'Swish' that is not known here.*layers=\{'Swish': …\}"):
            load_parts(parts | {"metadata.json": json.dumps(description).encode()})

    @pytest.mark.parametrize("name", ["os.system", "ParameterSpec", "Layer", "Weighted", "__class__"])
    def test_only_layers_are_made(self, name: str, parts: Parts, load_parts: Callable[[Parts], Any]) -> None:
        description = json.loads(parts["metadata.json"])
        description["layers"][0]["class"] = name
        with pytest.raises(hc.ModelFileError):
            load_parts(parts | {"metadata.json": json.dumps(description).encode()})

    def test_another_version_says_what_to_do(self, parts: Parts, load_parts: Callable[[Parts], Any]) -> None:
        description = json.loads(parts["metadata.json"]) | {"version": 2}
        with pytest.raises(hc.ModelFileError, match=r"has version 2 of the format, this handconv reads 1\. Update"):
            load_parts(parts | {"metadata.json": json.dumps(description).encode()})

    def test_a_description_of_a_huge_network_allocates_nothing(
        self, parts: Parts, load_parts: Callable[[Parts], Any]
    ) -> None:
        description = json.loads(parts["metadata.json"])
        description["layers"][5]["config"]["units"] = 10**15
        with pytest.raises(hc.ModelFileError, match="layers keep 4000000000000020 numbers, the file holds others"):
            load_parts(parts | {"metadata.json": json.dumps(description).encode()})


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in nested objects and lists."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*before, key)
        yield from places(value[key], (*before, key))


def test_buffers_and_layers_within_layers_come_back(tmp_path: Path) -> None:
    before = hc.Sequential([Counting(name="c"), Residual(3), hc.Dense(2)], input_shape=(3,), seed=0)
    before.fit(np.ones((20, 3)), np.arange(20) % 2)
    before.save(tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["c.mean"], before.named_buffers()["c.mean"])
        assert {"c.steps", "1.first.weights", "1.more.0.biases"} <= set(arrays)
    after = hc.load(tmp_path / "m.npz", layers={"Counting": Counting, "Residual": Residual})
    np.testing.assert_array_equal(after.parameters, before.parameters)
    np.testing.assert_array_equal(after.buffers, before.buffers)
    assert before.buffers.any()
    x = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(after.predict(x), before.predict(x))


class Chain(hc.Layer):
    """Takes its layers, a list among them, as arguments."""

    def __init__(self, first: hc.Layer, more: list[hc.Layer], *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.first, self.more = first, more

    def forward(self, inputs: Any, training: bool = False) -> Any:
        for layer in (self.first, *self.more):
            inputs = layer.forward(inputs, training)
        return inputs


def test_layers_that_are_arguments_are_described_and_made_again(tmp_path: Path) -> None:
    before = hc.Sequential([Chain(hc.Dense(3), [hc.Tanh(), hc.Dense(2)])], input_shape=(4,), seed=0)
    before.save(tmp_path / "m.npz")
    with pytest.raises(hc.ModelFileError, match="'Chain' that is not known here"):
        hc.load(tmp_path / "m.npz")
    after = hc.load(tmp_path / "m.npz", layers={"Chain": Chain})
    assert list(after.named_parameters()) == list(before.named_parameters())
    np.testing.assert_array_equal(after.predict(np.ones((2, 4))), before.predict(np.ones((2, 4))))
