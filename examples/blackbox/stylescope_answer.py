"""The program's side of stylescope's protocol for a classifier that is a program (docs/blackbox.md).

Copy this file beside your program; it needs nothing but Python 3. Then

    from stylescope_answer import answer_batches

    def scores(images, shape):          # images: bytes, shape: (n, channels, height, width)
        ...                             # numpy.frombuffer(images, numpy.uint8).reshape(shape)
        return rows                     # n lists (or an array of n rows) of floats, one a class

    answer_batches(scores)

Standard output belongs to the answers. answer_batches() therefore turns print() into a message on
standard error, which goes into the run's logs.
"""

import array
import json
import os
import sys


def _lines_and_bytes():
    """The real standard input and output, with standard output handed over to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return sys.stdin.buffer, answers


def _say(out, message, payload=b""):
    out.write(json.dumps(message).encode() + b"\n" + payload)
    out.flush()


def _read(source, count):
    data = source.read(count)
    if len(data) != count:
        raise EOFError("the images end too early")
    return data


def answer_batches(scores, start=None):
    """Answers until standard input ends. start(greeting), if given, is called once, before the first
    batch: greeting["image"] is [channels, height, width], greeting["class_names"] the classes, and
    greeting["device"] the device that the asking rank uses, such as "cuda:0" or "cpu"."""
    source, out = _lines_and_bytes()
    greeting = json.loads(source.readline())
    if greeting["stylescope"] != 1 or greeting["transport"] != "pipe":
        raise ValueError("this program speaks version 1, through pipes: " + json.dumps(greeting))
    if start is not None:
        start(greeting)
    _say(out, {"stylescope": 1})
    while True:
        line = source.readline()
        if not line:
            return
        n, channels, height, width = json.loads(line)["images"]
        images = _read(source, n * channels * height * width)
        rows = [list(map(float, row)) for row in scores(images, (n, channels, height, width))]
        numbers = array.array("f", [value for row in rows for value in row])
        if sys.byteorder == "big":
            numbers.byteswap()
        columns = len(rows[0]) if rows else 0
        _say(out, {"scores": [len(rows), columns], "dtype": "float32"}, numbers.tobytes())
