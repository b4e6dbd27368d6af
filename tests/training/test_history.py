"""The history: a mapping from names to one value an epoch."""

from collections.abc import Mapping

import pytest

from handconv.training import History


def two_epochs() -> History:
    history = History()
    history.append({"epoch": 1, "loss": 0.5})
    history.append({"epoch": 2, "loss": 0.25, "val_loss": 0.3})
    return history


def test_it_is_a_mapping_to_one_value_an_epoch() -> None:
    history = two_epochs()
    assert isinstance(history, Mapping)
    assert dict(history) == {"epoch": [1, 2], "loss": [0.5, 0.25], "val_loss": [0.3]}


def test_its_names_come_in_the_order_in_which_they_appeared() -> None:
    assert list(two_epochs()) == ["epoch", "loss", "val_loss"]


def test_its_length_is_the_number_of_names() -> None:
    assert (len(History()), len(two_epochs())) == (0, 3)


def test_last_is_the_last_epoch() -> None:
    assert two_epochs().last == {"epoch": 2, "loss": 0.25, "val_loss": 0.3}


def test_it_keeps_a_copy_of_what_was_appended() -> None:
    figures = {"epoch": 1.0}
    history = History()
    history.append(figures)
    figures["epoch"] = 9
    assert history["epoch"] == [1]


def test_an_unknown_name_is_a_key_error_that_lists_the_known() -> None:
    with pytest.raises(KeyError, match="no epoch has 'f1'; there is epoch, loss, val_loss"):
        two_epochs()["f1"]
    with pytest.raises(KeyError, match="there is nothing"):
        History()["loss"]
    assert "f1" not in two_epochs()


def test_it_shows_in_short_what_it_ended_with() -> None:
    history = History()
    history.append({"loss": 0.5, "accuracy": 0.9})
    assert repr(history) == "History(1 epoch, loss 0.5, accuracy 90.00 %)"


def test_no_line_of_it_is_wider_than_a_terminal() -> None:
    history = History()
    history.append({"loss": 0.05831, "accuracy": 0.9922, "val_loss": 0.07123, "val_accuracy": 0.9890})
    lines = repr(history).splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(map(str.strip, lines)).endswith("accuracy 99.22 %, val_loss 0.07123, val_accuracy 98.90 %)")


def test_it_is_a_table_in_a_notebook() -> None:
    history = History()
    history.append({"epoch": 1, "loss": 0.5, "accuracy": 0.9})
    history.append({"epoch": 2, "loss": 0.25, "accuracy": 0.95, "val_loss": 0.3})
    table = history._repr_html_()
    assert table.count("<tr>") == 3
    assert "<th>val loss</th>" in table
    assert "<td>2</td><td>0.25</td><td>95.00 %</td><td>0.3</td>" in table
    assert "<td>1</td><td>0.5</td><td>90.00 %</td><td></td>" in table


def test_without_epochs_it_says_so() -> None:
    assert repr(History()) == "History(no epochs)"


def test_who_looks_for_the_figures_elsewhere_is_told_where_they_are() -> None:
    with pytest.raises(
        AttributeError, match=r"History has no 'history'\. It has the figures itself: history\['loss'\]"
    ):
        History().history  # noqa: B018
    with pytest.raises(AttributeError, match=r"History has no 'losses'\.$"):
        History().losses  # noqa: B018
