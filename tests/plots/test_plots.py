"""Each plot is a figure that has the right numbers in it, and says in its headline what is seen."""

import copy
import itertools

import numpy as np
import pytest

import handconv as hc
from handconv import plots
from handconv.analysis import probabilities, report
from handconv.analysis.attribution import hires_cam
from handconv.analysis.hidden import last_hidden, principal_components
from handconv.analysis.histograms import Histogram, Histograms, loss_gradients
from handconv.metrics import expected_calibration_error

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    data = hc.datasets.load("digits")
    return data.x_test, data.y_test


@pytest.fixture(scope="module")
def model() -> hc.Sequential:
    return hc.zoo.trained_reference()


@pytest.fixture(scope="module")
def scores() -> tuple[hc.Sequential, np.ndarray, np.ndarray]:
    """A model that gives its input as scores, of which two answers of five are wrong."""
    network = hc.Sequential([hc.Reshape((3,))], input_shape=(3,), seed=0)
    return (
        network,
        np.array([[5, 0, 0], [0, 5, 0], [0, 0, 5], [2, 0, 0], [9, 0, 0]], np.float32),
        np.array([0, 1, 2, 1, 1]),
    )


def dense() -> hc.Sequential:
    return hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)


def test_history_has_training_and_validation_of_each_epoch() -> None:
    history = hc.History()
    history.append({"epoch": 1, "loss": 0.5, "val_loss": 0.4, "learning_rate": 0.1})
    history.append({"epoch": 2, "loss": 0.3, "val_loss": 0.6, "learning_rate": 0.05})
    figure = plots.history(history)
    loss, rate = figure.axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[0.5, 0.3], [0.4, 0.6]]
    assert rate.lines[0].get_ydata().tolist() == [0.1, 0.05]
    assert "validation loss was least after epoch 1" in figure.get_suptitle().replace("\n", " ")


@pytest.mark.parametrize("epochs", [{"loss": [0.5, 0.4]}, [{"loss": "0.5"}], [{"loss": None}], ["loss"]])
def test_what_is_no_history_is_refused_in_a_sentence(epochs: object) -> None:
    with pytest.raises(TypeError, match="history must be what fit returned, or figures of each epoch"):
        plots.history(epochs)  # type: ignore[arg-type]


def test_a_notebook_shows_a_figure_at_the_end_of_a_cell_and_a_copy_of_it() -> None:
    history = hc.History()
    history.append({"epoch": 1, "loss": 0.5})
    figure = copy.deepcopy(history.plot())
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_one_epoch_is_the_only_mark_of_its_axis() -> None:
    figure = plots.history([{"epoch": 1, "loss": 0.5, "accuracy": 0.4}])
    figure.canvas.draw()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]


def test_epochs_whose_figures_are_no_numbers_keep_their_place_and_are_told() -> None:
    nan = float("nan")
    figure = plots.history([{"epoch": 1, "loss": 0.5, "val_loss": nan}, {"epoch": 2, "loss": nan, "val_loss": 0.4}])
    low, high = figure.axes[0].get_xlim()
    assert low < 1 < 2 < high
    assert figure.get_suptitle().replace("\n", " ") == "After 2 epochs: loss not a number, validation loss 0.4"


def test_the_best_validation_is_told_where_the_last_is_no_number() -> None:
    losses = [float("nan"), 0.4, float("nan")]
    figure = plots.history([{"epoch": place, "val_loss": loss, "loss": 1.0} for place, loss in enumerate(losses, 1)])
    assert "validation loss was least after epoch 2" in figure.get_suptitle().replace("\n", " ")


def test_a_loss_below_0_is_seen() -> None:
    axes = plots.history([{"epoch": 1, "loss": -1.0}, {"epoch": 2, "loss": -3.0}]).axes[0]
    low, high = axes.get_ylim()
    assert low < -3 < -1 < high


def test_the_axis_of_an_accuracy_ends_at_100_per_cent() -> None:
    accuracy = plots.history([{"epoch": place, "loss": 0.1, "accuracy": 1.0} for place in (1, 2, 3)]).axes[1]
    assert 1 < accuracy.get_ylim()[1] < 1.01


@pytest.mark.parametrize(("epochs", "is_marked"), [(30, True), (31, False)])
def test_a_curve_of_many_epochs_has_no_marks(epochs: int, is_marked: bool) -> None:
    line = plots.history([{"epoch": place, "loss": 1 / (1 + place)} for place in range(epochs)]).axes[0].lines[0]
    assert (line.get_markersize() > 0) == is_marked


