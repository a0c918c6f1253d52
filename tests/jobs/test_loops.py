import asyncio

from gateway.jobs import Loops


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
    await loops.stop()
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
    await loops.stop()
    assert finished == [True]
