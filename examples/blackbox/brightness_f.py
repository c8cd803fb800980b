#!/usr/bin/env python3
"""The smallest f: the brighter an image is on average, the more it is of the second class. The same
as brightness_f.cpp, to the last bits of float32."""

import math

from stylescope_answer import answer_batches


def scores(images, shape):
    n, pixels = shape[0], len(images) // max(shape[0], 1)
    rows = []
    for i in range(n):
        mean = sum(images[i * pixels:(i + 1) * pixels]) / pixels
        p = 1 / (1 + math.exp(-(mean - 128) / 16))
        rows.append([1 - p, p])
    return rows


if __name__ == "__main__":
    answer_batches(scores)