def test_a_history_without_epochs_is_told() -> None:
    with pytest.raises(ValueError, match="without epochs"):
        plots.history([])


def test_confusion_writes_each_count_and_names_the_worst_pair(scores: tuple) -> None:
    figure = plots.confusion(*scores, ["a", "b", "c"])
    written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert written == {(0, 0): "1", (0, 1): "2", (1, 1): "1", (2, 2): "1"}
    assert figure.get_suptitle() == "b is taken for a most often: 2 of 3"


def test_confusion_of_a_model_that_makes_no_mistake(scores: tuple) -> None:
    model, x, y = scores
    assert plots.confusion(model, x[:3], y[:3]).get_suptitle() == "No mistake in 3 answers"


def test_classes_has_precision_and_recall_of_each(scores: tuple) -> None:
    figure = plots.classes(*scores, ["a", "b", "c"])
    precision, recall = (line.get_xdata().tolist() for line in figure.axes[0].lines)
    assert precision == pytest.approx([1 / 3, 1, 1])
    assert recall == pytest.approx([1, 1 / 3, 1])
    assert figure.get_suptitle() == "b is found least often: 1 of 3 (33.3 %)"


def test_a_class_without_samples_has_no_recall_and_one_that_is_never_answered_no_precision(scores: tuple) -> None:
    model, x, y = scores
    figure = plots.classes(model, x[[0, 1, 4]], y[[0, 1, 1]] * 0)  # all are a; a, b and a are answered
    precision, recall = (line.get_xdata().tolist() for line in figure.axes[0].lines)
    assert precision == pytest.approx([1, 0, float("nan")], nan_ok=True)
    assert recall == pytest.approx([2 / 3, float("nan"), float("nan")], nan_ok=True)


def test_no_class_is_found_least_often_if_all_are_found(scores: tuple) -> None:
    model, x, y = scores
    assert plots.classes(model, x[:3], y[:3]).get_suptitle() == "No mistake in 3 answers"


def test_long_names_leave_most_of_the_figure_to_the_matrix_and_to_the_points(scores: tuple) -> None:
    names = [f"the {kind} of all the beetles that live in this wood" for kind in ("first", "second", "third")]
    for draw in (plots.confusion, plots.classes):
        figure = draw(*scores, names)
        figure.canvas.draw()
        assert figure.axes[0].get_position().width > 0.5, draw.__name__


def test_a_class_of_many_has_a_line_on_a_figure_that_fits_a_page() -> None:
    model = hc.Sequential([hc.Reshape((47,))], input_shape=(47,), seed=0)
    figure = plots.classes(model, np.eye(47, dtype=np.float32), np.arange(47)[::-1])
    figure.canvas.draw()
    assert figure.get_figheight() < 11
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert len(boxes) == 47
    assert [one for one, other in itertools.pairwise(boxes) if one.overlaps(other)] == []


def test_samples_that_differ_by_rounding_alone_are_the_same_on_the_map(model: hc.Sequential) -> None:
    images = np.full((5, 1, 28, 28), 0.5, np.float32)
    title = plots.hidden_map(model, images, [0, 1, 2, 3, 4]).get_suptitle().replace("\n", " ")
    assert title == "The last hidden layer gives the same for all of 5 samples"


def test_names_above_the_inputs_that_excite_classes_do_not_run_into_one_another() -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(12), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    figure = plots.exciting_inputs(model, class_names=[f"{kind}th beetle with a long name" for kind in range(12)])
    figure.canvas.draw()
    titles = [axes.title.get_window_extent() for axes in figure.axes]
    assert [one for one, other in itertools.pairwise(titles) if one.overlaps(other)] == []
    assert figure.get_suptitle().replace("\n", " ").startswith("What 10 of the 12 classes would like best to see")


def test_mistakes_shows_the_worst_images_in_order(model: hc.Sequential, digits: tuple) -> None:
    figure = plots.mistakes(model, *digits, count=3)
    worst = report(model, *digits).mistakes[:3]
    for axes, each in zip(figure.axes, worst, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array().squeeze(), digits[0][each.row, 0])
        assert axes.get_title().startswith(f"{each.truth} taken for {each.answer}")


def test_a_network_that_gives_the_same_for_everything_is_said_to(digits: tuple) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(5), hc.ReLU(), hc.Dense(10), hc.Softmax()], input_shape=(1, 28, 28))
    model.build((1, 28, 28))
    model.parameters[:] = 0
    count = len(digits[0])
    same = f"The last hidden layer gives the same for all of {count} samples"
    assert plots.hidden_map(model, *digits).get_suptitle() == same
    assert plots.histograms(model, *digits).get_suptitle() == "No weight has a gradient"


