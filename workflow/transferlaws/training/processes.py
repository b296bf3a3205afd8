"""Work shared out to processes of this machine: they are asked to stop together, and none outlives the one that started them."""

import math
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from transferlaws.errors import PassingError
from transferlaws.training.state import Checkpointer

POLL_SECONDS = 0.2  # between looks at whether this process was asked to stop


def run_in_processes(work: Callable, items: Sequence[tuple], processes: int) -> None:
    """Call `work(*item, place)` for every item, each in a process of its own, `processes` at a time; `place` numbers those.

    `work` must be importable, and stop at SIGTERM. SIGTERM, Ctrl-C and the first error stop all of them; once they have ended, that
    status or error is raised here. `PassingError` if a process dies of anything else. If this process dies, they do.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(items)
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    with Checkpointer(math.inf) as signals:
        try:
            while (waiting or running) and not signals.asked:
                while waiting and len(running) < processes:
                    place = min(set(range(processes)) - {place for place, _ in running.values()})
                    ours, theirs = context.Pipe(duplex=False)
                    child = context.Process(target=_work, args=(theirs, work, (*waiting.pop(0), place)), daemon=True)
                    child.start()
                    theirs.close()  # so that the child's death is the end of the file
                    running[ours] = place, child
                for connection in wait(list(running), POLL_SECONDS):
                    _, child = running.pop(connection)
                    _check(connection, child)
        finally:
            for connection, (_, child) in running.items():
                connection.close()
                child.terminate()
            for _, child in running.values():
                child.join()
        signals.stop_if_asked()


def _work(connection: Connection, work: Callable, arguments: tuple) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches the parent too, which passes it on
    try:
        work(*arguments)
    except Exception as error:
        error.add_note(traceback.format_exc())  # a traceback does not travel
        connection.send(error)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _check(connection: Connection, child: BaseProcess) -> None:
    """Raise what ended a process, if that was not the end of its work."""
    error = None
    try:
        error = connection.recv()
    except EOFError:
        child.join()
    if error is not None:
        raise error
    for number in (signal.SIGTERM, signal.SIGINT):
        if child.exitcode in (-number, 128 + number):
            raise SystemExit(128 + number)
    if child.exitcode:
        killed = signal.Signals(-child.exitcode).name if child.exitcode < 0 else None
        raise PassingError(
            f"one of this job's processes {f'was killed by {killed}' if killed else f'ended with status {child.exitcode}'}"
            f"{', as the system does when memory runs out' if killed == 'SIGKILL' else ''}. Run it again, and it goes on from what "
            "was saved; if it was memory, give the job more, or fewer processes (its threads in the workflow)."
        )
