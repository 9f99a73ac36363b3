"""What the core's memory outlives: the thread that took it, and the interpreter."""

import gc
import subprocess
import sys
import threading

import pytest

import convarium as cv
from convarium._engines import native

missing = pytest.mark.skipif(native.missing() is not None, reason=f"there is no C++ core: {native.missing()}")

LOCAL = """
import torch, convarium as cv
input, weight = torch.ones(8, 4, 34, 34), torch.ones(64, 32, 32, 4, 3, 3)
make = lambda: cv.conv2d(input, weight, engine="native")  # 2 MiB: of the core's memory
"""


@missing
def test_a_result_outlives_the_thread_that_made_it():
    names: dict = {}
    exec(LOCAL, names)
    made = []
    thread = threading.Thread(target=lambda: made.append(names["make"]()))
    gc.collect()
    before = cv.memory_stats()["used"]
    thread.start()
    thread.join()
    del thread
    assert cv.memory_stats()["used"] >= before + made[0].nbytes
    other = names["make"]()  # from this thread, in another place
    assert other.data_ptr() != made[0].data_ptr()
    assert (made[0] == 36).all()
    del other
    freeing = threading.Thread(target=made.clear)  # and is freed in a third one
    freeing.start()
    freeing.join()
    assert cv.memory_stats()["used"] == before


ENDS = {
    "of a module": "kept = make()",
    "in a cycle": "kept = make(); ring = [kept]; ring.append(ring)",
    "with a gradient to come": "weight.requires_grad_(); kept = make(); total = kept.sum()",
    "of a thread that has ended": (
        "import threading; kept = []; thread = threading.Thread(target=lambda: kept.append(make()))\n"
        "thread.start(); thread.join()"
    ),
    "of a thread that still runs": (
        "import threading, time; kept = []; done = threading.Event()\n"
        "threading.Thread(target=lambda: (kept.append(make()), done.set(), time.sleep(60)), daemon=True).start(); done.wait()"
    ),
    "of torch itself": "torch.kept = make()",
    "until all else has ended": "import atexit; kept = make(); atexit.register(lambda: print(int(kept.sum()) and ''))",
}


@missing
@pytest.mark.parametrize("name", ENDS)
def test_a_result_outlives_the_interpreter(name):
    program = f"{LOCAL}\n{ENDS[name]}\nassert cv.memory_stats()['used'] > 2**21"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