def test_the_legend_of_the_calibration_lies_beside_its_axes(model: hc.Sequential, digits: tuple) -> None:
    figure = plots.calibration(model, *digits)
    figure.canvas.draw()
    (legend,) = figure.legends
    assert all(not legend.get_window_extent().overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_long_names_have_room_above_the_pictures_of_mistakes(model: hc.Sequential, digits: tuple) -> None:
    figure = plots.mistakes(model, *digits, [f"a name of class {k} that goes on" for k in range(10)], count=8)
    figure.canvas.draw()
    boxes = [axes.title.get_window_extent() for axes in figure.axes]
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes[:4]))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)


@pytest.mark.parametrize(("count", "told"), [(1, "The 1 worst of 2 mistakes"), (2, "The 2 mistakes")])
def test_the_headline_counts_the_mistakes_and_those_that_are_drawn(
    count: int, told: str, model: hc.Sequential, digits: tuple
) -> None:
    x, answers = digits[0][:5], probabilities(model, digits[0][:5]).argmax(axis=1)
    answers[:2] = (answers[:2] + 1) % 10
    assert plots.mistakes(model, x, answers, count=count).get_suptitle() == f"{told} in 5 images"


def echo(classes: int) -> tuple[hc.Sequential, np.ndarray, np.ndarray]:
    """A model that gives its input as scores, and a right answer for each class."""
    network = hc.Sequential([hc.Reshape((classes,))], input_shape=(classes,), seed=0)
    return network, np.eye(classes, dtype=np.float32), np.arange(classes)


def test_the_confusion_of_the_alphabet_has_its_counts() -> None:
    assert len(plots.confusion(*echo(26)).axes[0].texts) == 26


@pytest.mark.parametrize("name", ["{}", "character {} of the alphabet"])
def test_47_classes_are_all_named_without_overlap(name: str) -> None:
    figure = plots.confusion(*echo(47), [name.format(k) for k in range(47)])
    figure.draw_without_rendering()
    labels = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == 47
    assert all(lower.y1 <= upper.y0 for upper, lower in itertools.pairwise(labels))


def test_names_that_begin_alike_are_told_apart(scores: tuple) -> None:
    names = [f"a handwritten letter {letter}" for letter in "ABC"]
    figure = plots.confusion(*scores, names)
    assert [label.get_text()[-1] for label in figure.axes[0].get_yticklabels()] == ["A", "B", "C"]


def test_no_mistake_is_said(model: hc.Sequential, digits: tuple) -> None:
    x = digits[0][:5]
    answers = probabilities(model, x).argmax(axis=1)
    assert plots.mistakes(model, x, answers).get_suptitle() == "No mistake in 5 answers"


def test_calibration_counts_each_answer_once_and_tells_the_error(model: hc.Sequential, digits: tuple) -> None:
    figure = plots.calibration(model, *digits)
    upper, lower = figure.axes
    assert sum(bar.get_height() for bar in lower.patches) == len(digits[0])
    chances = probabilities(model, digits[0])
    error = expected_calibration_error(chances, digits[1], 10)
    assert f"{100 * error:.2f} %" in figure.get_suptitle()
    mean, share = upper.lines[1].get_xdata(), upper.lines[1].get_ydata()
    count = np.array([bar.get_height() for bar in lower.patches if bar.get_height()])
    assert (np.abs(mean - share) * count).sum() / count.sum() == pytest.approx(error)


def test_filters_are_the_weights_of_the_first_convolution(model: hc.Sequential) -> None:
    figure = plots.filters(model)
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    np.testing.assert_array_equal(drawn, model.layers[0].weights[:, 0])


def test_feature_maps_are_what_each_layer_gives(model: hc.Sequential, digits: tuple) -> None:
    figure = plots.feature_maps(model, digits[0][0])
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(drawn) == 1 + 6 * 8
    np.testing.assert_array_equal(drawn[1 + 5 * 8], model[:6].predict(digits[0][:1])[0, 0])


def test_attributions_draws_the_arrays_for_the_class_asked_for(model: hc.Sequential, digits: tuple) -> None:
    figure = plots.attributions(model, digits[0][0], 3, [f"digit {k}" for k in range(10)])
    panels = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(panels) == 5
    np.testing.assert_array_equal(panels[4], hires_cam(model, digits[0][:1], [3])[0])
    assert figure.get_suptitle().startswith("What speaks for digit 3 (")


