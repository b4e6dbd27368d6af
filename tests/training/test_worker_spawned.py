"""Spawned workers, which get all that they need by pickle."""

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.losses import SoftmaxCategoricalCrossentropy
from handconv.parallel.shared_memory import MappedArray, SharedArray
from handconv.samples import Samples
from handconv.training import worker as workers
from network_cases import Counting, Residual
from worker_cases import Scaled, X, Y, epoch, model, task, trained


class TestSpawned:
    """A spawned worker gets all that it needs by pickle, the samples by memory that both see."""

    @pytest.mark.parametrize("mapped", [False, True])
    def test_samples_are_mapped_where_they_lie_in_a_file(self, mapped: bool, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.repeat(X, 2, axis=0))
        x = np.load(tmp_path / "x.npy", mmap_mode="r")[::2] if mapped else X
        run = task(samples=Samples(x, Y))
        with workers.ProcessExecutor(run, 2, method="spawn") as executor:
            assert isinstance(executor._x, MappedArray if mapped else SharedArray)
            for number in range(2):
                epoch(executor, number)
        np.testing.assert_array_equal(run.network.parameters, trained(2, "fork")[0])

    @pytest.mark.parametrize("part", ["layer", "sublayer", "loss", "optimizer", "schedule"])
    def test_a_class_of_a_notebook_is_refused_by_its_name(self, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
        kinds = {
            "layer": Counting, "sublayer": hc.Dense, "loss": SoftmaxCategoricalCrossentropy, "optimizer": hc.Adam,
            "schedule": hc.schedules.OneCycle,
        }  # fmt: skip
        own: Any = type("Mine", (kinds[part],), {"__module__": "__main__"})
        block = Residual(72)
        if part == "sublayer":
            block.first = own(72)
        run = task(model(own() if part == "layer" else Counting(), block))
        if part == "loss":
            run.loss = own()
        if part in ("optimizer", "schedule"):
            run.optimizer = own(0.01) if part == "optimizer" else hc.Adam(own(0.01))
        with pytest.raises(hc.WorkerError, match=r"Mine is defined in __main__ .*into a module, or use workers=1"):
            workers.ProcessExecutor(run, 2, method="spawn")
        workers.ProcessExecutor(run, 2, method="fork")

    def test_a_class_of_a_script_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        main = types.ModuleType("__main__")
        main.__file__ = __file__
        monkeypatch.setitem(sys.modules, "__main__", main)
        own: Any = type("Mine", (hc.Dense,), {"__module__": "__main__"})
        main.Mine = own  # type: ignore[attr-defined]
        workers.ProcessExecutor(task(model(own(72))), 2, method="spawn")

    @pytest.mark.parametrize("part", ["layer", "augmentation"])
    def test_what_is_defined_within_a_function_is_refused_by_its_name(self, part: str) -> None:
        class Inner(Scaled):
            pass

        run = task(model(Inner())) if part == "layer" else task(augment=lambda images, _: images)
        name = "Inner" if part == "layer" else "<lambda>"
        with pytest.raises(hc.WorkerError, match=rf"{name} is defined where no other process can get at it .*<locals>"):
            workers.ProcessExecutor(run, 2, method="spawn")

    def test_a_program_of_standard_input_is_not_run_again(self) -> None:
        program = (
            "import threading, time, numpy as np, handconv as hc\n"
            "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
            "model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)\n"
            "x = np.random.default_rng(0).normal(size=(512, 4))\n"
            "print(len(model.fit(x, (x[:, 0] > 0).astype(int), batch_size=256, workers=2)['loss']))\n"
        )
        done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("1\n", "")

    def test_classes_of_modules_are_fine_in_a_notebook(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
        workers.ProcessExecutor(task(), 2, method="spawn")
