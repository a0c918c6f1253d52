import asyncio
from contextlib import suppress

from gateway.jobs import CANCEL_SECONDS, Loops


async def test_a_loop_outlives_a_failed_round_and_reports_it() -> None:
    rounds: list[int] = []
    reported: list[tuple[str, type[BaseException]]] = []

    enough = asyncio.Event()

    async def work() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise RuntimeError("a value that must not be seen")
        if len(rounds) == 3:
            enough.set()

    loops = Loops(lambda name, error: reported.append((name, type(error))))
    loops.every(0.001, "counting", work)
    async with asyncio.timeout(5):
        await enough.wait()
    assert await loops.stop(5) == []
    done = len(rounds)
    await asyncio.sleep(0.01)
    assert reported == [("counting", RuntimeError)]
    assert len(rounds) == done


async def test_a_stop_waits_for_the_round_under_way() -> None:
    finished: list[bool] = []
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.sleep(0.02)
        finished.append(True)

    loops = Loops(lambda name, error: None)
    loops.every(0.001, "slow", work)
    await started.wait()
    assert await loops.stop(5) == []
    assert finished == [True]


async def test_a_round_that_does_not_end_is_cut_short_and_named() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def quick() -> None:
        pass

    loops = Loops(lambda name, error: None)
    loops.every(0.001, "hangs", work)
    loops.every(0.001, "quick", quick)
    await started.wait()
    async with asyncio.timeout(5):
        assert await loops.stop(0.05) == ["hangs"]
    assert ended.is_set()
    assert await loops.stop(0.05) == []


async def test_a_round_that_does_not_even_let_itself_be_cancelled_holds_nobody_up() -> None:
    started, over = asyncio.Event(), asyncio.Event()

    async def deaf() -> None:
        started.set()
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    loops = Loops(lambda name, error: None)
    loops.every(0.001, "deaf", deaf)
    await started.wait()
    async with asyncio.timeout(CANCEL_SECONDS + 4):
        assert await loops.stop(0.05) == ["deaf"]
    over.set()