def test_a_single_output_is_excited_by_the_class_that_it_says_yes_to() -> None:
    layers = [hc.Flatten(), hc.Dense(1), hc.Sigmoid()]
    figure = plots.exciting_inputs(hc.Sequential(layers, input_shape=(1, 6, 6), seed=0), class_names=("cat", "dog"))
    assert [axes.get_title() for axes in figure.axes] == ["dog"]
    assert figure.get_suptitle().startswith("What class dog would like best to see")


def test_exciting_inputs_has_a_picture_for_each_unit(model: hc.Sequential) -> None:
    figure = plots.exciting_inputs(model, 1, [0, 7])
    assert [axes.get_title() for axes in figure.axes] == ["unit 0", "unit 7"]


def test_the_hidden_map_has_each_sample_where_the_components_put_it(model: hc.Sequential, digits: tuple) -> None:
    x, y = digits
    figure = plots.hidden_map(model, x, y)
    places, share = principal_components(last_hidden(model, x))
    clouds = figure.axes[0].collections
    assert len(clouds) == 10
    np.testing.assert_allclose(clouds[4].get_offsets(), places[y == 4])
    assert f"{100 * share.sum():.0f} %" in figure.get_suptitle()


def test_each_of_many_classes_has_its_own_mark_and_name_on_the_hidden_map(digits: tuple) -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(9), hc.ReLU(), hc.Dense(47), hc.Softmax()], input_shape=(1, 28, 28))
    figure = plots.hidden_map(model, digits[0][:94], np.arange(94) % 47, ["a class whose name is long"] * 47)
    looks = {
        (cloud.get_facecolor().tobytes(), cloud.get_paths()[0].vertices.tobytes())
        for cloud in figure.axes[0].collections
    }
    assert len(looks) == 47
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert figure.bbox.y0 <= legend.y0 < legend.y1 <= figure.bbox.y1


def test_neighbourhoods_by_scikit_learn(model: hc.Sequential, digits: tuple) -> None:
    pytest.importorskip("sklearn")
    figure = plots.hidden_map(model, digits[0][:40], digits[1][:40], method="tsne")
    assert sum(len(cloud.get_offsets()) for cloud in figure.axes[0].collections) == 40


def test_neighbourhoods_are_laid_out_in_one_thread(monkeypatch: pytest.MonkeyPatch, digits: tuple) -> None:
    manifold, threadpoolctl = pytest.importorskip("sklearn.manifold"), pytest.importorskip("threadpoolctl")
    threads = set()

    class Layout:
        def __init__(self, **_: object) -> None: ...

        def fit_transform(self, values: np.ndarray) -> np.ndarray:
            pools = threadpoolctl.threadpool_info()
            threads.update(pool["num_threads"] for pool in pools if pool["user_api"] == "openmp")
            return values[:, :2]

    monkeypatch.setattr(manifold, "TSNE", Layout)
    plots.hidden_map(hc.zoo.reference(), digits[0][:10], digits[1][:10], method="tsne")
    assert threads == {1}


def deep(count: int) -> tuple[hc.Sequential, np.ndarray, np.ndarray]:
    """A network of so many convolutions, and samples for it."""
    layers = [hc.Conv2D(6, 3, padding=1) for _ in range(count)]
    model = hc.Sequential([*layers, hc.GlobalAveragePool2D(), hc.Softmax()], input_shape=(1, 6, 6), seed=0)
    return model, np.random.default_rng(0).random((8, 1, 6, 6), np.float32), np.arange(8) % 6


@pytest.mark.parametrize("count", [8, 9, 12])
def test_the_arrays_of_a_deep_network_have_their_pair_of_panels_on_a_figure_that_fits_a_page(count: int) -> None:
    model, x, y = deep(count)
    figure = plots.histograms(model, x, y)
    drawn = [axes for axes in figure.axes if axes.axison]
    assert sorted(axes.get_title(loc="left") for axes in drawn)[:count] == sorted(
        f"{k}.weights (Conv2D): {model.layers[k].weights.size:,}"  # type: ignore[attr-defined]
        for k in range(count)
    )
    assert len(drawn) == 2 * count
    assert figure.get_figheight() < 15
    figure.draw_without_rendering()
    assert figure.get_tightbbox().x1 <= figure.get_figwidth()


