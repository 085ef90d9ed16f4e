"""A detector's state: one row of a fixed layout per series, read and written many at a time."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]


class Bank:
    """Rows of a structured dtype by series number.

    A row is moved as one block of bytes: numpy does that twenty times faster than by field. Rows
    are padded so that every field is aligned: numpy works on others by way of a buffer.
    """

    def __init__(self, blank: Rows) -> None:
        """blank: one row of the layout, what a new series starts with."""
        self._packed = blank.dtype
        self._blank = np.zeros(1, np.dtype(blank.dtype.descr, align=True))
        self._blank[:] = blank
        self._block = _block_of(self._blank.dtype.itemsize)
        self._blocks = self._blank[:0].view(self._block)

    def take(self, series: NDArray[np.intp]) -> Rows:
        """A copy of the rows of these series, in that order."""
        return _rows(self._blocks.take(series), self._blank.dtype)

    def row(self, number: int) -> np.void:
        """The row of one series, to read."""
        row: np.void = self._blocks[number : number + 1].view(self._blank.dtype)[0]
        return row

    def put(self, series: NDArray[np.intp], rows: Rows) -> None:
        """Replace the rows of these series, each of which may be named once."""
        self._blocks[series] = _blocks(rows, self._block)

    def grow(self, n: int) -> None:
        """Have rows for the series 0 to n - 1, with room for more."""
        known = len(self._blocks)
        if n > known:
            more = np.repeat(self._blank.view(self._block), max(n, 2 * known) - known)
            self._blocks = np.concatenate([self._blocks, more])

    @property
    def packed(self) -> np.dtype[Any]:
        """The layout of a row without padding."""
        return self._packed

    def pack(self, series: NDArray[np.intp]) -> bytes:
        """The rows of these series as bytes without padding."""
        return self.take(series).astype(self._packed).tobytes()

    def unpack(self, series: NDArray[np.intp], rows: Rows) -> None:
        """Replace the rows of these series by rows of the layout without padding."""
        self.put(series, rows.astype(self._blank.dtype))


def some_of(rows: Rows, which: NDArray[np.intp]) -> Rows:
    """A copy of these rows of a structured array, each moved as one block of bytes."""
    return _rows(_blocks(rows, _block_of(rows.itemsize)).take(which), rows.dtype)


def replace_some(rows: Rows, which: NDArray[np.intp], others: Rows) -> None:
    """Put others, of the same layout, in the place of these rows, likewise."""
    block = _block_of(rows.itemsize)
    _blocks(rows, block)[which] = _blocks(others, block)


def columns(rows: Rows, first: str, last: str) -> NDArray[np.float64]:
    """float64[k, n], a view: what lies in n rows from one float64 field to another, by column.

    One copy of it is worked on many times faster than each field in its rows.
    """
    fields = rows.dtype.fields
    assert fields is not None
    start, end = fields[first][1], fields[last][1] + fields[last][0].itemsize
    shape, strides = ((end - start) // 8, len(rows)), (8, rows.itemsize)
    return np.ndarray(shape, np.float64, rows, start, strides)


def _rows(blocks: NDArray[np.void], layout: np.dtype[Any]) -> Rows:
    """Blocks of bytes as rows; `view` looks at each field of the layout to do the same."""
    return np.ndarray(len(blocks), layout, blocks)


def _blocks(rows: Rows, block: np.dtype[np.void]) -> NDArray[np.void]:
    """Rows as blocks of bytes, likewise."""
    return np.ndarray(len(rows), block, rows)


@cache
def _block_of(size: int) -> np.dtype[np.void]:
    return np.dtype((np.void, size))


class Cells(Bank):
    """A bank whose rows are tables of k cells of the same few float32 columns.

    One cell of each of many series is read or written without moving the rest of the rows.
    """

    def __init__(self, k: int, columns: int) -> None:
        """Every cell starts as zeros."""
        super().__init__(np.zeros(1, [("cells", "f4", (k, columns))]))
        self._k, self._columns = k, columns
        self._cell = np.dtype((np.void, 4 * columns))
        self._flat = self._cells()

    def grow(self, n: int) -> None:
        """Have tables for the series 0 to n - 1, with room for more."""
        super().grow(n)
        self._flat = self._cells()

    def at(self, series: NDArray[np.intp], cell: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where cells of n series are, for `pick` and `place`; cell: int64[n] or int64[k, n]."""
        return series * self._k + cell

    def pick(self, at: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64[columns, n] of n cells, float64[k, columns, n] of k for each of n: a copy."""
        return self._flat.take(at, axis=0).swapaxes(-1, -2).astype(np.float64, order="C")

    def place(self, at: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Replace n cells by float64[columns, n]."""
        cells = values.T.astype(np.float32, order="C")
        self._blocks.view(self._cell)[at] = cells.view(self._cell)[:, 0]

    def _cells(self) -> NDArray[np.float32]:
        return self._blocks.view(np.float32).reshape(-1, self._columns)
