#!/usr/bin/env python3
"""A scikit-learn classifier as stylescope's f.

    python3 sklearn_f.py fit runs/my/ingest/images.h5 model.pkl       # or your own pickled model
    classifier: {kind: command, command: [python3, sklearn_f.py, answer, model.pkl]}

The model is anything with predict_proba(), of images as rows of numbers from 0 to 1. Needs numpy and
scikit-learn; `fit` needs h5py as well.
"""

import pickle
import sys

import numpy

from stylescope_answer import answer_batches


def as_rows(images):
    return images.reshape(len(images), -1).astype(numpy.float32) / 255


def fit(images_file, model_file):
    import h5py
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with h5py.File(images_file) as file:
        training = numpy.flatnonzero(file["split"][:] == 0)  # 0 train, 1 validation, 2 test
        images, labels = file["images"][training], file["label"][training]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    model.fit(as_rows(images), labels)
    with open(model_file, "wb") as file:
        pickle.dump(model, file)
    print("fitted to", len(images), "images; right on", model.score(as_rows(images), labels))


def answer(model_file):
    with open(model_file, "rb") as file:
        model = pickle.load(file)
    answer_batches(
        lambda images, shape: model.predict_proba(
            as_rows(numpy.frombuffer(images, numpy.uint8).reshape(shape))))


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "fit":
        fit(sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 3 and sys.argv[1] == "answer":
        answer(sys.argv[2])
    else:
        sys.exit(__doc__)