@pytest.mark.parametrize(("count", "columns"), [(12, 6), (13, 4), (20, 4)])
def test_each_layer_of_a_deep_network_has_its_maps_on_a_figure_that_fits_a_page(count: int, columns: int) -> None:
    model, x, _ = deep(count)
    figure = plots.feature_maps(model, x[0])
    assert sum(bool(axes.images) for axes in figure.axes) == 1 + columns * count
    assert figure.get_figheight() < 16
    notes = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert sorted(notes) == sorted(["the image", *(f"{k} Conv2D\n6 maps 6×6" for k in range(count))])


def test_histograms_count_each_weight_and_each_gradient(model: hc.Sequential, digits: tuple) -> None:
    figure = plots.histograms(model, digits[0][:20], digits[1][:20])
    counts = [sum(bar.get_height() for bar in axes.patches) for axes in figure.axes]
    assert counts == [72, 72, 1152, 1152, 51200, 51200, 1280, 1280]
    size = np.sqrt(np.mean(loss_gradients(model, digits[0][:20], digits[1][:20])["0.weights"].astype(float) ** 2))
    assert f"{size:.1e}" in figure.axes[1].get_title(loc="left")


def test_a_ridge_as_narrow_as_a_line_is_seen() -> None:
    kept, edges = Histograms(), np.linspace(-1, 1, 9)
    wide, narrow = (Histogram(np.array([1, 2, 3, 4, 4, 3, 2, 1]), width * edges) for width in (1, 1e-4))
    kept.weights, kept.gradients = {"0.weights": [wide, wide]}, {"0.weights": [wide, narrow]}
    figure = plots.histograms_over_time(kept)
    figure.axes[1].set_ylim(2.05, 1.0)
    canvas = pytest.importorskip("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba()).astype(int)
    x, y = map(int, figure.axes[1].transData.transform((0, 1.95)))
    around = pixels[-y - 1, x - 3 : x + 4]
    assert (around[:, 0] - around[:, 2]).max() > 60  # orange, and not the white of the outline alone


def test_epochs_stand_apart_on_their_axis() -> None:
    figure = plots.history([{"epoch": epoch, "loss": 1.0, "accuracy": 0.5} for epoch in range(1, 201)])
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels() if label.get_text()]
    inside = [box for box in boxes if figure.axes[0].bbox.x0 <= (box.x0 + box.x1) / 2 <= figure.axes[0].bbox.x1 + 1]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(inside))


def test_histograms_over_time_has_a_ridge_for_each_epoch() -> None:
    kept = Histograms()
    dense().fit(np.ones((8, 3)), [0, 1] * 4, epochs=3, callbacks=[kept])
    figure = plots.histograms_over_time(kept)
    assert [len(axes.collections) for axes in figure.axes] == [3, 3]


