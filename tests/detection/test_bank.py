"""State of many series: rows, their columns, and cells of tables."""

from __future__ import annotations

import numpy as np

from detection.bank import Bank, Cells, columns

BLANK = np.array(
    [(7, 1.0, (2.0, 3.0), 4.0)], [("n", "i1"), ("a", "f8"), ("b", "f8", 2), ("c", "f8")]
)


def test_columns_look_into_the_rows() -> None:
    """They are the fields from one to another, in the order of the layout, to read and write."""
    bank = Bank(BLANK)
    bank.grow(3)
    rows = bank.take(np.array([0, 2]))
    assert columns(rows, "a", "b").tolist() == [[1, 1], [2, 2], [3, 3]]
    columns(rows, "b", "c")[:, 1] = [5, 6, 7]
    assert rows["b"].tolist() == [[2, 3], [5, 6]]
    assert rows["c"].tolist() == [4, 7]
    assert rows["a"].tolist() == [1, 1]


def test_a_cell_that_was_placed_is_picked() -> None:
    """One cell of each of several series, or more of each, and no other."""
    cells = Cells(4, 2)
    cells.grow(3)
    series = np.array([0, 2])
    cells.place(cells.at(series, np.array([1, 3])), np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert cells.pick(cells.at(series, np.array([1, 3]))).tolist() == [[1, 2], [3, 4]]
    both = cells.pick(cells.at(series, np.array([[1, 3], [0, 3]])))
    assert both.tolist() == [[[1, 2], [3, 4]], [[0, 2], [0, 4]]]
    assert np.count_nonzero(cells.take(np.arange(3))["cells"]) == 4
