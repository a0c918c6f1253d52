"""Ground: group commit on SQLite. What waits when the writing thread comes free is committed together, each piece on its own savepoint.

A commit costs an fsync whatever is in it; twenty requests that write at once share one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection, Engine, exc

MAX_TOGETHER = 64

_Work = Callable[[Connection], Any]
_Waiting = tuple[_Work, asyncio.Future[Any]]


class GroupWriter:
    """Runs work in transactions on one thread. `turn` is shared with whoever else writes to the file.

    Promises: an answer is given after the commit that holds its work; work that raises is rolled back alone and its error
    is given to whoever asked for it. Where the database itself fails, nothing of the group stands and each piece is tried
    again alone: work must therefore be repeatable, which a function of a connection is.
    """

    def __init__(self, engine: Engine, thread: ThreadPoolExecutor, turn: asyncio.Lock) -> None:
        self._engine = engine
        self._thread = thread
        self._turn = turn
        self._waiting: list[_Waiting] = []
        self._draining: asyncio.Task[None] | None = None

    async def run(self, work: _Work) -> Any:
        """Gives what `work` gives, once it is durable."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, answer))
        if self._draining is None or self._draining.done():
            self._draining = asyncio.ensure_future(self._drain())
        return await answer

    async def settled(self) -> None:
        """Returns when nothing waits any more."""
        if self._draining is not None:
            await self._draining

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            async with self._turn:
                together, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
                # Whoever was cancelled before his turn never asked.
                together = [waiting for waiting in together if not waiting[1].done()]
                try:
                    works = [work for work, _ in together]
                    results = await loop.run_in_executor(self._thread, commit, self._engine, works)
                except Exception as error:  # noqa: BLE001 - the thread has ended: everybody who waits is told
                    results = [error] * len(together)
                for (_, answer), result in zip(together, results, strict=True):
                    _give(answer, result)


def commit(engine: Engine, works: Sequence[_Work]) -> list[Any]:
    """Gives each work's result, or the exception that it ended with; all that did not raise is durable."""
    if len(works) > 1:
        try:
            return _together(engine, works)
        except exc.DBAPIError:
            pass  # the disk, a lock, or a rollback of SQLite's own: nothing stands; alone each finds out for itself
    return [_alone(engine, work) for work in works]


def _together(engine: Engine, works: Sequence[_Work]) -> list[Any]:
    results: list[Any] = []
    with engine.begin() as connection:
        for work in works:
            point = connection.begin_nested()
            try:
                results.append(work(connection))
            except exc.IntegrityError as error:
                point.rollback()
                results.append(error)
            except exc.DBAPIError:
                raise
            except Exception as error:  # noqa: BLE001 - does not go on: rolled back and given to whoever asked
                point.rollback()
                results.append(error)
            else:
                point.commit()
    return results


def _alone(engine: Engine, work: _Work) -> Any:
    try:
        with engine.begin() as connection:
            return work(connection)
    except Exception as error:  # noqa: BLE001 - as above
        return error


def _give(answer: asyncio.Future[Any], result: Any) -> None:
    if answer.done():  # cancelled meanwhile
        return
    if isinstance(result, BaseException):
        answer.set_exception(result)
    else:
        answer.set_result(result)