def test_nothing_kept_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="no histogram yet"):
        plots.histograms_over_time(Histograms())


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.filters(dense()), "no convolution"),
        (lambda: plots.feature_maps(dense(), np.zeros((1, 3, 3))), "no convolution"),
        (lambda: plots.feature_maps(dense(), np.zeros(3)), "Pictures need images"),
        (lambda: plots.mistakes(dense(), np.zeros((2, 3)), [0, 1]), "Pictures need images"),
        (lambda: plots.hidden_map(dense(), np.zeros((2, 3)), [0, 1]), "this model has none"),
        (lambda: plots.hidden_map(dense(), np.zeros((2, 3)), [0]), "one class number a sample"),
        (lambda: plots.hidden_map(dense(), np.zeros((2, 3)), [0, 1], method="umap"), '"pca" or "tsne"'),
        (lambda: plots.exciting_inputs(dense(), 2), "layer must be from 0 to 1"),
        (lambda: plots.histograms(hc.Sequential([hc.Softmax()], input_shape=(3,)), np.zeros((1, 3)), [0]), "has none"),
        (lambda: plots.attributions(hc.zoo.reference(), np.zeros((1, 28, 28)), 10), "from 0 to 9"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_sentence(draw: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as told:
        draw()  # type: ignore[operator]
    assert "\n" not in str(told.value)


def test_a_network_of_one_class_is_told_in_one_sentence() -> None:
    model = hc.Sequential([hc.Dense(1), hc.Softmax()], input_shape=(3,), seed=0)
    with pytest.raises(ValueError, match="a number for each class, this model gives 1"):
        plots.confusion(model, np.zeros((2, 3)), [0, 0])


def test_samples_of_one_class_can_be_drawn(scores: tuple) -> None:
    model, x, _ = scores
    assert plots.confusion(model, x[:1], [0]).get_suptitle() == "No mistake in 1 answer"
    assert plots.classes(model, x[:1], [0]).get_suptitle() == "No mistake in 1 answer"


def test_calibration_of_probabilities_that_are_right_as_often_as_they_say_gives_no_verdict() -> None:
    model = hc.Sequential([hc.Reshape((2,))], input_shape=(2,), seed=0)
    figure = plots.calibration(model, np.zeros((4, 2)), [0, 0, 1, 1])  # 50 % each, half of them right
    assert figure.get_suptitle() == "Confidence is off by 0.00 %"


@pytest.mark.parametrize("y", [np.eye(3)[[0, 1, 2, 1, 1]], np.array([0.0, 1, 2, 1, 1]), np.array([0, 1, 2, 1, 9])])
def test_calibration_refuses_what_is_no_class_number(scores: tuple, y: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"y must be class numbers|Class numbers must be"):
        plots.calibration(scores[0], scores[1], y)


def test_calibration_of_a_column_names_the_remedy(scores: tuple) -> None:
    with pytest.raises(ValueError, match=r"got shape \(5, 1\)\. Use y\[:, 0\]\."):
        plots.calibration(scores[0], scores[1], np.zeros((5, 1), int))


def test_calibration_has_a_confidence_at_an_edge_in_the_interval_of_the_metric() -> None:
    scores = np.log(np.array([[0.2, 0.8]], np.float32))
    model = hc.Sequential([hc.Reshape((2,))], input_shape=(2,), seed=0)
    assert probabilities(model, scores).max() == np.float32(0.8)  # which is above 0.8
    lower = plots.calibration(model, scores, [1]).axes[1]
    assert [bar.get_height() for bar in lower.patches].index(1) == 7  # above 0.7, up to 0.8


@pytest.mark.parametrize(
    "draw",
    [
        lambda model, *_: plots.filters(model),
        lambda model, *_: plots.exciting_inputs(model),
        lambda model, x, _: plots.feature_maps(model, x[0]),
        lambda model, x, _: plots.attributions(model, x[0]),
        plots.hidden_map,
        plots.histograms,
    ],
)
def test_a_network_of_nan_has_no_picture(draw, model: hc.Sequential, digits: tuple) -> None:
    dead = copy.deepcopy(model)
    dead.layers[3].weights[0] = np.nan  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"This network is dead: 3\.weights hold NaN or infinity"):
        draw(dead, digits[0][:20], digits[1][:20])


@pytest.mark.parametrize("name", ["{}", "a long name of class {}"])
def test_a_legend_of_many_classes_stands_whole_below_the_map(name: str, rng: np.random.Generator) -> None:
    model = hc.Sequential([hc.Dense(4), hc.ReLU(), hc.Dense(100), hc.Softmax()], input_shape=(3,), seed=0)
    figure = plots.hidden_map(
        model, rng.normal(size=(200, 3)), np.arange(200) % 100, list(map(name.format, range(100)))
    )
    figure.draw_without_rendering()
    legend, points = figure.legends[0].get_window_extent(), figure.axes[0].get_window_extent()
    assert len(figure.legends[0].get_texts()) == 100
    assert 0 <= legend.x0 < legend.x1 <= figure.bbox.width
    assert 0 <= legend.y0 < legend.y1 <= points.y0
    assert points.width > figure.bbox.width / 2


@pytest.mark.parametrize("draw", [plots.histograms, plots.hidden_map])
def test_what_is_no_model_is_refused(draw, digits: tuple) -> None:
    with pytest.raises(TypeError, match=r"This expects a handconv\.Sequential, got 'model'\."):
        draw("model", digits[0][:2], digits[1][:2])


def test_what_is_no_callback_has_kept_no_histograms() -> None:
    with pytest.raises(TypeError, match=r"what a callback Histograms\(\) has kept, got 3\."):
        plots.histograms_over_time(3)  # type: ignore[arg-type]


def test_a_map_of_negative_class_numbers_is_refused(model: hc.Sequential, digits: tuple) -> None:
    with pytest.raises(ValueError, match=r"one class number a sample, \(2,\), from 0 on, got int64 of shape \(2,\)\."):
        plots.hidden_map(model, digits[0][:2], [0, -1])


def test_inputs_that_excite_no_unit_are_refused(model: hc.Sequential) -> None:
    with pytest.raises(ValueError, match="units must be at least one, got none"):
        plots.exciting_inputs(model, units=[])
